//! Many live faces in one process: `visavis-bench faces` measures what their viewers get.
//!
//! `cargo run -p visavis-cli --release --example live_sessions -- 45`
//!
//! They are named s0, s1 and so on; each shows the demo face with its speech, 512x512 at 30 fps, to one viewer. Prints
//! a line of JSON with the URL of the page (`?session=s0`).

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use visavis::audio::{AudioChunk, AudioSink};
use visavis::session::SessionId;
use visavis::video::{VideoFrame, VideoSink};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_cli::source::demo::Demo;
use visavis_cli::source::demo::face::Face;
use visavis_cli::source::demo::portrait::SIDE;
use visavis_cli::source::demo::speech::Speech;
use visavis_signaling::{SignalingConfig, SignalingServer};

const FPS: u32 = 30;

/// Pictures that are drawn once and shown round and round, forwards and back.
const PICTURES: u32 = 45;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).ok_or("how many sessions?")?.parse()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let max_peers = count as usize + 10;
    let engine = Engine::start(EngineConfig::default().udp(any).max_peers(max_peers))?;
    let sessions = (0..count)
        .map(|n| {
            let session = engine.create_session(
                SessionConfig::default().id(SessionId::new(&format!("s{n}"))?).max_peers(Some(1)),
            )?;
            session.start();
            Ok(session)
        })
        .collect::<Result<Vec<Session>, Box<dyn Error>>>()?;
    let (mut demo, mut pictures) = (Demo::new(FPS)?, Vec::new());
    for n in 0..PICTURES {
        let mut data = vec![0; Face::FRAME_BYTES];
        demo.draw(Duration::from_secs(1) * n / FPS, &mut data)?;
        pictures.push(data);
    }
    let video: Vec<VideoSink> = sessions.iter().map(Session::video).collect();
    let audio: Vec<AudioSink> = sessions.iter().map(Session::audio).collect();
    let speech = Speech::bundled()?;
    thread::spawn(move || show(&video, &pictures));
    thread::spawn(move || say(&audio, &speech));
    let config = SignalingConfig::default().listen(any).max_clients(max_peers);
    let signaling = SignalingServer::start(config, engine.handle())?;
    let mut out = std::io::stdout();
    writeln!(out, r#"{{"ready":true,"url":"http://{}/"}}"#, signaling.local_addr())?;
    out.flush()?;
    let _held = sessions;
    loop {
        thread::sleep(Duration::from_secs(3_600));
    }
}

/// Calls `each` with 0, 1, 2 and so on, in time; beats that were missed are left out.
fn beat(interval: Duration, mut each: impl FnMut(u64)) {
    let start = Instant::now();
    loop {
        let n = (start.elapsed().as_nanos() / interval.as_nanos().max(1)) as u64 + 1;
        let due = start + Duration::from_nanos(interval.as_nanos() as u64 * n);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        each(n);
    }
}

fn show(sinks: &[VideoSink], pictures: &[Vec<u8>]) {
    let round = pictures.len() as u64 * 2;
    beat(Duration::from_secs(1) / FPS, |n| {
        for (session, sink) in (0..).zip(sinks) {
            let at = (n + session * 7) % round;
            let at = at.min(round - 1 - at) as usize;
            let Some(data) = pictures.get(at) else { continue };
            let frame = VideoFrame::new(data, SIDE, SIDE);
            if let Err(error) = sink.push(&frame) {
                tracing::error!(%error, "a picture was refused");
            }
        }
    });
}

fn say(sinks: &[AudioSink], speech: &Speech) {
    let samples = (speech.rate_hz() / 50) as usize;
    let chunks: Vec<Vec<u8>> = speech
        .samples()
        .chunks_exact(samples)
        .map(|chunk| chunk.iter().flat_map(|sample| sample.to_le_bytes()).collect())
        .collect();
    // Push every chunk, also those that are late: speech must have no gaps.
    let mut said = 0_u64;
    beat(Duration::from_millis(20), |n| {
        while said < n {
            for (session, sink) in (0..).zip(sinks) {
                let at = (said + session * 11) as usize % chunks.len().max(1);
                let Some(data) = chunks.get(at) else { continue };
                let chunk = AudioChunk::new(data, speech.rate_hz(), 1);
                if let Err(error) = sink.push(&chunk) {
                    tracing::error!(%error, "sound was refused");
                }
            }
            said += 1;
        }
    });
}
