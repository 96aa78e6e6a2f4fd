//! Sessions of a fixed size, whatever is pushed into them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod viewer;

use std::time::Duration;

use viewer::Viewer;
use visavis::session::{PushOutcome, SessionId};
use visavis::video::{FrameSize, PixelFormat, VideoCodec, VideoFrame, VideoFrameError};
use visavis::{Engine, EngineConfig, SessionConfig};
use visavis_codec::H264Decoder;
use visavis_types::I420Buffer;

/// A picture with `left` in its left half and `right` in its right one.
fn halves(width: u32, height: u32, left: u8, right: u8) -> Vec<u8> {
    let row = |half: u8| std::iter::repeat_n(half, width as usize / 2);
    let rows = (0..height).flat_map(|_| row(left).chain(row(right)));
    let mut picture: Vec<u8> = rows.collect();
    picture.resize(picture.len() * 3 / 2, 128);
    picture
}

#[test]
fn every_picture_has_the_size_of_the_session() {
    let udp = ([127, 0, 0, 1], 0);
    let engine = Engine::start(EngineConfig::default().udp(udp)).unwrap();
    let size = FrameSize::new(320, 240).unwrap();
    let config = SessionConfig::default().size(Some(size)).idle_grace(Duration::from_millis(200));
    let session = engine.create_session(config.clone()).unwrap();
    session.start();
    let mut viewer = Viewer::join_for_units(&engine.handle(), &config.id);
    // The idle loop's own size is 512×512.
    viewer.run_until(|viewer| viewer.units.len() >= 3);
    let idle = viewer.units.len();
    for (width, height) in [(640, 360), (64, 128), (320, 240)] {
        let (before, data) = (viewer.units.len(), halves(width, height, 60, 200));
        viewer.push_until(
            |viewer| viewer.units.len() >= before + 5,
            || {
                let frame = VideoFrame::new(&data, width, height).format(PixelFormat::I420);
                session.video().push(&frame).unwrap();
            },
        );
    }
    session.stop();

    let (mut decoder, mut seen) = (H264Decoder::new().unwrap(), Vec::new());
    let mut picture = I420Buffer::new(size);
    for unit in &viewer.units {
        if decoder.decode(unit, Duration::ZERO, &mut picture).unwrap().is_some() {
            let row = &picture.y()[120 * picture.y_stride()..];
            seen.push((picture.size(), row[60], row[260]));
        }
    }
    assert!(seen.len() > idle + 10, "{} pictures", seen.len());
    assert!(seen.iter().all(|(own, ..)| *own == size), "{seen:?}");
    let last = seen[seen.len() - 8..].iter();
    assert!(last.clone().all(|(_, left, right)| *left < 80 && *right > 180), "{last:?}");
}

#[test]
fn a_picture_that_no_encoder_of_the_session_takes_is_refused_at_the_push_and_the_next_is_taken() {
    let udp = ([127, 0, 0, 1], 0);
    let engine = Engine::start(EngineConfig::default().udp(udp)).unwrap();
    let session = |id: &str, video_codecs: &[VideoCodec], size| {
        let id = SessionId::new(id).unwrap();
        let video_codecs = video_codecs.to_vec();
        let config = SessionConfig::default().id(id).video_codecs(video_codecs).size(size);
        let session = engine.create_session(config).unwrap();
        session.start();
        session
    };
    let (width, height) = (4_096, 2_304);
    let data = vec![128; (width * height * 3 / 2) as usize];
    let format = PixelFormat::I420;
    let large = VideoFrame::new(&data, width, height).format(format);
    let size = FrameSize::new(width, height).unwrap();

    let h264 = session("h264", &[VideoCodec::H264], None);
    let refused = h264.video().push(&large).unwrap_err();
    let VideoFrameError::TooLarge { size: given, most } = refused else { panic!("{refused}") };
    assert_eq!((given, most), (size, FrameSize::new(3_840, 2_160).unwrap()));
    assert!(refused.to_string().contains("3840x2160"), "{refused}");
    let place = h264.video().frame_memory(width, height, format);
    assert!(matches!(place, Err(VideoFrameError::TooLarge { .. })));
    let small = VideoFrame::new(&data[..64 * 64 * 3 / 2], 64, 64).format(format);
    assert_eq!(h264.video().push(&small).unwrap(), PushOutcome::Accepted);

    // VP8 can, and a session of a fixed size makes it smaller.
    let either = session("either", &[VideoCodec::H264, VideoCodec::Vp8], None);
    assert_eq!(either.video().push(&large).unwrap(), PushOutcome::Accepted);
    let fixed = session("fixed", &[VideoCodec::H264], FrameSize::new(640, 360).ok());
    assert_eq!(fixed.video().push(&large).unwrap(), PushOutcome::Accepted);
}
