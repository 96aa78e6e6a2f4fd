//! A flash and a click at one instant, each second, for as long as it runs: what lip sync is measured by,
//! and how an application pushes sound and pictures, live or ahead of their time.
//!
//! `cargo run -p visavis-cli --release --example flash_and_click -- live`
//! `cargo run -p visavis-cli --release --example flash_and_click -- utterance`
//!
//! Behind `live`, in ms: by how much all stamps are off, and by how much more half a minute after the start, as where
//! a clock is set; a third number is how much a single picture is off then.
//!
//! Prints a line of JSON with the address of the page.

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use visavis::audio::AudioChunk;
use visavis::session::PushOutcome;
use visavis::units::UnixMillis;
use visavis::video::VideoFrame;
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_signaling::{SignalingConfig, SignalingServer};

const FPS: u64 = 30;
const SIDE: u32 = 512;
const RATE_HZ: u32 = 24_000;
/// Sound is pushed in chunks of 20 ms.
const CHUNK: Duration = Duration::from_millis(20);
const CHUNKS: u32 = 50;
const CHUNK_SAMPLES: usize = (RATE_HZ / CHUNKS) as usize;
const UTTERANCE_SECONDS: u64 = 10;
/// What a browser keeps of sound that comes with the jitter of threads, and not of pictures.
const VOICE_FIRST: Duration = Duration::from_millis(32);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let mut ms = || arguments.next().map_or(Ok(0), |text| text.parse::<i64>());
    let wrong = Wrong { always_ms: ms()?, step_ms: ms()?, once_ms: ms()? };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(any))?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let config = SignalingConfig::default().listen(any);
    let signaling = SignalingServer::start(config, engine.handle())?;
    let mut out = std::io::stdout();
    writeln!(out, r#"{{"ready":true,"url":"http://{}/"}}"#, signaling.local_addr())?;
    out.flush()?;
    let scene = Scene::new();
    match mode.as_str() {
        "live" => live(&session, &scene, wrong),
        "utterance" => utterances(&session, &scene),
        _ => Err("say live or utterance".into()),
    }
}

/// How wrong the clock is that stamps what is pushed live.
#[derive(Debug, Clone, Copy)]
struct Wrong {
    always_ms: i64,
    step_ms: i64,
    once_ms: i64,
}

/// When the clock is set.
const STEP_AFTER: Duration = Duration::from_secs(30);

impl Wrong {
    /// The stamp of what is captured then.
    fn stamp(self, first: u64, at: Duration) -> UnixMillis {
        let step = if at < STEP_AFTER { 0 } else { self.step_ms };
        let right = first.saturating_add(at.as_millis() as u64);
        UnixMillis(right.saturating_add_signed(self.always_ms.saturating_add(step)))
    }
}

/// A speech source and a renderer, each on its own thread. Sound is pushed slightly before the picture of the same
/// moment, as with renderers that move the lips to the sound.
fn live(session: &Session, scene: &Scene, wrong: Wrong) -> Result<(), Box<dyn Error>> {
    let (video, audio) = (session.video(), session.audio());
    let (start, first) = (Instant::now() + Duration::from_millis(100), UnixMillis::now().0 + 100);
    let wait_for = |at: Duration| {
        thread::sleep((start + at).saturating_duration_since(Instant::now()));
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for chunk in 0.. {
                wait_for((CHUNK * chunk).saturating_sub(VOICE_FIRST));
                let stamp = wrong.stamp(first, CHUNK * chunk);
                if audio.push(&scene.sound(chunk, stamp)).is_err() {
                    return;
                }
            }
        });
        for frame in 0.. {
            let at = time_of(frame);
            wait_for(at);
            let mut stamp = wrong.stamp(first, at);
            if frame == STEP_AFTER.as_secs() * FPS {
                stamp = UnixMillis(stamp.0.saturating_add_signed(wrong.once_ms));
            }
            video.push(&scene.picture(frame, stamp))?;
        }
        Ok(())
    })
}

/// All is pushed as fast as it is taken, with times inside the utterance.
fn utterances(session: &Session, scene: &Scene) -> Result<(), Box<dyn Error>> {
    loop {
        let utterance = session.begin_utterance(UnixMillis(0))?;
        let patience = || thread::sleep(Duration::from_millis(20));
        for second in 0..UTTERANCE_SECONDS {
            for frame in second * FPS..(second + 1) * FPS {
                let at = UnixMillis(time_of(frame).as_millis() as u64);
                while utterance.push_video(&scene.picture(frame, at))? == PushOutcome::Full {
                    patience();
                }
            }
            for chunk in second as u32 * CHUNKS..(second as u32 + 1) * CHUNKS {
                let at = UnixMillis((CHUNK * chunk).as_millis() as u64);
                while utterance.push_audio(&scene.sound(chunk, at))? == PushOutcome::Full {
                    patience();
                }
            }
        }
        utterance.end();
    }
}

fn time_of(frame: u64) -> Duration {
    Duration::from_micros(frame * 1_000_000 / FPS)
}

/// The pictures and sounds to push.
struct Scene {
    dark: Vec<u8>,
    bright: Vec<u8>,
    quiet: Vec<u8>,
    click: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let gray = |level: u8| vec![level; (SIDE * SIDE * 4) as usize];
        // 5 ms of 1 kHz, loud from its first sample on.
        let wave =
            |i: usize| (i as f64 / f64::from(RATE_HZ) * 1_000.0 * std::f64::consts::TAU).cos();
        let click =
            (0..CHUNK_SAMPLES).map(|i| if i < 120 { (wave(i) * 24_000.0) as i16 } else { 0 });
        Self {
            dark: gray(40),
            bright: gray(230),
            quiet: vec![0; CHUNK_SAMPLES * 2],
            click: click.flat_map(i16::to_le_bytes).collect(),
        }
    }

    /// A flash lasts for three pictures.
    fn picture(&self, frame: u64, timestamp: UnixMillis) -> VideoFrame<'_> {
        let data = if frame % FPS < 3 { &self.bright } else { &self.dark };
        VideoFrame::new(data, SIDE, SIDE).timestamp(timestamp)
    }

    fn sound(&self, chunk: u32, timestamp: UnixMillis) -> AudioChunk<'_> {
        let data = if chunk.is_multiple_of(CHUNKS) { &self.click } else { &self.quiet };
        AudioChunk::new(data, RATE_HZ, 1).timestamp(timestamp)
    }
}
