//! The same load on what people use instead: a naive str0m loop, Janus, aiortc. One after another, on
//! one machine, fed with one stream, watched by the same viewers. The ratios are what counts.
//!
//! What differs from server to server is how it is started ([`Contender`]) and how it speaks
//! ([`Dialect`]); the stream and the viewers are those of [`fanout`](crate::fanout).

mod aiortc;
mod contender;
mod dialect;
mod install;
mod janus;
mod load;
mod network;
mod report;
mod running;

use std::io::Write;
use std::time::Duration;

pub use aiortc::aiortc_python;
pub use contender::Contender;
pub use dialect::{Conversation, Dialect, Parsed};
pub use network::{is_inside, run_inside};
pub use report::{Report, Row};

use crate::{Error, Machine, floor};

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
    /// Which servers, in the order of [`Contender::ALL`].
    pub contenders: Vec<Contender>,
}

/// Installs what is wanted and missing. Progress goes to the standard error stream; what cannot be
/// installed is said there and left out by [`run`].
pub fn prepare(contenders: &[Contender]) {
    let mut failed = None;
    for contender in contenders {
        if let Err(error) = contender.install() {
            let text = error.to_string();
            if failed.as_ref() != Some(&text) {
                say(&text);
            }
            failed = Some(text);
        }
    }
}

/// Measures one server after another.
///
/// # Errors
///
/// Never for a server that fails: its row says why. Only when the bench itself cannot run.
pub fn run(options: &Options) -> Result<Report, Error> {
    let mut rows = Vec::new();
    for contender in Contender::ALL {
        if !options.contenders.contains(&contender) {
            continue;
        }
        let (viewers, duration) = match contender {
            Contender::AiortcEncoding => {
                (options.viewers.min(ENCODING_VIEWERS), options.duration.min(AIORTC_DURATION))
            }
            Contender::Aiortc => (options.viewers, options.duration.min(AIORTC_DURATION)),
            _ => (options.viewers, options.duration),
        };
        say(&format!(
            "{}: {viewers} viewers, {} s",
            contender.description(),
            duration.as_secs_f64()
        ));
        let started = contender.start(viewers);
        let outcome = started.and_then(|running| load::measure(&running, viewers, duration));
        rows.push(Row::new(contender, viewers, outcome));
    }
    let floor = if options.contenders.contains(&Contender::Visavis) {
        say("the floor");
        Some(floor::run(&floor::Options::new(options.viewers))?)
    } else {
        None
    };
    Ok(Report { machine: Machine::here(), floor, rows })
}

/// A line of progress.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "peers: {text}");
}
