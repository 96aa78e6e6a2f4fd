//! Many viewers of one face: a hundred for half a minute, and browsers among those who come and go.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use visavis_bench::{Microphone, Server, ServerOptions, find_binary, viewers};
use visavis_tests::{Outcome, Turn, Watcher};

const VIEWERS: usize = 100;
const SECONDS: u32 = 30;
/// Well before ICE would notice by itself that a viewer is gone.
const GOODBYES: Duration = Duration::from_secs(5);

#[test]
fn a_hundred_viewers_connect_and_see_every_frame() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let program = find_binary("visavis-bench", "visavis-bench", "VISAVIS_BENCH_BIN")?;
    let before = server.cpu_time()?;
    let output = Command::new(program)
        .args(["viewers", "--json", "--url", server.url()])
        .args(["--count", &VIEWERS.to_string(), "--seconds", &SECONDS.to_string()])
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: viewers::Report = serde_json::from_slice(&output.stdout)?;
    let cpu = server.cpu_time()?.0.saturating_sub(before.0).as_secs_f64();
    println!("{}", report.table());
    println!(
        "server: {cpu:.2} s of CPU, {:.2} ms per viewer-second, encoding included",
        cpu * 1_000.0 / (report.seconds * VIEWERS as f64)
    );

    assert_eq!(report.errors(), Vec::<String>::new());
    assert_eq!(report.connected, VIEWERS);
    let connect = report.connect_ms.ok_or("no time to connect")?;
    assert!(connect.max <= 5_000.0, "the slowest took {:.0} ms to connect", connect.max);
    assert_eq!(report.lost(), 0, "packets lost for good");
    let gap = report.longest_video_gap_ms();
    // `visavis-bench viewers --check` holds 100 ms on a quiet machine.
    assert!(gap <= 500.0, "a viewer saw no new frame for {gap:.1} ms");
    let enough = u64::from(SECONDS - 5) * 27;
    assert!(report.fewest_frames() >= enough, "a viewer got only {}", report.fewest_frames());
    assert!(report.viewers.iter().all(|viewer| viewer.audio.frames >= 40 * u64::from(SECONDS - 5)));
    // The server receives the closes after this process has ended its viewers.
    let until = Instant::now() + GOODBYES;
    while server.peer_count()? > 0 && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.peer_count()?, 0, "viewers that said goodbye are still counted");
    server.stop()?;
    Ok(())
}

/// What Chromium says of the video it receives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    decoded: u64,
    keyframes: u64,
    keyframe_requests: u64,
}

const RECEIVED: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const video = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
return {
  decoded: video.framesDecoded,
  keyframes: video.keyFramesDecoded,
  keyframeRequests: video.pliCount + video.firCount,
};
";

/// Others join every 300 ms, so that whoever joins begins with what those before it were sent.
#[test]
fn a_browser_that_joins_among_others_decodes_what_they_have() -> Outcome {
    let _turn = Turn::take()?;
    for codec in ["H264", "VP8"] {
        let server = Server::start(ServerOptions::demo().video_codec(codec))?;
        let program = find_binary("visavis-bench", "visavis-bench", "VISAVIS_BENCH_BIN")?;
        let mut others = Command::new(program)
            .args(["viewers", "--json", "--url", server.url()])
            .args(["--count", "50", "--spacing-ms", "300", "--seconds", "15"])
            .stdout(std::process::Stdio::null())
            .spawn()?;
        thread::sleep(Duration::from_secs(1));
        let watcher = Watcher::open(&format!("{}?autostart=1", server.url()), Microphone::Absent)?;
        let begin: Received = watcher.page.eval(RECEIVED)?;
        thread::sleep(Duration::from_secs(3));
        let later: Received = watcher.page.eval(RECEIVED)?;
        println!("{codec}: {begin:?}, {later:?}");
        others.kill()?;
        others.wait()?;
        assert!(begin.keyframes >= 1, "{codec}: {begin:?}");
        assert_eq!(later.keyframe_requests, 0, "{codec}: {later:?}");
        // A keyframe each 850 ms at most, and one that was being made.
        assert!(later.keyframes <= 2 + 5 + begin.keyframes, "{codec}: {begin:?}, {later:?}");
        assert!(later.decoded - begin.decoded > 50, "{codec}: {begin:?}, {later:?}");
        server.stop()?;
    }
    Ok(())
}
