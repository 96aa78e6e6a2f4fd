//! A hundred viewers of one face, for half a minute.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use visavis_bench::{Server, ServerOptions, find_binary, viewers};
use visavis_tests::{Outcome, Turn};

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
