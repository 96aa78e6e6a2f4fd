//! What viewers get of many live faces on one machine: sound stays whole, and pictures share what is left.

pub mod args;

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::process::Process;
use crate::viewers::{self, Swarm, ViewerReport};
use crate::{Check, Error, Machine, Table, find_binary};

/// It creates the sessions and draws the pictures before it reports that it is ready.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Between one viewer's start and the next one's.
const SPACING: Duration = Duration::from_millis(50);

/// All viewers have a picture by then, on a machine that has more to do than it can.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Faces, with a viewer each.
    pub count: u32,
    /// How long, once every viewer has a picture.
    pub duration: Duration,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// Faces, with a viewer each.
    pub count: u32,
    /// Of one core, of the whole server.
    pub cpu_percent: f64,
    /// Packets of sound a second that a viewer got, from its connection on; the mean of all.
    pub sound_per_second: f64,
    /// The fewest that a viewer got.
    pub least_sound_per_second: f64,
    /// The longest time without sound that a viewer saw, in milliseconds.
    pub longest_sound_gap_ms: f64,
    /// Pictures a second that a viewer got; the mean of all.
    pub pictures_per_second: f64,
    /// The fewest that a viewer got.
    pub least_pictures_per_second: f64,
    /// What the viewer with the fewest got of the mean.
    pub least_share: f64,
}

/// Measures.
///
/// # Errors
///
/// When the server does not start, or a viewer gets no picture.
pub fn run(options: &Options) -> Result<Report, Error> {
    let binary = find_binary("examples/live_sessions", "visavis-cli", "VISAVIS_FACES_BIN")?;
    let mut command = Command::new(binary);
    command.arg(options.count.to_string());
    let (server, ready) = Process::start_until_ready(&mut command, READY_DEADLINE)?;
    let url = ready.get("url").and_then(|url| url.as_str()).unwrap_or_default().to_owned();
    let mut viewers = viewers::Options::new(url, options.count as usize);
    viewers.session_prefix = Some("s".to_owned());
    viewers.spacing = SPACING;
    let swarm = Swarm::start(viewers);
    swarm.wait_for(options.count as usize, PATIENCE)?;
    let cpu = server.cpu_time()?;
    thread::sleep(options.duration);
    let used = server.cpu_time()?.saturating_sub(cpu).as_secs_f64();
    let report = swarm.finish()?;
    let rates = |count: fn(&ViewerReport) -> u64| -> Vec<f64> {
        let viewers = (0..).zip(&report.viewers);
        viewers
            .map(|(n, viewer)| {
                let before = SPACING.as_secs_f64() * f64::from(n);
                let connected = before + viewer.connect_ms.unwrap_or(0.0) / 1_000.0;
                count(viewer) as f64 / (report.seconds - connected).max(0.001)
            })
            .collect()
    };
    let sound = rates(|viewer| viewer.audio.frames);
    let pictures = rates(|viewer| viewer.video.frames);
    let least = |rates: &[f64]| rates.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    let gaps = report.viewers.iter().map(|viewer| viewer.audio.longest_gap_ms);
    Ok(Report {
        machine: Machine::here(),
        count: options.count,
        cpu_percent: used / options.duration.as_secs_f64() * 100.0,
        least_sound_per_second: least(&sound),
        longest_sound_gap_ms: gaps.fold(0.0, f64::max),
        least_pictures_per_second: least(&pictures),
        least_share: least(&pictures) / mean(&pictures),
        sound_per_second: mean(&sound),
        pictures_per_second: mean(&pictures),
    })
}

impl Report {
    /// What this project promises on a quiet machine and this run did not keep.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        check.at_least("the least sound, packets/s,", self.least_sound_per_second, 49.0);
        check.at_most("the longest gap in sound, ms,", self.longest_sound_gap_ms, 200.0);
        check.at_least("the least share of pictures", self.least_share, 0.8);
        check.missed()
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new([
            "live faces",
            "% of a core",
            "sound packets/s",
            "least",
            "longest gap",
            "pictures/s",
            "least",
            "of the mean",
        ]);
        table.row([
            self.count.to_string(),
            format!("{:.0}", self.cpu_percent),
            format!("{:.1}", self.sound_per_second),
            format!("{:.1}", self.least_sound_per_second),
            format!("{:.0} ms", self.longest_sound_gap_ms),
            format!("{:.1}", self.pictures_per_second),
            format!("{:.1}", self.least_pictures_per_second),
            format!("{:.2}", self.least_share),
        ]);
        format!("{}\n\n{table}", self.machine.line())
    }
}
