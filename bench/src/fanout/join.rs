//! Viewers join while others watch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::options::Options;
use super::testbed::Testbed;
use crate::viewers::Window;
use crate::{Error, Machine, Spread, Table};

/// Those who watch, and as many join.
const VIEWERS: usize = 100;

/// All who join start within this time.
const JOIN: Duration = Duration::from_secs(1);

/// How long the watching viewers are measured after that.
const AFTER: Duration = Duration::from_secs(3);

/// What a hundred viewers saw while a hundred more joined within a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Where the server's media came from, as in [`Report`](super::Report).
    pub source: String,
    /// Those who watched.
    pub watching: usize,
    /// Those who joined.
    pub joining: usize,
    /// Between complete frames at those who watched, from the first join until three seconds after the
    /// last.
    pub frame_gap_ms: Option<Spread>,
    /// From the push of a frame to its last packet at the last of those who watched.
    pub last_viewer_ms: Option<Spread>,
    /// From opening the WebSocket to the first picture, over all viewers.
    pub first_picture_ms: Option<Spread>,
    /// Packets that never came to those who watched.
    pub lost: u64,
    /// Frames that did not reach all of those who watched.
    pub incomplete_frames: u64,
    /// Processor time of the server, in cores, over the window.
    pub cpu_cores: f64,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// Measures it.
///
/// # Errors
///
/// As [`run`](super::run).
pub(super) fn run(options: &Options) -> Result<JoinReport, Error> {
    let testbed = Testbed::start(options, VIEWERS, 2 * VIEWERS)?;
    testbed.settle(VIEWERS)?;
    let window = Window::after(Duration::from_millis(20), JOIN + AFTER);
    testbed.swarm.measure(window)?;
    testbed.swarm.join(VIEWERS, JOIN / VIEWERS as u32)?;
    let usage = testbed.usage_in(window)?;
    testbed.swarm.wait_for(2 * VIEWERS, Duration::from_secs(20))?;
    let report = testbed.finish()?;
    let measured = report
        .measured
        .as_ref()
        .ok_or_else(|| Error::Viewers("the measuring window did not end".to_owned()))?;
    Ok(JoinReport {
        source: options.source.name().to_owned(),
        watching: VIEWERS,
        joining: VIEWERS,
        frame_gap_ms: report.frame_gap_ms,
        last_viewer_ms: measured.last_viewer_ms,
        first_picture_ms: report.first_picture_ms,
        lost: measured.lost,
        incomplete_frames: measured.incomplete_frames,
        cpu_cores: usage.cpu_per_second,
        errors: report.errors().into_iter().take(5).collect(),
        machine: report.machine,
    })
}

impl JoinReport {
    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new(["ms", "p50", "p95", "p99", "max"]);
        let rows = [
            ("frame gap of those who watched", self.frame_gap_ms),
            ("push → last of them", self.last_viewer_ms),
            ("first picture, all", self.first_picture_ms),
        ];
        for (name, spread) in rows {
            if let Some(spread) = spread {
                table.row(spread.row(name));
            }
        }
        let mut text = format!(
            "{}\nsource {}; {} watched while {} joined within a second\n\n{table}\nlost {}, \
             incomplete frames {}, server {:.2} cores\n",
            self.machine.line(),
            self.source,
            self.watching,
            self.joining,
            self.lost,
            self.incomplete_frames,
            self.cpu_cores
        );
        for error in &self.errors {
            text.push_str(&format!("{error}\n"));
        }
        text
    }
}
