//! Pictures that an application encoded, pushed into the engine and watched in a real browser.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use visavis::video::{EncodedFrame, VideoCodec};
use visavis::{Engine, EngineConfig, SessionConfig};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Turn, Watcher};

type Failure = Box<dyn std::error::Error>;

const FPS: u32 = 25;

#[test]
fn av1_units_play() -> Outcome {
    let _turn = Turn::take()?;
    let units = av1_units()?;
    assert!(units.len() > 20, "{}", units.len());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(any))?;
    let encoded = Some(VideoCodec::Av1);
    let session = engine.create_session(SessionConfig::default().encoded(encoded).fps(FPS))?;
    session.start();
    let config = SignalingConfig::default().listen(any).video_codec(VideoCodec::Av1);
    let signaling = SignalingServer::start(config, engine.handle())?;

    let (sink, stop) = (session.encoded_video(), Arc::new(AtomicBool::new(false)));
    let stopping = Arc::clone(&stop);
    let pusher = thread::spawn(move || {
        let (mut due, mut next) = (Instant::now(), 0);
        while !stopping.load(Ordering::Relaxed) {
            // The only keyframe is the first unit: push it when a keyframe is requested.
            if sink.take_keyframe_request() || next == units.len() {
                next = 0;
            }
            let frame = EncodedFrame::new(&units[next], VideoCodec::Av1);
            sink.push(&frame).map_err(|error| error.to_string())?;
            next += 1;
            due += Duration::from_secs(1) / FPS;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok::<(), String>(())
    });

    let url = format!("http://{}/?autostart=1", signaling.local_addr());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    watcher.wait_for_frames(20, Duration::from_secs(20))?;
    let before = watcher.stats()?;
    thread::sleep(Duration::from_secs(3));
    let after = watcher.stats()?;
    let fps = after.fps_since(&before);
    println!("{}: {fps:.1} of {FPS} fps decoded", after.codec);
    stop.store(true, Ordering::Relaxed);
    pusher.join().map_err(|_| "the pusher panicked")??;
    drop(watcher);
    signaling.stop();
    session.stop();
    engine.stop();
    assert_eq!(after.codec, "video/AV1");
    assert_eq!((after.width, after.height), (320, 240));
    assert!(fps >= f64::from(FPS) / 2.0, "{fps:.1} fps");
    Ok(())
}

/// Two seconds of AV1 with one keyframe, from ffmpeg: the frames of an IVF file.
fn av1_units() -> Result<Vec<Vec<u8>>, Failure> {
    let picture = format!("testsrc2=size=320x240:rate={FPS}");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", &picture, "-t", "2"])
        .args(["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"])
        .args(["-b:v", "500k", "-g", "1000", "-f", "ivf", "-"])
        .output()
        .map_err(|error| format!("ffmpeg: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    const FILE_HEADER_BYTES: usize = 32;
    let mut rest = output.stdout.get(FILE_HEADER_BYTES..).ok_or("no IVF header")?;
    let mut units = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (unit, after) = after.split_at_checked(length).ok_or("an IVF frame is cut off")?;
        units.push(unit.to_vec());
        rest = after;
    }
    Ok(units)
}
