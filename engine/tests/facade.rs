//! What a caller of the engine relies on, without any viewer.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use visavis::audio::AudioChunk;
use visavis::engine::StartError;
use visavis::peer::OfferError;
use visavis::session::{PushOutcome, SessionError, SessionId};
use visavis::units::{Bitrate, UnixMillis};
use visavis::video::{FrameSize, PixelFormat, RungConfig, VideoCodec, VideoFrame, VideoFrameError};
use visavis::{Engine, EngineConfig, SessionConfig};

fn engine() -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Engine::start(EngineConfig::default().udp(udp)).unwrap()
}

fn frame(data: &[u8]) -> VideoFrame<'_> {
    VideoFrame::new(data, 64, 64)
}

fn chunk(data: &[u8]) -> AudioChunk<'_> {
    AudioChunk::new(data, 24_000, 1)
}

#[test]
fn pushing_outside_start_and_stop_is_counted_and_ignored() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    let (video, audio) = (session.video(), session.audio());
    let (pixels, sound) = (vec![9; 64 * 64 * 4], vec![0; 960]);

    assert_eq!(video.push(&frame(&pixels)), Ok(PushOutcome::NotStarted));
    assert_eq!(audio.push(&chunk(&sound)), Ok(PushOutcome::NotStarted));
    assert!(!session.status().metrics.is_streaming);

    session.start();
    assert_eq!(video.push(&frame(&pixels)), Ok(PushOutcome::Accepted));
    assert_eq!(audio.push(&chunk(&sound)), Ok(PushOutcome::Accepted));
    assert!(session.status().metrics.is_streaming);

    session.stop();
    session.stop();
    session.start();
    assert_eq!(video.push(&frame(&pixels)), Ok(PushOutcome::Stopped));
    assert_eq!(audio.push(&chunk(&sound)), Ok(PushOutcome::Stopped));
    let metrics = session.status().metrics;
    assert_eq!((metrics.video_frames, metrics.audio_chunks), (3, 3));
    assert!(metrics.last_frame_time.is_some());
}

#[test]
fn unusable_input_is_refused_and_what_follows_is_taken() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let pixels = vec![9; 64 * 64 * 4];
    let video = session.video();
    assert!(video.push(&frame(&pixels[1..])).is_err());
    assert!(video.push(&VideoFrame::new(&pixels, 63, 64)).is_err());
    assert!(video.push(&VideoFrame::new(&pixels, 64, 8_192)).is_err());
    assert_eq!(video.push(&frame(&pixels)), Ok(PushOutcome::Accepted));
    let audio = session.audio();
    assert!(audio.push(&AudioChunk::new(&[0; 14], 24_000, 7)).is_err());
    assert!(audio.push(&AudioChunk::new(&[0; 2], 0, 1)).is_err());
    assert!(audio.push(&chunk(&[0; 3])).is_err());
    assert_eq!(audio.push(&chunk(&[0; 2])), Ok(PushOutcome::Accepted));
    let metrics = session.status().metrics;
    assert_eq!((metrics.video_frames, metrics.audio_chunks), (1, 1));
}

/// Tells when it is dropped.
struct Lent(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.1.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_buffer_that_is_lent_comes_back_once_whatever_becomes_of_it() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    let (video, back) = (session.video(), Arc::new(AtomicUsize::new(0)));
    let lent = |len| Lent(vec![9; len], Arc::clone(&back));
    let push = |lent, format| video.push_buffer(lent, (64, 64), format, UnixMillis::now());
    assert_eq!(push(lent(64 * 64 * 4), PixelFormat::Rgba), Ok(PushOutcome::NotStarted));
    session.start();
    assert!(push(lent(5), PixelFormat::Rgba).is_err());
    assert!(push(lent(64 * 64 * 4), PixelFormat::Jpeg).is_err());
    assert_eq!(back.load(Relaxed), 3);
    for _ in 0..50 {
        assert_eq!(push(lent(64 * 64 * 4), PixelFormat::Bgra), Ok(PushOutcome::Accepted));
    }
    assert_eq!(session.status().metrics.video_frames, 51);
    // One waits at most, and one is with the encoder.
    assert!(back.load(Relaxed) >= 51);
    drop(video);
    drop(session);
    engine.stop();
    assert_eq!(back.load(Relaxed), 53);
}

#[test]
fn a_damaged_picture_file_is_refused_at_the_call() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let video = session.video();
    for format in [PixelFormat::Jpeg, PixelFormat::Png] {
        for junk in [&[][..], b"\xff\xd8\xff\xe0 no picture", b"\x89PNG\r\n\x1a\n"] {
            let refused = video.push(&frame(junk).format(format));
            assert!(matches!(refused, Err(VideoFrameError::Undecodable { .. })), "{refused:?}");
        }
    }
    // No memory was lost on the way.
    let pixels = vec![9; 64 * 64 * 4];
    for _ in 0..20 {
        assert_eq!(video.push(&frame(&pixels)), Ok(PushOutcome::Accepted));
    }
    assert_eq!(session.status().metrics.video_frames, 20);
}

#[test]
fn frames_can_be_written_in_place() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    let video = session.video();
    let memory = |format| video.frame_memory(64, 32, format).map(|memory| memory.unwrap());
    for (format, bytes) in [
        (PixelFormat::Rgba, 64 * 32 * 4),
        (PixelFormat::Rgb, 64 * 32 * 3),
        (PixelFormat::Nv12, 64 * 48),
    ] {
        let mut frame = memory(format).unwrap();
        assert_eq!(frame.len(), bytes);
        frame.fill(3);
        assert_eq!(frame.push(UnixMillis::now()), PushOutcome::NotStarted);
    }
    session.start();
    assert_eq!(memory(PixelFormat::I420).unwrap().push(UnixMillis::now()), PushOutcome::Accepted);
    assert_eq!(
        memory(PixelFormat::Png).unwrap_err(),
        VideoFrameError::NoFixedLength(PixelFormat::Png)
    );
    assert!(matches!(
        video.frame_memory(63, 32, PixelFormat::Rgb),
        Err(VideoFrameError::Size { .. })
    ));
    // Memory that is dropped comes back; of memory that is held there is an end.
    (0..50).for_each(|_| drop(memory(PixelFormat::Rgba)));
    let held: Vec<_> =
        std::iter::from_fn(|| video.frame_memory(64, 32, PixelFormat::Rgb).unwrap()).collect();
    assert!((2..=4).contains(&held.len()), "{}", held.len());
    drop(held);
    assert!(memory(PixelFormat::Rgb).is_ok());
    let metrics = session.status().metrics;
    assert_eq!(metrics.video_frames, 4);
}

#[test]
fn a_frame_later_than_one_and_a_half_intervals_is_counted() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let pixels = vec![9; 64 * 64 * 4];
    let old = UnixMillis(UnixMillis::now().0 - 200);
    session.video().push(&frame(&pixels).timestamp(old)).unwrap();
    session.video().push(&frame(&pixels)).unwrap();
    assert_eq!(session.status().metrics.dropped_frames, 1);
}

#[test]
fn pushing_never_waits() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let sound = vec![0; 48_000];
    let begin = Instant::now();
    for _ in 0..300 {
        session.audio().push(&chunk(&sound)).unwrap(); // A second each.
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let deadline = Instant::now() + Duration::from_secs(20);
    while session.status().metrics.dropped_audio_ms == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(session.status().metrics.dropped_audio_ms > 0);
}

#[test]
fn names_are_unique_until_the_session_stops() {
    let engine = engine();
    let first = engine.create_session(SessionConfig::default()).unwrap();
    let again = engine.create_session(SessionConfig::default());
    assert!(matches!(again, Err(SessionError::Exists(_))));
    drop(first);
    assert!(engine.create_session(SessionConfig::default()).is_ok());
}

#[test]
fn settings_that_are_out_of_range_are_named_with_their_value() {
    let engine = engine();
    let refused = |config: SessionConfig| engine.create_session(config).map(|_| ()).unwrap_err();
    let config = SessionConfig::default;
    for fps in [0, 121] {
        assert!(matches!(refused(config().fps(fps)), SessionError::Fps(given) if given == fps));
    }
    let low = Bitrate::from_kbps(5);
    let error = refused(config().video_bitrate(low));
    assert!(matches!(error, SessionError::VideoBitrate(given) if given == low));
    assert_eq!(error.to_string(), "invalid video bitrate 5 kbit/s; expected 50 kbit/s at least");
    let error = refused(config().audio_bitrate(low));
    assert!(matches!(error, SessionError::AudioBitrate(given) if given == low));
    for (rungs, said) in [
        (&["9%:300"][..], "invalid rung 9%:300; expected 10 to 100 % of each side"),
        (
            &["50%:49"],
            "invalid rung 50%:49; expected 50 kbit/s at least, and less than of the whole picture",
        ),
        (
            &["50%:1500"],
            "invalid rung 50%:1500; expected 50 kbit/s at least, and less than of the whole picture",
        ),
        (&["50%:300:0"], "invalid rung 50%:300:0; expected 1 to 120 frames per second"),
        (
            &["50%:300", "25%:300"],
            "invalid rung 25%:300; expected another bitrate than of the others, and the larger picture to have more",
        ),
        (
            &["50%:300", "75%:200"],
            "invalid rung 75%:200; expected another bitrate than of the others, and the larger picture to have more",
        ),
        (
            &["50%:300", "50%:200", "50%:250", "50%:100"],
            "4 rungs; expected 3 at most, beside the whole picture",
        ),
    ] {
        let rungs: Vec<RungConfig> = rungs.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(refused(config().rungs(rungs)).to_string(), said);
    }
    let size = FrameSize::new(4096, 4096).unwrap();
    let error = refused(config().size(size));
    assert!(matches!(error, SessionError::Size { size: given, .. } if given == size));
    let error = refused(config().microphone_rate(44_100));
    assert!(matches!(error, SessionError::MicrophoneRate(44_100)));
    assert!(matches!(refused(config().max_peers(0)), SessionError::NoPlace));
    for adapts in [config().max_peers(1), config().encoded(VideoCodec::H264)] {
        let adapts = adapts.adaptive_encoder(true);
        assert!(matches!(refused(adapts), SessionError::AdaptiveEncoder));
    }
    let loops = Engine::start(EngineConfig::default().media_loops(0)).map(|_| ()).unwrap_err();
    assert!(matches!(loops, StartError::MediaLoops(0)));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let first = engine();
    let config = EngineConfig::default().udp(first.udp_addr());
    let error = Engine::start(config).unwrap_err();
    assert!(matches!(error, StartError::Bind { .. }));
    assert!(error.to_string().contains(&first.udp_addr().port().to_string()), "{error}");
}

#[test]
fn broken_offers_are_spoken_errors() {
    let engine = engine();
    let _session = engine.create_session(SessionConfig::default()).unwrap();
    let handle = engine.handle();
    let offer = |session: &str, sdp: &str| {
        let session = SessionId::new(session).unwrap();
        handle.connect(&session, None, sdp).unwrap_err()
    };
    assert!(matches!(offer("default", ""), OfferError::Sdp(_)));
    assert!(matches!(offer("default", "v=0\r\ngarbage"), OfferError::Sdp(_)));
    assert!(matches!(offer("nowhere", ""), OfferError::NoSession(_)));
    assert!(handle.add_candidate(handle.new_peer_id(), "nonsense").is_err());
    assert!(handle.add_candidate(handle.new_peer_id(), "").is_ok());
    handle.disconnect(handle.new_peer_id());
}

#[test]
fn after_the_engine_everything_says_stopped() {
    let engine = engine();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    let handle = engine.handle();
    engine.stop();
    assert!(handle.connect(&SessionId::default(), None, "v=0").is_err());
    assert!(handle.renegotiate(handle.new_peer_id(), "v=0", |_| {}).is_err());
    session.stop();
}
