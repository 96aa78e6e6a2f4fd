//! RTP and RTCP of an encoder: the header, the order, and each codec's payload format.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use visavis_core::rtp::receive::{
    AudioReceiver, Kind, MediaClock, VideoReceiver, is_rtcp, sender_reports,
};
use visavis_fuzz::pieces;
use visavis_types::VideoCodec;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, datagrams)) = data.split_first() else { return };
    let codec = VideoCodec::ALL[usize::from(kind) % VideoCodec::ALL.len()];
    let payload_type = (kind & 0x80 != 0).then_some(96);
    let mut video = VideoReceiver::new(codec, payload_type);
    let mut audio = AudioReceiver::new(payload_type);
    let mut now = Instant::now();
    let mut clock = MediaClock::new(now);
    for datagram in pieces(datagrams).take(200) {
        now += Duration::from_millis(u64::from(datagram.last().copied().unwrap_or(0)));
        if is_rtcp(datagram) {
            for report in sender_reports(datagram) {
                for (kind, time) in [
                    (Kind::Video, video.unwrapped(report.rtp_time)),
                    (Kind::Audio, audio.unwrapped(report.rtp_time)),
                ] {
                    if let Some(time) = time {
                        clock.report(kind, &report, time);
                    }
                }
            }
            continue;
        }
        let mut at = None;
        video.receive(datagram, now, |unit| at = Some((unit.rtp_time, unit.arrived)));
        if let Some((time, arrived)) = at.take() {
            clock.capture_time(Kind::Video, time, arrived);
        }
        audio.receive(datagram, now, |packet| at = Some((packet.rtp_time, packet.arrived)));
        if let Some((time, arrived)) = at {
            clock.capture_time(Kind::Audio, time, arrived);
        }
        if video.deadline().is_some_and(|due| due <= now) {
            video.handle_due(now, |_| {});
        }
        if audio.deadline().is_some_and(|due| due <= now) {
            audio.handle_due(now, |_| {});
        }
    }
});
