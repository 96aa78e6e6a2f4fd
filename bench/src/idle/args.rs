//! The arguments on the command line.

use std::time::Duration;

use super::{Options, Report, run};
use crate::Error;
use crate::cli::{check, print, seconds};

/// Cost of idle sessions: many in one server, one viewer each.
///
/// Starts the example idle_sessions. The sessions show a still face, or ten seconds of film at 25 fps, encoded once
/// for all of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of sessions, with a viewer each.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    sessions: u32,
    /// What they show [default: both].
    #[arg(long, value_parser = ["still", "film"])]
    show: Option<String>,
    /// Seconds to measure, for each, after five seconds of warm-up.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Fail when the sessions cost more than this project promises on a quiet machine.
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
        let shows = match &self.show {
            Some(show) => vec![show.clone()],
            None => ["still", "film"].map(str::to_owned).to_vec(),
        };
        let (sessions, duration) = (self.sessions, Duration::from_secs_f64(self.seconds));
        let reports = shows.into_iter().map(|show| run(&Options { sessions, show, duration }));
        let reports = reports.collect::<Result<Vec<_>, _>>()?;
        let tables = || reports.iter().map(Report::table).collect::<Vec<_>>().join("\n");
        print(self.json, &reports, tables)?;
        check(self.check, reports.iter().flat_map(Report::missed).collect())
    }
}
