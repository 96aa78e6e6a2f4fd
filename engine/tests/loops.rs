//! Several media loops share out the viewers of one session.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use viewer::Viewer;
use visavis::audio::EncodedAudio;
use visavis::engine::StartError;
use visavis::session::PushOutcome;
use visavis::video::{EncodedFrame, VideoCodec};
use visavis::{Engine, EngineConfig, Event, SessionConfig};

fn config(port: u16, media_loops: usize) -> EngineConfig {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    EngineConfig::default().udp(udp).media_loops(media_loops)
}

#[test]
fn every_loop_serves_its_share_of_the_viewers() {
    let engine = Engine::start(config(0, 3)).unwrap();
    let handle = engine.handle();
    let events = handle.subscribe();
    let encoded = Some(VideoCodec::Vp8);
    // Packets are counted: nothing is to be seen in between.
    let config = SessionConfig::default().encoded(encoded).idle(None);
    let session = engine.create_session(config).unwrap();
    session.start();
    let mut viewers: Vec<Viewer> = (0..6).map(|_| Viewer::join(&handle, session.id())).collect();
    let ports: Vec<String> =
        engine.udp_addrs().iter().map(|a| format!(" {} typ", a.port())).collect();
    let at_loop = |viewer: &Viewer| ports.iter().position(|port| viewer.answer.contains(port));
    let placed: Vec<_> = viewers.iter().map(at_loop).collect();
    assert_eq!(placed, [0, 1, 2, 0, 1, 2].map(Some));
    for viewer in &mut viewers {
        viewer.run_until(|viewer| viewer.connected);
    }

    // VP8 by its first bytes (RFC 6386 §9.1): shown, with a first partition of a hundred bytes.
    let push = |keyframe: bool| {
        let mut data = vec![0x90 | u8::from(!keyframe), 0x0c, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];
        data.resize(3_000, 7);
        let frame = EncodedFrame::new(&data, VideoCodec::Vp8);
        assert_eq!(session.encoded_video().push(&frame), Ok(PushOutcome::Accepted));
        session.audio().push_opus(&EncodedAudio::new(&[0xf8, 1])).unwrap();
    };
    for index in 0..5 {
        push(index == 0);
        for viewer in &mut viewers {
            viewer.run_for(Duration::from_millis(10));
        }
    }
    for viewer in &mut viewers {
        viewer.run_until(|viewer| viewer.video.len() == 15 && viewer.audio.len() == 5);
    }
    assert_eq!(session.status().peer_count, 6);
    assert_eq!(session.status().encoders, [VideoCodec::Vp8]);
    assert_eq!(session.status().stages.last().map(|stage| stage.count > 0), Some(true));

    session.stop();
    let left = events.try_iter().filter(|event| matches!(event, Event::PeerLeft { .. })).count();
    assert_eq!(left, 6, "a stopped session has said goodbye on every loop");
    assert_eq!(session.status().peer_count, 0);
}

#[test]
fn the_ports_after_the_first_are_the_other_loops() {
    // A port whose successor is free too.
    let first = (0..100).find_map(|_| {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let next = port.checked_add(1)?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, next)).ok().map(|_| port)
    });
    let first = first.unwrap();
    let engine = Engine::start(config(first, 2)).unwrap();
    let ports: Vec<u16> = engine.udp_addrs().iter().map(SocketAddr::port).collect();
    assert_eq!(ports, [first, first + 1]);
    assert_eq!(engine.udp_addr().port(), first);
}

#[test]
fn impossible_numbers_of_loops_are_refused() {
    for config in [config(0, 0), config(u16::MAX, 2)] {
        let loops = config.media_loops;
        let error = Engine::start(config).unwrap_err();
        assert!(matches!(error, StartError::MediaLoops(n) if n == loops), "{error}");
    }
}
