//! Pictures and sound that the caller encoded, up to a viewer that is not ours (str0m as a client).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use viewer::Viewer;
use visavis::audio::{AudioChunk, AudioChunkError, EncodedAudio, EncodedAudioError};
use visavis::rtp_input::{RtpInput, RtpInputConfig, RtpInputError};
use visavis::session::PushOutcome;
use visavis::video::{
    BitstreamError, EncodedFrame, EncodedFrameError, VideoCodec, VideoFrame, VideoFrameError,
};
use visavis::{Engine, EngineConfig, Event, Session, SessionConfig};

const H264: VideoCodec = VideoCodec::H264;

fn engine() -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Engine::start(EngineConfig::default().udp(udp)).unwrap()
}

fn session(engine: &Engine, encoded: Option<VideoCodec>) -> Session {
    let session = engine.create_session(SessionConfig::default().encoded(encoded).idle(None));
    let session = session.unwrap();
    session.start();
    session
}

fn frame(codec: VideoCodec, data: &[u8]) -> EncodedFrame<'_> {
    EncodedFrame::new(data, codec)
}

fn opus(data: &[u8]) -> EncodedAudio<'_> {
    EncodedAudio::new(data)
}

/// An access unit of one slice; the bytes tell pictures apart.
fn picture(keyframe: bool, number: u8) -> Vec<u8> {
    let mut unit = Vec::new();
    if keyframe {
        unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40]);
        unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80]);
    }
    unit.extend([0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
    unit.extend([number | 0x80; 2_500]);
    unit
}

/// The numbers of the pictures a viewer got.
fn numbers(viewer: &Viewer) -> Vec<u8> {
    let last = viewer.video.iter().filter(|packet| packet.header.marker);
    last.map(|packet| packet.payload.last().unwrap() & 0x7f).collect()
}

#[test]
fn a_viewer_gets_what_was_pushed_from_a_keyframe_on() {
    let engine = engine();
    let events = engine.handle().subscribe();
    let session = session(&engine, Some(H264));
    let sink = session.encoded_video();
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected);
    let asked = |event: &Event| match event {
        Event::KeyframeRequested { session: of, codec, .. } => (of, codec) == (session.id(), &H264),
        _ => false,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let rest = || deadline.saturating_duration_since(Instant::now());
    while !asked(&events.recv_timeout(rest()).unwrap()) {}
    assert!(sink.take_keyframe_request());
    assert!(!sink.take_keyframe_request());

    for number in 0..6 {
        let unit = picture(number == 2, number);
        assert_eq!(sink.push(&frame(H264, &unit)), Ok(PushOutcome::Accepted));
        session.audio().push_opus(&opus(&[0xf8, number])).unwrap();
        viewer.run_for(Duration::from_millis(20));
    }
    viewer.run_until(|viewer| numbers(viewer).len() == 4 && viewer.audio.len() == 6);
    assert_eq!(numbers(&viewer), [2, 3, 4, 5]);
    let opus: Vec<u8> = viewer.audio.iter().map(|packet| packet.payload[1]).collect();
    assert_eq!(opus, [0, 1, 2, 3, 4, 5]);
    let times: Vec<u32> = viewer.audio.iter().map(|packet| packet.header.timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + 960), "{times:?}");
    let metrics = session.status().metrics;
    assert_eq!((metrics.video_frames, metrics.encoded_frames, metrics.keyframes), (6, 6, 1));
}

#[test]
fn unusable_input_is_refused_at_the_call() {
    let engine = engine();
    let session = session(&engine, Some(H264));
    let sink = session.encoded_video();
    let refused = |frame: EncodedFrame<'_>| sink.push(&frame).unwrap_err();
    assert_eq!(refused(frame(H264, &[])), EncodedFrameError::Empty);
    let huge = vec![0; EncodedFrame::MAX_BYTES + 1];
    assert_eq!(refused(frame(H264, &huge)), EncodedFrameError::TooLarge(huge.len()));
    let (given, wanted) = (VideoCodec::Vp8, H264);
    assert_eq!(refused(frame(given, &[1])), EncodedFrameError::Codec { given, session: wanted });
    let avcc = EncodedFrameError::Bitstream(BitstreamError::NoStartCode);
    assert_eq!(refused(frame(H264, &[0, 0, 0, 2, 0x65, 1])), avcc);
    assert_eq!(sink.push(&frame(H264, &picture(true, 1))), Ok(PushOutcome::Accepted));
    let pixels = vec![0; 64 * 64 * 4];
    let raw = VideoFrame::new(&pixels, 64, 64);
    assert_eq!(session.video().push(&raw), Err(VideoFrameError::EncodedSession));

    let audio = session.audio();
    assert!(matches!(audio.push_opus(&opus(&[])), Err(EncodedAudioError::Packet(_))));
    assert!(matches!(audio.push_opus(&opus(&[0xff])), Err(EncodedAudioError::Packet(_))));
    assert_eq!(audio.push_opus(&opus(&[0xf8])), Ok(PushOutcome::Accepted));
    let pcm = AudioChunk::new(&[0; 4], 48_000, 1);
    assert_eq!(audio.push(&pcm), Err(AudioChunkError::EncodedSession));
}

#[test]
fn a_raw_session_takes_nothing_encoded() {
    let engine = engine();
    let session = session(&engine, None);
    let pushed = session.encoded_video().push(&frame(H264, &picture(true, 1)));
    assert_eq!(pushed, Err(EncodedFrameError::RawSession));
    assert!(!session.encoded_video().take_keyframe_request());
    let video = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let input = RtpInput::start(&session, RtpInputConfig::default().video(video));
    assert!(matches!(input, Err(RtpInputError::RawSession)));
    let pcm = AudioChunk::new(&[0; 4], 48_000, 1);
    assert_eq!(session.audio().push(&pcm), Ok(PushOutcome::Accepted));
    assert_eq!(session.audio().push_opus(&opus(&[0xf8])), Err(EncodedAudioError::RawSession));
}

#[test]
fn a_session_of_one_codec_negotiates_no_other() {
    let engine = engine();
    for codec in VideoCodec::ALL {
        let session = session(&engine, Some(codec));
        let viewer = Viewer::join(&engine.handle(), session.id());
        for name in ["H264", "VP8", "VP9", "AV1"] {
            let offered = viewer.answer.contains(&format!("{name}/90000"));
            assert_eq!(offered, name == codec.name(), "{name} in a session of {codec}");
        }
    }
}

/// VP9 and AV1 units whose headers are right and whose rest is noise.
fn made_up(codec: VideoCodec, keyframe: bool, bytes: usize) -> Vec<u8> {
    let noise = (0..bytes).map(|i| (i * 31 + i / 255) as u8);
    let head: &[u8] = match (codec, keyframe) {
        (VideoCodec::Vp9, true) => &[0x82, 0x49, 0x83, 0x42],
        (VideoCodec::Vp9, false) => &[0x86],
        // A sequence header, then a frame whose size takes two bytes.
        (_, true) => &[0x0a, 3, 0, 0, 0, 0x32],
        (_, false) => &[0x32],
    };
    let mut unit = head.to_vec();
    if codec == VideoCodec::Av1 {
        let size = bytes + 1;
        unit.extend([size as u8 | 0x80, (size >> 7) as u8, if keyframe { 0x10 } else { 0x30 }]);
    }
    unit.extend(noise);
    unit
}

#[test]
fn vp9_and_av1_survive_a_depacketizer_that_is_not_ours() {
    let engine = engine();
    for codec in [VideoCodec::Vp9, VideoCodec::Av1] {
        let session = session(&engine, Some(codec));
        let sink = session.encoded_video();
        let mut viewer = Viewer::join_for_units(&engine.handle(), session.id());
        viewer.run_until(|viewer| viewer.connected);
        let sent: Vec<Vec<u8>> =
            (0..8).map(|i| made_up(codec, i % 4 == 0, [9_000, 500, 4_000, 1_300][i % 4])).collect();
        for unit in &sent {
            assert_eq!(sink.push(&frame(codec, unit)), Ok(PushOutcome::Accepted));
            viewer.run_for(Duration::from_millis(20));
        }
        // Put together of packets without gaps; the last is known to be whole by its marker.
        viewer.run_until(|viewer| viewer.units.len() == sent.len());
        assert_eq!(viewer.units, sent, "{codec}");
    }
}

#[test]
fn pushing_before_the_start_is_counted_and_parameter_sets_are_kept() {
    let engine = engine();
    let config = SessionConfig::default().encoded(Some(H264)).idle(None);
    let session = engine.create_session(config).unwrap();
    let sink = session.encoded_video();
    let keyframe = picture(true, 1);
    let (sets, bare) = keyframe.split_at(keyframe.len() - 2_505);
    assert_eq!(sink.push(&frame(H264, sets)), Ok(PushOutcome::NotStarted));
    assert_eq!(sink.push(&frame(H264, bare)), Ok(PushOutcome::NotStarted));
    assert_eq!(session.status().metrics.video_frames, 1, "parameter sets are no picture");
    session.start();
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected);
    viewer.push_until(
        |viewer| !viewer.video.is_empty(),
        || {
            sink.push(&frame(H264, bare)).unwrap();
        },
    );
    let first = &viewer.video[0].payload;
    assert_eq!((first[0] & 0x1f, first[3] & 0x1f), (24, 7), "a STAP-A that begins with the SPS");
}

#[test]
fn rtp_goes_through_from_socket_to_viewer() {
    let engine = engine();
    let session = session(&engine, Some(H264));
    let any = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let config = RtpInputConfig::default().video(any).audio(any);
    let input = RtpInput::start(&session, config).unwrap();
    let (video, audio) = (input.video_addr().unwrap(), input.audio_addr().unwrap());
    let taken = RtpInput::start(&session, config.video(Some(video)));
    assert!(matches!(taken, Err(RtpInputError::Bind { addr, .. }) if addr == video));

    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.send_to(b"no RTP at all", video).unwrap();
    let mut sequence = 0_u16;
    viewer.push_until(
        |viewer| viewer.video.len() > 5 && viewer.audio.len() > 5,
        || {
            let timestamp = u32::from(sequence) * 1_800;
            let idr: &[u8] = &[0x65, 0x88, 1, 2, 3];
            // SPS and PPS in a STAP-A, then the slice.
            let sets: &[u8] = &[
                0x78, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 0, 4, 0x68, 0xce,
                0x38, 0x80,
            ];
            for (payload, marker) in [(sets, false), (idr, true)] {
                socket.send_to(&rtp(7, sequence, timestamp, marker, payload), video).unwrap();
                sequence += 1;
            }
            let time = u32::from(sequence / 2) * 960;
            socket.send_to(&rtp(8, sequence / 2, time, false, &[0xf8, 42]), audio).unwrap();
        },
    );
    assert!(viewer.audio.iter().all(|packet| packet.payload[..] == [0xf8, 42]));
    let times: Vec<u32> = viewer.audio.iter().map(|packet| packet.header.timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 960), "{times:?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while input.status().video.counters.packets == 0 && Instant::now() < deadline {
        socket.send_to(&rtp(7, sequence, 9, true, &[0x65, 1]), video).unwrap();
        sequence += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        (input.status().video.counters.ignored, input.status().video.counters.dropped_units),
        (1, 0)
    );
    drop(input);
    assert!(UdpSocket::bind(video).is_ok(), "the port is free again");
}

fn rtp(ssrc: u32, sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x80, 96 | u8::from(marker) << 7];
    datagram.extend(sequence.to_be_bytes());
    datagram.extend(timestamp.to_be_bytes());
    datagram.extend(ssrc.to_be_bytes());
    datagram.extend(payload);
    datagram
}
