//! Sessions of a fixed size, whatever is pushed into them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod viewer;

use std::time::Duration;

use viewer::Viewer;
use visavis::{
    Engine, EngineConfig, FrameSize, PixelFormat, SessionConfig, UnixMillis, VideoFrame,
};
use visavis_codec::{H264Decoder, I420Buffer};

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
    let udp = "127.0.0.1:0".parse().unwrap();
    let engine = Engine::start(EngineConfig { udp, ..EngineConfig::default() }).unwrap();
    let size = FrameSize::new(320, 240).unwrap();
    let config = SessionConfig {
        size: Some(size),
        idle_grace: Duration::from_millis(200),
        ..SessionConfig::default()
    };
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
                let (timestamp, format) = (UnixMillis::now(), PixelFormat::I420);
                let frame = VideoFrame { data: &data, width, height, format, timestamp };
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
