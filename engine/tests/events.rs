//! Whoever has subscribed to events hears of all that happens afterwards.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use visavis::video::VideoFrame;
use visavis::{Engine, EngineConfig, Event, SessionConfig};

#[test]
fn what_follows_a_subscription_at_once_is_heard() {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(udp).media_loops(2)).unwrap();
    let handle = engine.handle();
    let pixels = [0_u8; 64 * 64 * 4];
    for round in 0..50 {
        let session = engine.create_session(SessionConfig::default()).unwrap();
        session.start();
        let started = handle.subscribe_to(|event| matches!(event, Event::LiveStarted { .. }));
        // The media loop is woken for both, and looks at pictures first.
        session.video().push(&VideoFrame::new(&pixels, 64, 64)).unwrap();
        let started = started.recv_timeout(Duration::from_secs(20));
        assert!(started.is_ok(), "round {round}: the begin of the pictures was missed");
        session.stop();
    }
}
