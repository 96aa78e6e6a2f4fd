//! Sessions that alternate between idle and live, and many of them at once, in a real Chromium.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use visavis::audio::{AudioChunk, AudioSink};
use visavis::idle::{IdleLoop, IdlePicture};
use visavis::session::SessionId;
use visavis::video::{PixelFormat, VideoCodec, VideoFrame};
use visavis::{Engine, EngineConfig, Event, Session, SessionConfig};
use visavis_bench::{Browser, Microphone};
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Recording, Turn, Watcher, wall_clock_ms};

const SIDE: u32 = 320;
const FPS: u32 = 30;
const RATE_HZ: u32 = 24_000;
const GRACE: Duration = Duration::from_millis(200);
const CHUNK: Duration = Duration::from_millis(20);

/// Live pictures are brighter than this, those of the idle loop darker.
const BETWEEN: f64 = 128.0;

/// One shade of gray.
fn gray(luma: u8) -> Vec<u8> {
    let pixels = (SIDE * SIDE) as usize;
    let mut picture = vec![luma; pixels];
    picture.resize(pixels * 3 / 2, 128);
    picture
}

/// A second of film that changes with each picture.
fn film() -> Result<IdleLoop, visavis::idle::IdleError> {
    IdleLoop::film(FPS, || {
        (0..FPS).map(|n| {
            let data = gray(50 + n as u8);
            IdlePicture::new(data, SIDE, SIDE).format(PixelFormat::I420)
        })
    })
}

fn push_picture(session: &Session, luma: u8) -> Outcome {
    let data = gray(luma);
    session.video().push(&VideoFrame::new(&data, SIDE, SIDE).format(PixelFormat::I420))?;
    Ok(())
}

/// Pushes a tone without an end, in time.
fn hum(audio: &AudioSink, hz: f64, amplitude: f64, stop: &AtomicBool) -> Outcome {
    let start = Instant::now();
    let samples = (RATE_HZ / 50) as u64;
    for chunk in 0u32.. {
        thread::sleep((start + CHUNK * chunk).saturating_duration_since(Instant::now()));
        if stop.load(Relaxed) {
            break;
        }
        let first = u64::from(chunk) * samples;
        let wave = |i: u64| (i as f64 / f64::from(RATE_HZ) * hz * std::f64::consts::TAU).sin();
        let samples = (first..first + samples).map(|i| (wave(i) * amplitude) as i16);
        let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
        audio.push(&AudioChunk::new(&data, RATE_HZ, 1))?;
    }
    Ok(())
}

/// The worst and the middle of some figures.
fn summary(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    (values.last().copied().unwrap_or(f64::NAN), middle)
}

fn switches(codec: VideoCodec, rounds: u32) -> Outcome {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(any))?;
    let session = engine.create_session(
        SessionConfig::default().video_codecs(vec![codec]).idle(Some(film()?)).idle_grace(GRACE),
    )?;
    let events = engine
        .handle()
        .subscribe_to(|event| matches!(event, Event::LiveStarted { .. } | Event::LiveEnded { .. }));
    session.start();
    let config = SignalingConfig::default().listen(any);
    let signaling = SignalingServer::start(config, engine.handle())?;
    let url = format!("http://{}/?autostart=1&codec={}", signaling.local_addr(), codec.name());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    thread::sleep(Duration::from_secs(2));
    Recording::start(&watcher.page)?;

    let stop = AtomicBool::new(false);
    let (mut started, mut ended) = (Vec::new(), Vec::new());
    let audio = session.audio();
    thread::scope(|scope| -> Outcome {
        let voice = scope.spawn(|| hum(&audio, 440.0, 10_000.0, &stop).map_err(|e| e.to_string()));
        let mut play = || -> Outcome {
            thread::sleep(Duration::from_secs(1));
            for _ in 0..rounds {
                let begin = Instant::now();
                started.push(wall_clock_ms());
                for n in 0..12u32 {
                    let at = begin + Duration::from_secs(1) * n / FPS;
                    thread::sleep(at.saturating_duration_since(Instant::now()));
                    push_picture(&session, 180 + (n % 10) as u8 * 4)?;
                }
                ended.push(wall_clock_ms());
                thread::sleep(GRACE + Duration::from_millis(400));
            }
            Ok(())
        };
        let played = play();
        stop.store(true, Relaxed);
        voice.join().map_err(|_| "the voice panicked")??;
        played
    })?;
    let Recording { sound, pictures } = Recording::take(&watcher.page)?;
    let status = session.status();
    signaling.stop();

    let first_after = |at: f64, bright: bool| {
        let mut later = pictures.iter().filter(|picture| picture.at > at);
        let first = later.find(|picture| (picture.brightness > BETWEEN) == bright);
        first.map_or(f64::NAN, |picture| picture.at - at)
    };
    let mut live: Vec<f64> = started.iter().map(|&at| first_after(at, true)).collect();
    let mut idle: Vec<f64> = ended.iter().map(|&at| first_after(at, false)).collect();
    // From the first push to well after the last switch, without the grace, which is meant.
    let gaps = pictures.windows(2).filter(|two| two[0].at > started[0] - 500.0);
    let grace_ms = GRACE.as_secs_f64() * 1_000.0;
    let mut gaps: Vec<f64> = gaps
        .map(|two| {
            let ends = two[0].brightness > BETWEEN && two[1].brightness < BETWEEN;
            two[1].at - two[0].at - if ends { grace_ms } else { 0.0 }
        })
        .collect();
    let darkest = pictures.iter().map(|picture| picture.brightness).fold(f64::INFINITY, f64::min);
    let heard = sound.iter().filter(|sound| sound.at > started[0]);
    let loudest_step = heard.map(|sound| sound.step).fold(0.0, f64::max);
    let ((live_most, live_usual), (idle_most, idle_usual)) =
        (summary(&mut live), summary(&mut idle));
    let (gap_most, gap_usual) = summary(&mut gaps);
    println!(
        "{codec}, {} switches: live seen after {live_usual:.0} ms, at most {live_most:.0}; idle after {idle_usual:.0}, \
         at most {idle_most:.0} (grace {grace_ms:.0}); gaps between pictures {gap_usual:.0} ms, at most {gap_most:.0}; \
         darkest {darkest}; largest step {loudest_step:.3}; {} encoded",
        2 * rounds,
        status.metrics.encoded_frames,
    );
    // What a quiet machine does is a tenth of it.
    assert!(live.iter().all(|ms| *ms < 1_500.0), "live at last after {live_most:.0} ms");
    assert!(idle.iter().all(|ms| *ms < 1_500.0), "idle at last after {idle_most:.0} ms");
    assert!(gaps.iter().all(|ms| *ms < 1_000.0), "frozen for {gap_most:.0} ms");
    assert!(darkest > 30.0, "a black picture: {darkest}");
    // 440 Hz at this level moves by 0.018 from one sample to the next.
    assert!(loudest_step < 0.1, "a click: {loudest_step}");
    // The idle loop is not encoded again and again.
    assert!(status.metrics.encoded_frames <= u64::from(rounds) * 12, "{status:?}");
    let told: Vec<bool> =
        events.try_iter().map(|event| matches!(event, Event::LiveStarted { .. })).collect();
    assert_eq!(told.len(), 2 * rounds as usize, "{told:?}");
    assert!(told.iter().step_by(2).all(|live| *live), "{told:?}");
    assert_eq!(status.metrics.stalls, u64::from(rounds));
    Ok(())
}

#[test]
fn a_hundred_switches_between_idle_and_live_are_seamless() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    switches(VideoCodec::H264, 50)
}

#[test]
fn switches_are_seamless_where_pictures_are_numbered() -> Outcome {
    // VP8 and VP9 number their pictures (RFC 7741 §4.2, RFC 9628 §4.2): the numbers jump at a switch.
    let _turn = Turn::take_without_programs()?;
    switches(VideoCodec::Vp8, 8)?;
    switches(VideoCodec::Vp9, 8)
}

const SESSIONS: u32 = 20;

/// Opens a client for each session.
const OPEN: &str = r"
const { VisavisClient } = await import('/visavis-client.js');
const open = async (session) => {
  const video = document.createElement('video');
  Object.assign(video, { muted: true, autoplay: true, playsInline: true });
  document.body.append(video);
  const client = new VisavisClient({ session });
  client.attach(video);
  await new Promise((resolve, reject) => {
    client.addEventListener('firstframe', resolve, { once: true });
    setTimeout(() => reject(new Error(`${session} shows nothing: ${client.state}`)), 60000);
    client.connect();
  });
  return { video, client };
};
window.opened = [];
for (let n = 0; n < SESSIONS; n += 1) opened.push(await open(`s${n}`));
return null;
";

/// What each of them shows, and how high it sounds.
const LOOK: &str = r"
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 8;
const context = canvas.getContext('2d', { willReadFrequently: true });
const pitch = async (track) => {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  // The usual distance from one upward crossing to the next in more than a second: stretched time and short
  // holes leave it alone.
  const distances = [];
  let [since, rate, last, until, heard] = [NaN, 48000, 0, 0, 0];
  while (heard < 1.3 * rate) {
    const { value } = await reader.read();
    const samples = new Float32Array(value.numberOfFrames);
    value.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
    rate = value.sampleRate;
    heard += samples.length;
    // A busy page is not given all there is.
    if (Math.abs(value.timestamp - until) > 1000) since = NaN;
    until = value.timestamp + value.duration;
    for (const sample of samples) {
      since += 1;
      if (last < 0 && sample >= 0) {
        // Where between two samples it crosses.
        const early = sample / (sample - last);
        if (!Number.isNaN(since)) distances.push(since - early);
        since = early;
      }
      last = sample;
    }
    value.close();
  }
  await reader.cancel();
  distances.sort((a, b) => a - b);
  return rate / distances[distances.length >> 1];
};
const found = [];
while (found.length < opened.length) {
  const some = opened.slice(found.length, found.length + 5);
  found.push(...await Promise.all(some.map(async ({ video }) => {
    context.drawImage(video, 0, 0, 8, 8);
    const [red, green, blue] = context.getImageData(4, 4, 1, 1).data;
    return { red, green, blue, hz: await pitch(video.srcObject.getAudioTracks()[0]) };
  })));
}
for (const { client } of opened) client.close();
return found;
";

#[derive(Debug, Deserialize)]
struct Found {
    red: i32,
    green: i32,
    blue: i32,
    hz: f64,
}

/// A colour that no other session has.
fn colour(n: u32) -> [u8; 3] {
    let level = |step: u32| 40 + (step * 60) as u8;
    [level(n % 3), level(n / 3 % 3), level(n / 9)]
}

#[test]
fn twenty_sessions_each_show_their_own_colour_and_sound_their_own_tone() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(any))?;
    let sessions = (0..SESSIONS)
        .map(|n| {
            let session = engine.create_session(
                SessionConfig::default()
                    .id(SessionId::new(&format!("s{n}"))?)
                    .fps(10)
                    .max_peers(Some(1)),
            )?;
            session.start();
            Ok(session)
        })
        .collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    let config = SignalingConfig::default().listen(any);
    let signaling = SignalingServer::start(config, engine.handle())?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.bypass_content_policy()?;
    page.open(&format!("http://{}/", signaling.local_addr()))?;

    let stop = AtomicBool::new(false);
    let found: Vec<Found> = thread::scope(|scope| -> Result<_, Box<dyn std::error::Error>> {
        let stop = &stop;
        for (n, session) in (0u32..).zip(&sessions) {
            let audio = session.audio();
            scope.spawn(move || hum(&audio, f64::from(300 + 50 * n), 8_000.0, stop).is_ok());
        }
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                for (n, session) in (0u32..).zip(&sessions) {
                    let data = colour(n).repeat(64 * 64);
                    let frame = VideoFrame::new(&data, 64, 64).format(PixelFormat::Rgb);
                    assert!(session.video().push(&frame).is_ok());
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        let look = || -> Result<_, Box<dyn std::error::Error>> {
            page.eval::<()>(&OPEN.replace("SESSIONS", &SESSIONS.to_string()))?;
            thread::sleep(Duration::from_secs(2));
            Ok(page.eval(LOOK)?)
        };
        let found = look();
        stop.store(true, Relaxed);
        found
    })?;
    assert_eq!(found.len(), SESSIONS as usize);
    for (n, found) in (0u32..).zip(&found) {
        let Found { red, green, blue, hz } = found;
        let wanted = colour(n).map(i32::from);
        let off = [red, green, blue].into_iter().zip(wanted).map(|(got, want)| (got - want).abs());
        // Colours differ by 60, tones by 50 Hz.
        assert!(off.max() < Some(12), "session {n} shows {found:?} instead of {wanted:?}");
        let expected = f64::from(300 + 50 * n);
        assert!((hz - expected).abs() < 15.0, "session {n} sounds {hz} instead of {expected} Hz");
    }
    signaling.stop();
    Ok(())
}
