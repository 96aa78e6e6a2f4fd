//! A viewer's microphone packets in any order.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use visavis_core::rtp::receive::{Kind, MediaClock, MicPacket, MicReceiver};
use visavis_types::AudioCodec;

fuzz_target!(|data: &[u8]| {
    let mut receiver = MicReceiver::default();
    let mut now = Instant::now();
    let mut clock = MediaClock::new(now);
    for packet in data.chunks_exact(8).take(500) {
        let &[s0, s1, t0, t1, t2, t3, wait, byte] = packet else { return };
        now += Duration::from_millis(wait.into());
        let packet = MicPacket {
            codec: AudioCodec::ALL[usize::from(byte) % AudioCodec::ALL.len()],
            sequence: u16::from_le_bytes([s0, s1]),
            rtp_time: u32::from_le_bytes([t0, t1, t2, t3]),
            payload: Arc::from([byte]),
            arrived: now,
        };
        receiver.receive(packet, now, |turn| {
            clock.capture_time(Kind::Audio, turn.rtp_time, turn.arrived);
        });
        if receiver.deadline().is_some_and(|due| due <= now) {
            receiver.handle_due(now, |_| {});
        }
    }
});
