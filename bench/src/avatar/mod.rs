//! The avatar server that people write in Python: on aiortc, with an encoder for each viewer, and on this project's
//! package. The same renderer, viewers and page time for both; one viewer is a real Chromium, which tells what a picture
//! takes from its push to the display.

pub mod args;
mod report;
mod server_kind;
mod sum;

use std::time::Duration;

pub use report::{Report, Row};
pub(crate) use server_kind::Running;
pub use server_kind::ServerKind;

use crate::{Error, Machine};
use sum::Sum;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Viewers of each server, the browser included.
    pub viewers: usize,
    /// How long each is measured in a round.
    pub duration: Duration,
    /// How often each is measured, in turn.
    pub rounds: usize,
    /// Which servers, in the order of [`ServerKind::ALL`].
    pub servers: Vec<ServerKind>,
}

/// Measures one server after the other, round by round.
///
/// # Errors
///
/// Only when the bench itself cannot run. If a server fails, its row has the reason.
pub fn run(options: &Options, progress: impl Fn(&str)) -> Result<Report, Error> {
    let selected = ServerKind::ALL.into_iter().filter(|kind| options.servers.contains(kind));
    let mut sums = selected.map(Sum::new).collect::<Result<Vec<_>, _>>()?;
    for round in 1..=options.rounds.max(1) {
        for sum in sums.iter_mut().filter(|sum| sum.error.is_none()) {
            progress(&format!("round {round}: {}, {} viewers", sum.kind.name(), options.viewers));
            sum.error = sum.measure(options.viewers, options.duration).err();
        }
    }
    let rows = sums.into_iter().map(|sum| Row::new(sum, options.viewers)).collect();
    Ok(Report { machine: Machine::here(), rows })
}
