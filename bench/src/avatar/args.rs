//! The arguments on the command line.

use std::time::Duration;

use super::{Options, ServerKind, run};
use crate::cli::{one_of, print, progress, seconds};
use crate::peers::{is_inside, run_inside};
use crate::{Error, aiortc_python};

/// An avatar server in Python: on this project's package, and on aiortc with an encoder for each viewer.
///
/// Both show what one renderer draws, 512x512 at 30 fps, H264 at 1 Mbit/s. One viewer is a headless Chromium, which
/// reads the push time from the pictures. The third is the `visavis` command with its own face: with --viewers 1 the
/// difference is what Python adds. aiortc is installed from PyPI if missing. Everything runs in a network namespace,
/// because aiortc announces no loopback address. Needs `cargo build --release --workspace --lib --bins`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of viewers of each server, the browser included.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    viewers: u16,
    /// Seconds to measure each server in a round.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds: in each the servers take turns.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Only these servers, separated by commas: visavis, aiortc, command.
    #[arg(long, value_delimiter = ',', value_parser = server)]
    only: Vec<ServerKind>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures and prints the report.
    ///
    /// # Errors
    ///
    /// When the bench itself cannot run. A server that fails has the reason in its row.
    pub fn run(self) -> Result<(), Error> {
        if !is_inside() {
            // PyPI cannot be reached from inside.
            aiortc_python()?;
            let status = run_inside()?;
            return if status.success() {
                Ok(())
            } else {
                Err(Error::Server(format!("the measuring process: {status}")))
            };
        }
        let servers = match self.only.as_slice() {
            [] => ServerKind::ALL.to_vec(),
            only => only.to_vec(),
        };
        let options = Options {
            viewers: self.viewers.into(),
            duration: Duration::from_secs_f64(self.seconds),
            rounds: self.rounds.into(),
            servers,
        };
        let report = run(&options, |line| progress(&format!("avatar: {line}")))?;
        print(self.json, &report, || report.table())
    }
}

fn server(name: &str) -> Result<ServerKind, String> {
    one_of(&ServerKind::ALL, ServerKind::name, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_servers_by_name() {
        assert_eq!(server("aiortc"), Ok(ServerKind::Aiortc));
        assert!(server("livekit").unwrap_err().contains("command"));
    }
}
