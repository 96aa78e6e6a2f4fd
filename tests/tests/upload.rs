//! Uploaded speech in a real Chromium.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use visavis::{Engine, EngineConfig, SessionConfig};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Turn, Watcher};

/// Of the tone that is uploaded, of 1.
const LEVEL: f64 = 0.25;

/// ffmpeg would take 3 dB off each side.
const BOTH_SIDES: &str = "pan=stereo|c0=c0|c1=c0";

/// Three seconds of a tone, as ffmpeg writes it to a pipe.
fn tone(hz: f64, rate: u32, format: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let source = format!("aevalsrc={LEVEL}*sin(2*PI*{hz}*t):s={rate}:d=3");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &source])
        .args(format)
        .arg("-")
        .output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// Uploads sound; the answer.
fn upload(server: SocketAddr, kind: &str, body: &[u8]) -> Result<Value, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(server).map_err(failed)?;
    let head = format!(
        "POST /webrtc/sessions/default/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer in HTTP")?;
    serde_json::from_str(body).map_err(|error| format!("{error}: {answer}"))
}

#[test]
fn an_uploaded_tone_keeps_its_pitch_and_level() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(any))?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let mut config = SignalingConfig::default().listen(any);
    config.api.manage = true;
    let signaling = SignalingServer::start(config, engine.handle())?;
    let server = signaling.local_addr();
    let watcher = Watcher::open(&format!("http://{server}/?autostart=1"), Microphone::Absent)?;
    for (kind, hz, rate, format) in [
        ("audio/wav", 440.0, 44_100, &["-c:a", "pcm_s24le", "-f", "wav"][..]),
        ("audio/mpeg", 660.0, 24_000, &["-b:a", "64k", "-f", "mp3"]),
        ("audio/L16;rate=16000", 880.0, 16_000, &["-f", "s16be"]),
        ("audio/pcm;rate=48000;channels=2", 550.0, 48_000, &["-af", BOTH_SIDES, "-f", "s16le"]),
    ] {
        let sound = tone(hz, rate, format)?;
        let uploading = thread::spawn(move || upload(server, kind, &sound));
        // Past the beginning and what the jitter buffer keeps.
        thread::sleep(Duration::from_millis(800));
        let (heard_hz, level): (f64, f64) = watcher.hear_tone()?;
        let played = uploading.join().map_err(|_| "the upload panicked")??;
        let off_db = 20.0 * (level / LEVEL).log10();
        println!("{kind} at {hz} Hz: heard {heard_hz:.1} Hz, {off_db:+.2} dB; {played}");
        assert!((heard_hz - hz).abs() < 0.01 * hz, "{kind}: {heard_hz} Hz");
        assert!(off_db.abs() < 1.5, "{kind}: {off_db} dB");
        let played_ms = played["playedMs"].as_u64().unwrap_or(0);
        assert!((2_990..=3_150).contains(&played_ms), "{kind}: {played}");
    }
    Ok(())
}
