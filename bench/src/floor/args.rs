//! The arguments on the command line.

use std::time::Duration;

use super::{Options, Report, run};
use crate::Error;
use crate::cli::{print, seconds, viewers};

/// The physical limit: encryption and the fastest send path alone, on one thread.
///
/// Sends the packets of a paced stream to sockets on loopback, encrypted for each with AES-128-GCM, each frame in one
/// GSO send. Other benches give the cost of a server as a multiple of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Numbers of destinations, measured one after another.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 100, 200], value_parser = viewers)]
    viewers: Vec<usize>,
    /// Seconds to measure, for each number.
    #[arg(long, default_value_t = 6.0, value_parser = seconds)]
    seconds: f64,
    /// Bits per second of video; a keyframe of 67 KB every 2 s is part of them.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(64_000..=50_000_000))]
    bitrate: u64,
    /// Receive with sockets that take one datagram at a time, so that the kernel has to split each GSO send.
    #[arg(long)]
    no_gro: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures and prints the report.
    ///
    /// # Errors
    ///
    /// When the system gives no sockets, or encryption fails.
    pub fn run(self) -> Result<(), Error> {
        let mut reports = Vec::new();
        for &viewers in &self.viewers {
            let mut options = Options::new(viewers);
            options.duration = Duration::from_secs_f64(self.seconds);
            options.stream.bitrate = self.bitrate;
            options.gro = !self.no_gro;
            reports.push(run(&options)?);
        }
        print(self.json, &reports, || Report::table(&reports))
    }
}
