//! Where the time goes: a flame graph of a thread of the server while viewers watch.
//!
//! `perf` samples the running server, whose build needs nothing special: stacks are unwound from the
//! tables every Rust program has. The graph is drawn here.

pub mod args;
mod flame;
mod perf;
mod stacks;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::viewers::{self, Swarm};
use crate::{Error, Machine, Server, ServerOptions, Table};
use stacks::Stacks;
pub use stacks::Symbol;

/// Symbols listed in the table.
const LISTED: usize = 25;

/// Joining is the heaviest work there is: a busy machine takes its time.
const JOIN_DEADLINE: Duration = Duration::from_secs(60);

/// After the last viewer has a picture, until the profile begins: keyframes and handshakes are over.
const SETTLE: Duration = Duration::from_secs(2);

/// What is profiled, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Viewers to connect.
    pub viewers: usize,
    /// How long to sample.
    pub duration: Duration,
    /// Samples per second of processor time.
    pub frequency: u32,
    /// Name of the thread, or how it begins; empty: every thread.
    pub thread: String,
    /// The SVG file to write.
    pub out: PathBuf,
}

/// Results of the samples.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The profiled threads; empty for all.
    pub thread: String,
    /// Samples in them.
    pub samples: u64,
    /// Share of the samples in the kernel, 0 to 1.
    pub kernel: f64,
    /// The functions with the most time of their own, in order.
    pub top: Vec<Symbol>,
    /// The graph.
    pub out: PathBuf,
}

/// Starts a server with its talking face, connects viewers, and profiles the server.
///
/// # Errors
///
/// As [`record`]; and where the server or the viewers do not start.
pub fn run(options: &Options) -> Result<Report, Error> {
    perf::check()?;
    let most = options.viewers.to_string();
    let server = Server::start(ServerOptions::demo().arg("--max-clients").arg(most))?;
    let swarm = Swarm::start(viewers::Options::new(server.url(), options.viewers));
    swarm.wait_for_pictures(JOIN_DEADLINE)?;
    std::thread::sleep(SETTLE);
    let report = record(server.pid(), options);
    swarm.finish()?;
    server.stop()?;
    report
}

/// Profiles a running process under its current load; `options.viewers` is not used.
///
/// # Errors
///
/// Where `perf` is missing or not permitted, where nothing was sampled in the thread, or where the
/// file cannot be written.
pub fn record(pid: u32, options: &Options) -> Result<Report, Error> {
    let mut stacks = Stacks::new(&options.thread);
    perf::sample(pid, options.duration, options.frequency, |line| stacks.line(line))?;
    let stacks = stacks.finish();
    if stacks.samples() == 0 {
        return Err(Error::Profile(format!(
            "no sample in a thread named {:?}: it slept, or there is none",
            options.thread
        )));
    }
    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder)?;
    }
    let title = format!("{} · {}", options.thread, Machine::here().line());
    fs::write(&options.out, flame::draw(stacks.root(), title.trim_start_matches(" · ")))?;
    Ok(Report {
        machine: Machine::here(),
        thread: options.thread.clone(),
        samples: stacks.samples(),
        kernel: stacks.kernel_share(),
        top: stacks.top(LISTED),
        out: options.out.clone(),
    })
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut table = Table::new(["function", "own", "with callees"]);
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        for symbol in &self.top {
            let kernel = if symbol.kernel { " [kernel]" } else { "" };
            let name = format!("{}{kernel}", shorten(&symbol.name));
            table.row([name, percent(symbol.own), percent(symbol.with_callees)]);
        }
        format!(
            "{}\n{} samples in {}, {} of them in the kernel\n\n{table}\n{}",
            self.machine.line(),
            self.samples,
            if self.thread.is_empty() { "all threads" } else { &self.thread },
            percent(self.kernel),
            self.out.display()
        )
    }
}

/// Names with their generic arguments can fill a screen.
fn shorten(name: &str) -> String {
    const MOST: usize = 72;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}
