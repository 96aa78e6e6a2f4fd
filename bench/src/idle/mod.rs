//! Cost of idle sessions: many of them in one server, with one viewer each.

pub mod args;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::process::Process;
use crate::viewers::{self, Swarm};
use crate::{Check, Error, Machine, Spread, Table, find_binary};

/// It creates hundreds of sessions before it reports that it is ready.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Handshakes per second that a server completes at least.
const SLOWEST_JOINS_PER_SECOND: u64 = 5;

/// Between one viewer's start and the next one's.
const SPACING: Duration = Duration::from_millis(20);

/// Handshakes leave work behind, and allocators settle.
const WARM_UP: Duration = Duration::from_secs(5);

/// Sessions without viewers, to compare with.
const FEW: u32 = 1;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sessions, with a viewer each.
    pub sessions: u32,
    /// What they show: `still` or `film`.
    pub show: String,
    /// How long, after a warm-up.
    pub duration: Duration,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// What the sessions show.
    pub show: String,
    /// Sessions, with a viewer each.
    pub sessions: u32,
    /// Of one core, of the whole server.
    pub cpu_percent: f64,
    /// Memory of a session without its viewer, in KB of 1,000 bytes.
    pub session_kb: f64,
    /// Memory of a session with its viewer.
    pub watched_session_kb: f64,
    /// Packets that each viewer received in a second.
    pub packets_per_second: f64,
    /// From opening the WebSocket to a complete keyframe, in milliseconds.
    pub first_picture_ms: Option<Spread>,
}

/// Measures.
///
/// # Errors
///
/// When the server does not start, or a viewer gets no picture.
pub fn run(options: &Options) -> Result<Report, Error> {
    let (few, _) = start(FEW, &options.show)?;
    thread::sleep(Duration::from_secs(2));
    let rss_few = few.resident_bytes()?;
    drop(few);
    let (server, url) = start(options.sessions, &options.show)?;
    thread::sleep(Duration::from_secs(2));
    let rss_empty = server.resident_bytes()?;
    let sessions = options.sessions as usize;
    let mut viewers = viewers::Options::new(url, sessions);
    viewers.session_prefix = Some("s".to_owned());
    viewers.spacing = SPACING;
    let swarm = Swarm::start(viewers);
    let patience = 20 + u64::from(options.sessions) / SLOWEST_JOINS_PER_SECOND;
    swarm.wait_for(sessions, Duration::from_secs(patience))?;
    thread::sleep(WARM_UP);
    swarm.measure(viewers::Window::after(Duration::ZERO, options.duration))?;
    let (from, cpu) = (Instant::now(), server.cpu_time()?);
    thread::sleep(options.duration);
    let used = server.cpu_time()?.saturating_sub(cpu).as_secs_f64() / from.elapsed().as_secs_f64();
    let rss_watched = server.resident_bytes()?;
    thread::sleep(Duration::from_secs(1));
    let report = swarm.finish()?;
    let per = |bytes: u64, than: u64, of: u32| {
        bytes.saturating_sub(than) as f64 / f64::from(of.max(1)) / 1_000.0
    };
    let measured =
        report.measured.as_ref().ok_or_else(|| Error::Viewers("no figures".to_owned()))?;
    let packets = measured.packets as f64 / measured.seconds / f64::from(options.sessions.max(1));
    Ok(Report {
        machine: Machine::here(),
        show: options.show.clone(),
        sessions: options.sessions,
        cpu_percent: used * 100.0,
        session_kb: per(rss_empty, rss_few, options.sessions.saturating_sub(FEW)),
        watched_session_kb: per(rss_watched, rss_few, options.sessions),
        packets_per_second: packets,
        first_picture_ms: report.first_picture_ms,
    })
}

fn start(sessions: u32, show: &str) -> Result<(Process, String), Error> {
    let binary = find_binary("examples/idle_sessions", "visavis-cli", "VISAVIS_IDLE_BIN")?;
    let mut command = Command::new(binary);
    command.arg(sessions.to_string()).arg(show);
    let (process, ready) = Process::start_until_ready(&mut command, READY_DEADLINE)?;
    let url = ready.get("url").and_then(|url| url.as_str()).unwrap_or_default().to_owned();
    Ok((process, url))
}

impl Report {
    /// What this project promises on a quiet machine and this run did not keep.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        let share = f64::from(self.sessions) / 200.0;
        check.at_most("processor time, % of a core,", self.cpu_percent, 15.0 * share);
        check.at_most("memory of a session with its viewer, KB,", self.watched_session_kb, 400.0);
        check.missed()
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new([
            "idle sessions",
            "showing",
            "% of a core",
            "KB a session",
            "with its viewer",
            "packets/s",
            "first picture p50",
        ]);
        table.row([
            self.sessions.to_string(),
            self.show.clone(),
            format!("{:.1}", self.cpu_percent),
            format!("{:.0}", self.session_kb),
            format!("{:.0}", self.watched_session_kb),
            format!("{:.1}", self.packets_per_second),
            self.first_picture_ms.as_ref().map_or(String::new(), |ms| format!("{:.0} ms", ms.p50)),
        ]);
        format!("{}\n\n{table}", self.machine.line())
    }
}
