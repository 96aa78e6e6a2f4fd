//! The arguments on the command line.

use std::time::Duration;

use super::{Options, run};
use crate::Error;
use crate::cli::{check, print, seconds};

/// What viewers receive of many live faces, with one viewer each.
///
/// Starts the example live_sessions. With more faces than the processors can encode, sound should stay complete and
/// the faces should share the remaining processor time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of faces, with a viewer each.
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u32).range(1..=500))]
    count: u32,
    /// Seconds to measure, once every viewer has a picture.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Fail when sound has gaps or pictures are not shared fairly.
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
    /// When the example or the viewers fail; with `--check` also when a limit is exceeded.
    pub fn run(self) -> Result<(), Error> {
        let duration = Duration::from_secs_f64(self.seconds);
        let report = run(&Options { count: self.count, duration })?;
        print(self.json, &report, || report.table())?;
        check(self.check, report.missed())
    }
}
