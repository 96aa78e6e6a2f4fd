//! What comes encoded reaches a viewer in every build, also one without any codec.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr};

use viewer::Viewer;
use visavis::audio::{AudioChunk, AudioChunkError, EncodedAudio};
use visavis::session::PushOutcome;
use visavis::video::{EncodedFrame, VideoCodec};
use visavis::{Engine, EngineConfig, SessionConfig};

/// SPS, PPS and a slice of an IDR picture.
const PICTURE: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 0, 0, 0, 1, 0x68, 0xce, 0x38,
    0x80, 0, 0, 0, 1, 0x65, 0x88, 1, 2, 3,
];

fn engine() -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Engine::start(EngineConfig::default().udp(udp)).unwrap()
}

#[test]
fn encoded_pictures_and_sound_reach_a_viewer() {
    let engine = engine();
    let config = SessionConfig::default().encoded(Some(VideoCodec::H264)).idle(None);
    let session = engine.create_session(config).unwrap();
    session.start();
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected);
    viewer.push_until(
        |viewer| viewer.video.len() > 5 && viewer.audio.len() > 5,
        || {
            let frame = EncodedFrame::new(PICTURE, VideoCodec::H264);
            session.encoded_video().push(&frame).unwrap();
            session.audio().push_opus(&EncodedAudio::new(&[0xf8, 42])).unwrap();
        },
    );
    assert!(viewer.video.iter().any(|packet| packet.payload.ends_with(&[0x65, 0x88, 1, 2, 3])));
    assert!(viewer.audio.iter().all(|packet| packet.payload[..] == [0xf8, 42]));
}

#[test]
fn pcm_that_cannot_be_encoded_is_refused_at_the_push() {
    let engine = engine();
    let session = SessionConfig::default().encoded(Some(VideoCodec::H264)).idle(None);
    let session = engine.create_session(session).unwrap();
    session.start();
    let pcm = AudioChunk::new(&[0; 4], 48_000, 1);
    let pushed = session.audio().push(&pcm);
    if cfg!(feature = "opus") {
        assert_eq!(pushed, Ok(PushOutcome::Accepted));
    } else {
        assert_eq!(pushed, Err(AudioChunkError::NoOpusEncoder));
        let packet = EncodedAudio::new(&[0xf8, 42]);
        assert_eq!(session.audio().push_opus(&packet), Ok(PushOutcome::Accepted));
    }
}
