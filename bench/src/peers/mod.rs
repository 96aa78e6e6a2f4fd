//! The same load on what people use instead: a naive str0m loop, Janus, aiortc. One after another, on
//! one machine, fed with one stream, watched by the same viewers. The ratios are what counts.
//!
//! What differs from server to server is how it is started ([`ServerKind`]) and how its signaling
//! works ([`Protocol`](crate::signaling::Protocol)); the stream and the viewers are those of
//! [`fanout`](crate::fanout).

mod aiortc;
pub mod args;
mod install;
mod janus;
mod load;
mod network;
mod progress;
mod report;
mod running;
mod server_kind;

use std::time::Duration;

pub use aiortc::aiortc_python;
pub use network::{is_inside, run_inside};
pub use report::{Figures, Report, Row};
pub(crate) use running::Running;
pub use server_kind::ServerKind;

use crate::{Error, Machine, floor};
use progress::note;

/// aiortc is slow enough that its figure is clear sooner.
const AIORTC_DURATION: Duration = Duration::from_secs(10);

/// Encoding for ten viewers takes all of two cores.
const ENCODING_VIEWERS: usize = 10;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Viewers of each server; ten at most where it encodes for each of them.
    pub viewers: usize,
    /// How long each is measured; ten seconds at most for aiortc.
    pub duration: Duration,
    /// Which servers, in the order of [`ServerKind::ALL`].
    pub servers: Vec<ServerKind>,
}

/// Installs what is selected and missing. Progress goes to stderr; what cannot be installed is reported there and
/// skipped by [`run`].
pub fn prepare(servers: &[ServerKind]) {
    let mut failed = None;
    for server in servers {
        if let Err(error) = server.install() {
            let text = error.to_string();
            if failed.as_ref() != Some(&text) {
                note(&text);
            }
            failed = Some(text);
        }
    }
}

/// Measures one server after another.
///
/// # Errors
///
/// Only when the bench itself cannot run. If a server fails, its row has the reason.
pub fn run(options: &Options) -> Result<Report, Error> {
    let mut rows = Vec::new();
    for server in ServerKind::ALL {
        if !options.servers.contains(&server) {
            continue;
        }
        let (viewers, duration) = match server {
            ServerKind::AiortcEncoding => {
                (options.viewers.min(ENCODING_VIEWERS), options.duration.min(AIORTC_DURATION))
            }
            ServerKind::Aiortc => (options.viewers, options.duration.min(AIORTC_DURATION)),
            _ => (options.viewers, options.duration),
        };
        note(&format!("{}: {viewers} viewers, {} s", server.description(), duration.as_secs_f64()));
        let started = server.start(viewers);
        let outcome = started.and_then(|running| load::measure(&running, viewers, duration));
        rows.push(Row::new(server, viewers, outcome));
    }
    let floor = if options.servers.contains(&ServerKind::Visavis) {
        note("the floor");
        Some(floor::run(&floor::Options::new(options.viewers))?)
    } else {
        None
    };
    Ok(Report { machine: Machine::here(), floor, rows })
}
