//! The arguments on the command line.

use std::time::Duration;

use super::{Options, Report, run};
use crate::Error;
use crate::cli::{check, print, seconds};

/// Lip sync: the time between a flash and a click of one instant when Chromium's decoders output them.
///
/// Starts the example flash_and_click, which pushes both through the engine each second, and records in the page when
/// its decoders output the one and the other.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Push media as it happens (live), or ahead of its time (utterance) [default: both].
    #[arg(long, value_parser = ["live", "utterance"])]
    mode: Option<String>,
    /// Seconds to measure, in each mode, after ten seconds of warm-up.
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    seconds: f64,
    /// Offset in ms of the clock that stamps live media; negative: behind.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    stamp_offset_ms: i64,
    /// Step in ms by which that clock is set half a minute after the start.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_step_ms: i64,
    /// Offset in ms of the stamp of a single picture at that moment.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    bad_stamp_ms: i64,
    /// Fail when the p95 of a mode is over 10 ms.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures and prints the report.
    ///
    /// # Errors
    ///
    /// When the example or the browser fails; with `--check` also when a limit is exceeded.
    pub fn run(self) -> Result<(), Error> {
        let modes = match &self.mode {
            Some(mode) => vec![mode.clone()],
            None => ["live", "utterance"].map(str::to_owned).to_vec(),
        };
        let reports = modes.into_iter().map(|mode| {
            run(&Options {
                duration: Duration::from_secs_f64(self.seconds),
                mode,
                stamp_offset_ms: self.stamp_offset_ms,
                clock_step_ms: self.clock_step_ms,
                bad_stamp_ms: self.bad_stamp_ms,
            })
        });
        let reports = reports.collect::<Result<Vec<_>, _>>()?;
        let tables = || reports.iter().map(Report::table).collect::<Vec<_>>().join("\n");
        print(self.json, &reports, tables)?;
        check(self.check, reports.iter().flat_map(Report::missed).collect())
    }
}
