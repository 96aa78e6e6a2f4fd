//! Listens to viewers for ten seconds, and tells who speaks and how much was heard.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the terminal")]

mod common;

use std::error::Error;
use std::time::{Duration, Instant};

use visavis::{Event, SessionConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let [offer] = common::arguments("Listens to a viewer's microphone.", ["OFFER.sdp"]);
    let engine = common::engine()?;
    let session = engine.create_session(SessionConfig::default().microphone_rate(16_000))?;
    session.start();
    let events = engine.handle().subscribe();
    // From now on microphones are decoded.
    let microphone = session.microphone();
    common::answer(&engine, &session, &offer)?;

    let (mut samples, until) = (0, Instant::now() + Duration::from_secs(10));
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Ok(chunk) = microphone.recv_timeout(left.min(Duration::from_millis(100))) {
            samples += chunk.samples.len();
        }
        for event in events.try_iter() {
            match event {
                Event::PeerJoined { peer, .. } => println!("{peer} is here"),
                Event::SpeechStarted { peer, .. } => println!("{peer} speaks"),
                Event::SpeechEnded { peer, .. } => println!("{peer} is silent"),
                _ => {}
            }
        }
    }
    println!("{:.1} s were heard", samples as f64 / 16_000.0);
    Ok(())
}
