//! The arguments on the command line.

use std::time::Duration;

use super::{Options, run};
use crate::Error;
use crate::cli::{Codec, check, print, seconds};

/// Latency from the push of a frame to the display, in a real Chromium.
///
/// Starts the server with its talking face and a strip that carries the push time, opens the page in headless
/// Chromium, and reads the strip back from every presented frame. Server and browser share this machine, so the
/// figure contains everything but the network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds to measure, from the first picture.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Video codec.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Number of runs, each with a fresh server and browser.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
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
    /// When the server or the browser fails; with `--check` also when a limit is exceeded.
    pub fn run(self) -> Result<(), Error> {
        let report = run(&Options {
            duration: Duration::from_secs_f64(self.seconds),
            codec: self.codec.name().to_owned(),
            runs: self.runs.into(),
        })?;
        print(self.json, &report, || report.table())?;
        check(self.check, report.missed())
    }
}
