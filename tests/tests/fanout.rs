//! A small run of the fan-out bench: are its results plausible?

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::time::Duration;

use visavis_bench::fanout::{Options, Source, run};
use visavis_tests::{Outcome, Turn};

#[test]
fn a_small_fanout_has_all_its_figures() -> Outcome {
    let _turn = Turn::take()?;
    let options = Options {
        viewers: vec![3],
        duration: Duration::from_secs(2),
        warm_up: Duration::from_millis(500),
        source: Source::Live,
        // Two decrypt, as always at least; the third does not.
        decrypt_one_in: 1_000,
        ..Options::default()
    };
    let report = run(&options, &mut |line| println!("{line}"))?;
    println!("{}", report.table());
    let row = report.rows.first().ok_or("no row")?;
    assert_eq!(row.errors, Vec::<String>::new());
    assert_eq!((row.viewers, row.decrypting), (3, 2));
    assert_eq!(row.unknown_frames, 0, "frames without a capture time");
    assert!(row.frames + row.incomplete_frames > 0, "no frame");
    assert!(row.packets_per_viewer_second > 0.0 && row.cpu_ms_per_viewer_second > 0.0);
    assert!(row.all_joined_ms.is_some());
    // The viewer that does not decrypt counts as the others do.
    let last = row.last_viewer_ms.ok_or("no latency")?;
    let every = row.every_viewer_ms.ok_or("no latency")?;
    assert!(every.count > 2 * last.count, "{} arrivals of {} frames", every.count, last.count);
    assert!(row.frame_gap_ms.is_some());
    Ok(())
}
