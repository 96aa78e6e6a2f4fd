//! What a visitor says into a real Chromium, as the application hears it.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use visavis::{Engine, EngineConfig, MicChunk, PixelFormat, SessionConfig, UnixMillis, VideoFrame};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, RELAY, Turn, Watcher, Weather, root};

const RATE: usize = 16_000;

/// How long is listened.
const LISTEN: Duration = Duration::from_secs(10);

/// Echo cancellation and its like change what is said, as they should; here they would hide what the way
/// does to it. And a browser that may use the microphone tells its addresses: without them the server
/// finds it where the weather is.
const UNTOUCHED_AND_UNNAMED: &str = r"
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (asked) => get({ ...asked, audio: asked.audio && {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1,
} });
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  const message = JSON.parse(text);
  if (message.type === 'ice-candidate') return;
  if (message.type === 'offer') {
    message.data.sdp = message.data.sdp.replace(/a=candidate:.*\r\n/g, '');
  }
  send.call(this, JSON.stringify(message));
};
";

const SWITCH_ON: &str = "await visavis.client.setMicrophone(true); return null;";

/// Says the fixture's sentence in a browser and returns what arrives.
fn hear(loss: f64) -> Result<Vec<MicChunk>, Box<dyn std::error::Error>> {
    let weather = Weather::start()?;
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, weather.port()?));
    let engine = Engine::start(EngineConfig {
        udp,
        announce: vec![RELAY.into()],
        ..EngineConfig::default()
    })?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = SignalingConfig { listen, ..SignalingConfig::default() };
    let signaling = SignalingServer::start(config, engine.handle())?;

    // The page wants a picture.
    let (video, stop) = (session.video(), Arc::new(AtomicBool::new(false)));
    let stopping = Arc::clone(&stop);
    let painter = thread::spawn(move || {
        let data = vec![128; 64 * 64 * 3 / 2];
        while !stopping.load(Relaxed) {
            let (format, timestamp) = (PixelFormat::I420, UnixMillis::now());
            let _ =
                video.push(&VideoFrame { data: &data, width: 64, height: 64, format, timestamp });
            thread::sleep(Duration::from_millis(66));
        }
    });

    let speech = root().join("fixtures/speech.wav").display().to_string();
    let url = format!("http://{}/?autostart=1", signaling.local_addr());
    let microphone = Microphone::Plays(speech.leak());
    let watcher = Watcher::open_with(&url, microphone, UNTOUCHED_AND_UNNAMED)?;
    let microphone = session.microphone();
    watcher.page.eval::<Value>(SWITCH_ON)?;
    let first = microphone.next_timeout(Duration::from_secs(20)).ok_or("nothing was heard")?;
    weather.lose_from_viewers(loss);
    let until = Instant::now() + LISTEN;
    let mut chunks = vec![first];
    while let Some(rest) = until.checked_duration_since(Instant::now()) {
        chunks.extend(microphone.next_timeout(rest));
    }
    println!("{} chunks, {:?} datagrams lost", chunks.len(), weather.lost());
    stop.store(true, Relaxed);
    let _ = painter.join();
    signaling.stop();
    session.stop();
    engine.stop();
    Ok(chunks)
}

/// The sentence at the rate at which it is heard.
fn source() -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let speech = root().join("fixtures/speech.wav");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(speech)
        .args(["-ar", &RATE.to_string(), "-ac", "1", "-f", "s16le", "-"])
        .output()?;
    Ok(output.stdout.chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]]))).collect())
}

/// Normalized correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt().max(1e-9)
}

/// The median, over pieces of half a second that are no silence, of the best correlation with any place
/// of the source.
fn likeness(heard: &[f64], source: &[f64]) -> f64 {
    const PIECE: usize = RATE / 2;
    let source = [source, source].concat();
    let loud = |piece: &&[f64]| piece.iter().map(|s| s * s).sum::<f64>() / PIECE as f64 > 250_000.0;
    let mut best: Vec<f64> = Vec::new();
    let mut near: Option<usize> = None;
    for (index, piece) in heard.chunks_exact(PIECE).enumerate().filter(|(_, piece)| loud(piece)) {
        let at =
            |from: usize| source.get(from..from + PIECE).map_or(-1.0, |b| correlation(piece, b));
        // The whole source the first time, around the same place from then on.
        let expected = near.map(|offset| (offset + index * PIECE) % (source.len() / 2));
        let candidates: Vec<usize> = match expected {
            Some(at) => (at.saturating_sub(800)..at + 800).collect(),
            None => (0..source.len() / 2).collect(),
        };
        let (found, place) = candidates
            .into_iter()
            .map(|from| (at(from), from))
            .fold((-1.0, 0), |best, next| if next.0 > best.0 { next } else { best });
        if found > 0.6 {
            let half = source.len() / 2;
            near = Some((place + half - index * PIECE % half) % half);
        }
        best.push(found);
    }
    best.sort_by(f64::total_cmp);
    println!("{:.3?}", best);
    best.get(best.len() / 2).copied().unwrap_or(0.0)
}

fn samples(chunks: &[MicChunk]) -> Vec<f64> {
    chunks.iter().flat_map(|chunk| &chunk.samples).map(|&sample| f64::from(sample)).collect()
}

/// The longest time between the end of a chunk and the beginning of the next.
fn longest_gap_ms(chunks: &[MicChunk]) -> u64 {
    let ms = |chunk: &MicChunk| (chunk.samples.len() * 1_000 / RATE) as u64;
    let gaps = chunks
        .windows(2)
        .map(|pair| pair[1].captured.0.saturating_sub(pair[0].captured.0 + ms(&pair[0])));
    gaps.max().unwrap_or(0)
}

#[test]
fn what_is_said_is_heard() -> Outcome {
    let _turn = Turn::take()?;
    let chunks = hear(0.0)?;
    let likeness = likeness(&samples(&chunks), &source()?);
    println!("likeness {likeness:.3}, longest gap {} ms", longest_gap_ms(&chunks));
    assert!(chunks.iter().all(|chunk| chunk.sample_rate == 16_000));
    assert!(chunks.len() >= 450, "{} chunks in {} s", chunks.len(), LISTEN.as_secs());
    assert!(likeness >= 0.9, "{likeness:.3}");
    Ok(())
}

#[test]
fn what_is_said_is_heard_though_a_twentieth_is_lost() -> Outcome {
    let _turn = Turn::take()?;
    let chunks = hear(0.05)?;
    let likeness = likeness(&samples(&chunks), &source()?);
    let concealed = chunks.iter().filter(|chunk| chunk.concealed).count();
    let gap = longest_gap_ms(&chunks);
    println!("likeness {likeness:.3}, {concealed} chunks concealed, longest gap {gap} ms");
    assert!(concealed > 5, "nothing was lost");
    assert!(likeness >= 0.8, "{likeness:.3}");
    assert!(gap <= 60, "{gap} ms without sound");
    Ok(())
}
