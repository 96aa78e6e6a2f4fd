//! From an access unit to RTP payloads, which happens once for all viewers.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says so by a panic")]

mod room;

use std::time::Instant;

use divan::Bencher;
use divan::counter::BytesCount;
use room::{FRAME_BYTES, KEYFRAME_BYTES, access_unit};
use visavis_core::Packetizer;
use visavis_types::{SessionNumber, VideoCodec};

fn main() {
    divan::main();
}

fn packetize(bencher: Bencher<'_, '_>, codec: VideoCodec, keyframe: bool, bytes: usize) {
    let now = Instant::now();
    let unit = access_unit(SessionNumber::unique(), codec, keyframe, bytes, now);
    let mut packetizer = Packetizer::new(codec);
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| packetizer.packetize(divan::black_box(&unit), || now));
}

#[divan::bench(args = [VideoCodec::H264, VideoCodec::Vp8])]
fn frame_of_8_kb(bencher: Bencher<'_, '_>, codec: VideoCodec) {
    packetize(bencher, codec, false, FRAME_BYTES);
}

#[divan::bench(args = [VideoCodec::H264, VideoCodec::Vp8])]
fn keyframe_of_67_kb(bencher: Bencher<'_, '_>, codec: VideoCodec) {
    packetize(bencher, codec, true, KEYFRAME_BYTES);
}
