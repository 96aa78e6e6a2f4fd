//! `--rtp-video` and `--rtp-audio`: what ffmpeg encodes and sends as RTP, watched in a real browser.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Outcome, Turn, Watcher};

type Failure = Box<dyn std::error::Error>;

const FPS: f64 = 30.0;

/// ffmpeg, encoding a test picture and a tone in real time. Dropping it kills it.
struct Encoder(Child);

impl Encoder {
    fn start(video: &[&str], server: &Server) -> Result<Self, Failure> {
        let picture = format!("testsrc2=size=320x240:rate={FPS}");
        let video_to = format!("rtp://{}", server.rtp_video().ok_or("no video address")?);
        let audio_to = format!("rtp://{}", server.rtp_audio().ok_or("no audio address")?);
        let child = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error"])
            .args(["-re", "-f", "lavfi", "-i", &picture])
            .args(["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"])
            .args(["-map", "0:v"])
            .args(video)
            .args(["-g", "30", "-b:v", "800k", "-f", "rtp", &video_to])
            .args(["-map", "1:a", "-c:a", "libopus", "-b:a", "48k", "-f", "rtp", &audio_to])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("ffmpeg: {error}"))?;
        Ok(Self(child))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Encodes, watches, and checks that picture and sound arrive as what they are.
fn watch(codec: &str, video: &[&str]) -> Result<(Server, Encoder, Watcher), Failure> {
    let server = Server::start(ServerOptions::rtp(codec))?;
    let encoder = Encoder::start(video, &server)?;
    let url = format!("{}?autostart=1", server.url());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    watcher.wait_for_frames(30, Duration::from_secs(20))?;
    check(codec, &watcher)?;
    Ok((server, encoder, watcher))
}

fn check(codec: &str, watcher: &Watcher) -> Outcome {
    let before = watcher.stats()?;
    thread::sleep(Duration::from_secs(4));
    let after = watcher.stats()?;
    let (fps, loudness) = (after.fps_since(&before), after.loudness_since(&before));
    println!("{}: {fps:.1} of {FPS} fps decoded, loudness {loudness:.4}", after.codec);
    assert_eq!(after.codec.to_ascii_lowercase(), format!("video/{}", codec.to_ascii_lowercase()));
    assert_eq!((after.width, after.height), (320, 240));
    assert!(fps >= FPS / 2.0, "{fps:.1} fps");
    assert!(loudness > 0.001, "silence: {loudness}");
    Ok(())
}

const X264: [&str; 8] =
    ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"];

#[test]
fn h264_and_opus_from_ffmpeg_play_and_go_on_when_ffmpeg_is_started_again() -> Outcome {
    let _turn = Turn::take()?;
    let (server, encoder, watcher) = watch("h264", &X264)?;
    drop(encoder);
    thread::sleep(Duration::from_secs(1));
    let _encoder = Encoder::start(&X264, &server)?;
    watcher.wait_for_frames(30, Duration::from_secs(20))?;
    check("h264", &watcher)?;
    drop(watcher);
    server.stop()?;
    Ok(())
}

#[test]
fn vp8_from_ffmpeg_plays() -> Outcome {
    let _turn = Turn::take()?;
    let (server, _encoder, watcher) =
        watch("vp8", &["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"])?;
    drop(watcher);
    server.stop()?;
    Ok(())
}
