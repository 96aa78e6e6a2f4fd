//! The siege, small: what a few viewers notice of a few attacks, with bounds for a busy machine.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::time::Duration;

use visavis_bench::siege::{self, Options};
use visavis_tests::{Outcome, Turn};

/// One of each kind that costs the machine little.
const ATTACKS: [&str; 7] = [
    "garbage-many",
    "stun-wrong-password",
    "client-hello",
    "one-number-twice",
    "slow-heads",
    "ws-junk",
    "feedback",
];

#[test]
fn five_viewers_watch_through_a_short_siege() -> Outcome {
    let _turn = Turn::take()?;
    let options = Options {
        viewers: 5,
        duration: Duration::from_millis(1_500),
        settle: Duration::ZERO,
        only: ATTACKS.map(str::to_owned).to_vec(),
    };
    let report = siege::run(&options, &mut |line| println!("{line}"))?;
    println!("{}", report.table());
    assert_eq!(report.rows.len(), ATTACKS.len());
    for row in &report.rows {
        let name = &row.attack;
        assert!(row.sent > 0, "{name}: nothing was sent");
        assert_eq!(row.dropped, 0, "{name}: {:?}", row.notes);
        assert_eq!(row.kept_out, Vec::<String>::new(), "{name}");
        assert_eq!(row.faults, Vec::<String>::new(), "{name}");
        assert_eq!(row.newcomers_ms.len(), 1, "{name}");
        assert!(row.gap_p99_ms.is_finite() && row.server_cores > 0.0, "{name}");
    }
    Ok(())
}
