//! The arguments on the command line.

use std::time::Duration;

use super::progress::note;
use super::server_kind::ServerKind;
use super::{Options, is_inside, prepare, run, run_inside};
use crate::Error;
use crate::cli::{one_of, print, seconds};

/// The same load on other servers: a naive str0m loop, Janus, aiortc.
///
/// Feeds each server the same pre-encoded stream over RTP (2 Mbit/s H264 at 30 fps with a keyframe of 67 KB every two
/// seconds, and Opus), connects the viewers, and compares processor time, memory and latency with visavis. Janus is
/// installed from Debian and aiortc from PyPI if missing. Everything runs in a network namespace, because Janus and
/// aiortc announce no loopback address.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of viewers of each server; at most ten where it encodes for each of them.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    viewers: u16,
    /// Seconds to measure each server; at most ten for aiortc.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Only these servers, separated by commas: visavis, naive, janus, janus-shipped, aiortc, aiortc-encoding.
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
        let servers = match self.only.as_slice() {
            [] => ServerKind::ALL.to_vec(),
            only => only.to_vec(),
        };
        if !is_inside() {
            prepare(&servers);
            match run_inside() {
                Ok(status) if status.success() => return Ok(()),
                Ok(status) => {
                    return Err(Error::Server(format!("the measuring process: {status}")));
                }
                Err(error) => note(&format!("{error}; measuring without a network namespace")),
            }
        }
        let report = run(&Options {
            viewers: self.viewers.into(),
            duration: Duration::from_secs_f64(self.seconds),
            servers,
        })?;
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
        assert_eq!(server("janus-shipped"), Ok(ServerKind::JanusShipped));
        assert!(server("livekit").unwrap_err().contains("aiortc-encoding"));
    }
}
