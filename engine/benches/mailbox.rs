//! What a push of a raw frame costs its caller: the copy into the mailbox, the time stamps, waking the
//! encode loop. Nobody watches, so that the loop hands each slot back without encoding, as it does for
//! a frame that a newer one has replaced.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says so by a panic")]

use std::net::{Ipv4Addr, SocketAddr};

use divan::Bencher;
use divan::counter::BytesCount;
use visavis::session::PushOutcome;
use visavis::video::VideoFrame;
use visavis::{Engine, EngineConfig, SessionConfig};

fn main() {
    divan::main();
}

#[divan::bench(args = [(64, 64), (512, 512), (1280, 720)])]
fn push_rgba(bencher: Bencher<'_, '_>, (width, height): (u32, u32)) {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(udp)).unwrap();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let video = session.video();
    let pixels = vec![0x5a; width as usize * height as usize * 4];
    bencher.counter(BytesCount::new(pixels.len())).bench_local(|| {
        let frame = VideoFrame::new(divan::black_box(&pixels), width, height);
        let outcome = video.push(&frame).unwrap();
        assert_eq!(outcome, PushOutcome::Accepted);
    });
}
