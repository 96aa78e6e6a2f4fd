//! How much sound waits.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use visavis::audio::{AudioChunk, AudioSink};
use visavis::{Engine, EngineConfig, SessionConfig};

const MS: Duration = Duration::from_millis(1);

fn waited_for(sink: &AudioSink) {
    let until = Instant::now() + Duration::from_secs(20);
    while !sink.waiting().is_zero() {
        assert!(Instant::now() < until, "{:?} wait for ever", sink.waiting());
        thread::sleep(MS);
    }
}

#[test]
fn what_waits_is_told_until_the_last_packet_has_left() {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(udp)).unwrap();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let sink = session.audio();
    assert_eq!(sink.waiting(), Duration::ZERO);
    let push = |ms: usize| {
        let samples = [0xe8, 0x03].repeat(ms * 24);
        sink.push(&AudioChunk::new(&samples, 24_000, 1)).unwrap();
    };

    let began = Instant::now();
    push(300);
    assert!(sink.waiting() > MS * 100 || began.elapsed() > MS * 100, "{:?}", sink.waiting());
    assert!(sink.waiting() <= MS * 300);
    waited_for(&sink);
    assert!(began.elapsed() >= MS * 200, "{:?}", began.elapsed());

    push(20_000);
    session.interrupt();
    let interrupted = Instant::now();
    waited_for(&sink);
    assert!(interrupted.elapsed() < MS * 10_000);

    push(20_000);
    session.stop();
    assert_eq!(sink.waiting(), Duration::ZERO);
}
