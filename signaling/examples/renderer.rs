//! A face that is drawn, speaks, is silent when somebody else speaks, and listens; docs/integrate.md shows it.
#![allow(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use visavis::audio::AudioChunk;
use visavis::peer::PeerId;
use visavis::units::UnixMillis;
use visavis::video::PixelFormat;
use visavis::{Engine, EngineConfig, Event, SessionConfig};
use visavis_signaling::{SignalingConfig, SignalingServer};

fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:8081".to_owned());
    let engine = Engine::start(EngineConfig::default())?;
    let face = Arc::new(engine.create_session(SessionConfig::default())?);
    let config = SignalingConfig::default().listen(listen.parse::<SocketAddr>()?);
    let server = SignalingServer::start(config, engine.handle())?;
    println!("open {}", server.url());
    face.start();

    let microphone = face.microphone();
    thread::spawn(move || {
        microphone.iter().for_each(|chunk| recognise(chunk.peer, &chunk.samples))
    });
    let speech = engine.handle().subscribe_to(|event| matches!(event, Event::SpeechStarted { .. }));
    let interrupted = Arc::clone(&face);
    thread::spawn(move || {
        for _ in speech.iter() {
            interrupted.interrupt();
        }
    });

    let sentence = face.begin_utterance(UnixMillis(0))?;
    sentence.push_audio(&AudioChunk::new(&speak(), 24_000, 1).timestamp(UnixMillis(0)))?;
    let said = sentence.progress();
    sentence.end();

    let video = face.video();
    for number in 0.. {
        // Memory of the engine; none where four pictures are on their way already.
        if let Some(mut rgba) = video.frame_memory(512, 512, PixelFormat::Rgba)? {
            if !render(&mut rgba, number) {
                break;
            }
            rgba.push(UnixMillis::now());
        }
        thread::sleep(Duration::from_millis(40));
    }
    println!("{:?} were said", said.sent());
    Ok(())
}

// In place of yours:

/// Draws the next picture, 512×512; false where there is none.
fn render(rgba: &mut [u8], number: u8) -> bool {
    rgba.fill(number);
    number < 50
}

/// A sentence, 16 bits, 24 kHz, mono.
fn speak() -> Vec<u8> {
    vec![0; 24_000 * 2]
}

fn recognise(peer: PeerId, samples: &[i16]) {
    println!("{peer}: {} samples", samples.len());
}
