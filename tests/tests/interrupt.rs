//! An interrupted utterance in a real Chromium.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use visavis::audio::AudioChunk;
use visavis::units::UnixMillis;
use visavis::utterance::Utterance;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Recording, Turn, Watcher, wall_clock_ms};

const SIDE: u32 = 320;
const RATE_HZ: u32 = 24_000;
const FPS: u64 = 30;

fn picture(luma: u8) -> Vec<u8> {
    let pixels = (SIDE * SIDE) as usize;
    let mut picture = vec![luma; pixels];
    picture.resize(pixels * 3 / 2, 128);
    picture
}

fn frame(data: &[u8], at_ms: u64) -> VideoFrame<'_> {
    VideoFrame::new(data, SIDE, SIDE).format(PixelFormat::I420).timestamp(UnixMillis(at_ms))
}

/// Bright pictures and a tone.
fn speak(session: &Session, seconds: u64) -> Result<Utterance, Box<dyn std::error::Error>> {
    let utterance = session.begin_utterance(UnixMillis(0))?;
    let bright = picture(200);
    let wave = |i: u64| (i as f64 / f64::from(RATE_HZ) * 440.0 * std::f64::consts::TAU).sin();
    let samples = (0..seconds * u64::from(RATE_HZ)).map(|i| (wave(i) * 12_000.0) as i16);
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let chunk = AudioChunk::new(&data, RATE_HZ, 1).timestamp(UnixMillis(0));
    utterance.push_audio(&chunk)?;
    for n in 0..seconds * FPS {
        utterance.push_video(&frame(&bright, n * 1_000 / FPS))?;
    }
    Ok(utterance)
}

#[test]
fn a_visitor_that_barges_in_gets_silence_the_idle_picture_and_the_next_utterance() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(any))?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    session.set_idle_picture(&frame(&picture(40), 0))?;
    let config = SignalingConfig::default().listen(any);
    let signaling = SignalingServer::start(config, engine.handle())?;
    let url = format!("http://{}/?autostart=1", signaling.local_addr());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    thread::sleep(Duration::from_secs(2));
    Recording::start(&watcher.page)?;

    let (mut silent, mut idle, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let utterance = speak(&session, 6)?;
        thread::sleep(Duration::from_millis(1_000));
        let cut = wall_clock_ms();
        let sent = session.interrupt();
        drop(utterance);
        thread::sleep(Duration::from_millis(700));
        let next = wall_clock_ms();
        let utterance = speak(&session, 1)?;
        utterance.end();
        thread::sleep(Duration::from_millis(1_500));
        let recorded = Recording::take(&watcher.page)?;
        let sound: Vec<_> = recorded.sound.iter().map(|sound| (sound.at, sound.peak)).collect();
        let pictures: Vec<_> =
            recorded.pictures.iter().map(|seen| (seen.at, seen.brightness)).collect();

        let last = |of: &[(f64, f64)], above: f64| {
            let until = of.iter().filter(|(at, _)| (cut - 900.0..next).contains(at));
            until.filter(|(_, level)| *level > above).map(|(at, _)| *at).fold(f64::NAN, f64::max)
        };
        let first = |of: &[(f64, f64)], above: f64| {
            of.iter()
                .find(|(at, level)| *at > next && *level > above)
                .map_or(f64::NAN, |(at, _)| *at)
        };
        println!(
            "{sent:?} sent; silence after {:.0} ms, idle after {:.0} ms; next: heard after {:.0} ms, seen after {:.0} ms",
            last(&sound, 0.02) - cut,
            last(&pictures, 100.0) - cut,
            first(&sound, 0.02) - next,
            first(&pictures, 100.0) - next,
        );
        silent.push(last(&sound, 0.02) - cut);
        idle.push(last(&pictures, 100.0) - cut);
        again.push(first(&sound, 0.02) - next);
        assert!((800..1_400).contains(&sent.as_millis()), "{sent:?}");
    }
    // What a quiet machine does is a tenth of it.
    for (what, values) in [("silence", silent), ("idle picture", idle), ("next utterance", again)] {
        let worst = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(values.iter().all(|ms| *ms < 1_000.0), "{what} after {worst:.0} ms: {values:?}");
    }
    signaling.stop();
    Ok(())
}
