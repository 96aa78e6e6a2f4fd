//! Pushes pictures: a grey that changes, 25 times a second, for ten seconds.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the terminal")]

mod common;

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use visavis::SessionConfig;
use visavis::video::VideoFrame;

const SIDE: u32 = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let [offer] = common::arguments("Shows a viewer a grey that changes.", ["OFFER.sdp"]);
    let engine = common::engine()?;
    let session = engine.create_session(SessionConfig::default().fps(25))?;
    session.start();
    common::answer(&engine, &session, &offer)?;

    let (video, began) = (session.video(), Instant::now());
    let mut pixels = vec![0; (SIDE * SIDE * 4) as usize];
    while began.elapsed() < Duration::from_secs(10) {
        pixels.fill(began.elapsed().as_millis() as u8);
        let frame = VideoFrame::new(&pixels, SIDE, SIDE);
        // The pixels are copied: they may be painted over at once.
        video.push(&frame)?;
        thread::sleep(Duration::from_millis(40));
    }
    println!("{} pictures were encoded", session.status().metrics.encoded_frames);
    Ok(())
}
