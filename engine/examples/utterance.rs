//! Says something that is made faster than it plays: two seconds of a tone, and a picture for each tenth of a second.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the terminal")]

mod common;

use std::error::Error;
use std::f64::consts::TAU;
use std::thread;
use std::time::Duration;

use visavis::SessionConfig;
use visavis::audio::AudioChunk;
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoFrame};

const RATE_HZ: u32 = 24_000;

fn main() -> Result<(), Box<dyn Error>> {
    let [offer] = common::arguments("Plays a viewer a tone with pictures.", ["OFFER.sdp"]);
    let engine = common::engine()?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let viewer = common::answer(&engine, &session, &offer)?;
    // What is said before somebody is there is heard by nobody.
    while session.status().peer_count == 0 {
        if !engine.handle().has_peer(session.id(), viewer) {
            return Err("the viewer did not connect".into());
        }
        thread::sleep(Duration::from_millis(20));
    }

    // Stamps count from the beginning of the utterance.
    let utterance = session.begin_utterance(UnixMillis(0))?;
    for tenth in 0..20_u32 {
        let first = tenth * RATE_HZ / 10;
        let tone = (first..first + RATE_HZ / 10)
            .map(|n| (8_000.0 * (TAU * 440.0 * f64::from(n) / f64::from(RATE_HZ)).sin()) as i16);
        let data: Vec<u8> = tone.flat_map(i16::to_le_bytes).collect();
        let timestamp = UnixMillis(u64::from(tenth) * 100);
        let chunk = AudioChunk::new(&data, RATE_HZ, 1).timestamp(timestamp);
        utterance.push_audio_within(&chunk, Duration::from_secs(10))?;
        let pixels = vec![tenth as u8 * 10; 128 * 128 * 3];
        let frame =
            VideoFrame::new(&pixels, 128, 128).format(PixelFormat::Rgb).timestamp(timestamp);
        utterance.push_video_within(&frame, Duration::from_secs(10))?;
    }
    let progress = utterance.progress();
    utterance.end();
    while !progress.is_over() {
        thread::sleep(Duration::from_millis(100));
    }
    println!("{:?} were said", progress.sent());
    Ok(())
}
