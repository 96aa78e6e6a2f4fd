//! Passes on what is encoded already: an H264 file (Annex B, each picture behind an access unit delimiter, as
//! `ffmpeg -bsf:v h264_metadata=aud=insert` writes it), round and round for ten seconds. No encoder runs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the terminal")]

mod common;

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use visavis::SessionConfig;
use visavis::video::{EncodedFrame, VideoCodec};

const DELIMITER: [u8; 5] = [0, 0, 0, 1, 9];

fn main() -> Result<(), Box<dyn Error>> {
    let about = "Passes an H264 file on to a viewer.";
    let [offer, file] = common::arguments(about, ["OFFER.sdp", "FILE.h264"]);
    let file = std::fs::read(file)?;
    let mut starts: Vec<usize> =
        (0..file.len()).filter(|&at| file[at..].starts_with(&DELIMITER)).collect();
    starts.push(file.len());
    let units: Vec<&[u8]> = starts.windows(2).map(|range| &file[range[0]..range[1]]).collect();

    let engine = common::engine()?;
    let session =
        engine.create_session(SessionConfig::default().encoded(VideoCodec::H264).fps(25))?;
    session.start();
    common::answer(&engine, &session, &offer)?;
    let (video, began) = (session.encoded_video(), Instant::now());
    for data in units.iter().cycle() {
        if began.elapsed() > Duration::from_secs(10) {
            break;
        }
        // Whether it is a keyframe is seen in it.
        video.push(&EncodedFrame::new(data, VideoCodec::H264))?;
        thread::sleep(Duration::from_millis(40));
    }
    println!("{} pictures were passed on", session.status().metrics.encoded_frames);
    Ok(())
}
