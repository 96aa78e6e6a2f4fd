//! The arguments on the command line.

use std::path::PathBuf;
use std::time::Duration;

use super::{Options, record, run};
use crate::Error;
use crate::cli::{print, seconds, viewers};

/// A flame graph of the server's media loop while viewers watch.
///
/// Needs Linux perf. Prints the functions with the most time of their own, and writes an SVG; in a browser it shows
/// names, and a click zooms in.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of viewers of the server that is started.
    #[arg(long, default_value_t = 200, value_parser = viewers)]
    viewers: usize,
    /// Profile this process, under the load it has, instead of starting a server.
    #[arg(long, conflicts_with = "viewers")]
    pid: Option<u32>,
    /// Seconds to sample.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Samples per second of processor time.
    #[arg(long, default_value_t = 499, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// Name of the thread to profile, or its beginning; '' for all threads.
    #[arg(long, default_value = "visavis-media")]
    thread: String,
    /// File the graph is written to.
    #[arg(long, default_value = "target/profile.svg")]
    out: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Profiles and prints the report.
    ///
    /// # Errors
    ///
    /// As [`record`] and [`run`].
    pub fn run(self) -> Result<(), Error> {
        let options = Options {
            viewers: self.viewers,
            duration: Duration::from_secs_f64(self.seconds),
            frequency: self.frequency,
            thread: self.thread,
            out: self.out,
        };
        let report = match self.pid {
            Some(pid) => record(pid, &options)?,
            None => run(&options)?,
        };
        print(self.json, &report, || report.table())
    }
}
