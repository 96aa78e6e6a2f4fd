//! Two builds of the server side by side: at the same time, under equal load, on the same machine.
//!
//! Runs one after the other differ by what else the machine does meanwhile; two servers that run at the same time share
//! that. The one that starts later tends to cost a little more, so the order changes from round to round.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::options::Options;
use super::testbed::{Testbed, Usage};
use crate::process::allow_files;
use crate::viewers::Window;
use crate::{Error, Machine, Table, find_binary};

/// From the last viewer's warm-up to the window.
const LEAD: Duration = Duration::from_millis(200);

/// Two builds compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgainstReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Where the servers' media came from, as in [`Report`](super::Report).
    pub source: String,
    /// Video bitrate.
    pub bitrate_kbps: u32,
    /// Length of each measuring window.
    pub seconds: f64,
    /// The build that is measured.
    pub this: PathBuf,
    /// The build that it is compared with.
    pub other: PathBuf,
    /// One for each number of viewers.
    pub comparisons: Vec<Comparison>,
}

/// The rounds with one number of viewers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// Viewers of each server.
    pub viewers: usize,
    /// One after the other.
    pub rounds: Vec<Round>,
    /// The median of the rounds' ratios.
    pub median_ratio: f64,
}

/// One round: both servers at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// Whether the build that is measured was started first.
    pub this_first: bool,
    /// The build that is measured.
    pub this: Side,
    /// The build that it is compared with.
    pub other: Side,
    /// Processor time of the build that is measured over that of the other.
    pub ratio: f64,
}

/// What one server of a round used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Side {
    /// Processor time of the server, user and kernel, all threads, per viewer and second.
    pub cpu_ms_per_viewer_second: f64,
    /// 99th percentile of the time from the push of a frame to its last packet at the last viewer, in ms.
    pub last_viewer_p99_ms: Option<f64>,
    /// Packets that never came to a viewer.
    pub lost: u64,
    /// What went wrong with viewers.
    pub errors: Vec<String>,
}

/// Compares the server with another build of it. `progress` gets a line for each round.
///
/// # Errors
///
/// As [`run`](super::run).
pub(super) fn run(
    options: &Options,
    other: &Path,
    rounds: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<AgainstReport, Error> {
    let this = find_binary("visavis", "visavis-cli", "VISAVIS_BIN")?;
    let mut comparisons = Vec::new();
    for &viewers in &options.viewers {
        let mut measured = Vec::new();
        for index in 0..rounds {
            let round = round(options, [&this, other], viewers, index % 2 == 0)?;
            progress(&format!(
                "{viewers} viewers, round {} of {rounds}: {:.3}",
                index + 1,
                round.ratio
            ));
            measured.push(round);
        }
        let median_ratio = median(measured.iter().map(|round| round.ratio).collect());
        comparisons.push(Comparison { viewers, rounds: measured, median_ratio });
    }
    Ok(AgainstReport {
        machine: Machine::here(),
        source: options.source.name().to_owned(),
        bitrate_kbps: options.bitrate_kbps,
        seconds: options.duration.as_secs_f64(),
        this,
        other: other.to_owned(),
        comparisons,
    })
}

fn round(
    options: &Options,
    [this, other]: [&Path; 2],
    viewers: usize,
    this_first: bool,
) -> Result<Round, Error> {
    allow_files(2 * viewers)?;
    let (first, second) = if this_first { (this, other) } else { (other, this) };
    let start = |binary: &Path| {
        let options = Options { binary: Some(binary.to_owned()), ..options.clone() };
        Testbed::start(&options, viewers, viewers)
    };
    let (first, second) = (start(first)?, start(second)?);
    first.settle(viewers)?;
    second.settle(viewers)?;
    let window = Window::after(LEAD, options.duration);
    first.swarm.measure(window)?;
    second.swarm.measure(window)?;
    let (first_usage, second_usage) = thread::scope(|scope| {
        let second_usage = scope.spawn(|| second.usage_in(window));
        let first_usage = first.usage_in(window);
        let panicked = |_| Err(Error::Viewers("a measuring thread panicked".to_owned()));
        (first_usage, second_usage.join().unwrap_or_else(panicked))
    });
    let (first, second) =
        (side(first, &first_usage?, viewers)?, side(second, &second_usage?, viewers)?);
    let (this, other) = if this_first { (first, second) } else { (second, first) };
    let ratio = this.cpu_ms_per_viewer_second / other.cpu_ms_per_viewer_second;
    Ok(Round { this_first, this, other, ratio })
}

fn side(testbed: Testbed, usage: &Usage, viewers: usize) -> Result<Side, Error> {
    let report = testbed.finish()?;
    let measured = report
        .measured
        .as_ref()
        .ok_or_else(|| Error::Viewers("the measuring window did not end".to_owned()))?;
    Ok(Side {
        cpu_ms_per_viewer_second: usage.cpu_per_second * 1_000.0 / viewers.max(1) as f64,
        last_viewer_p99_ms: measured.last_viewer_ms.map(|spread| spread.p99),
        lost: measured.lost,
        errors: report.errors().into_iter().take(5).collect(),
    })
}

/// The middle one, or the mean of the middle two; not a number where there are none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2);
    let lower = values.len().checked_sub(1).and_then(|last| values.get(last / 2));
    match (lower, upper) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => f64::NAN,
    }
}

impl AgainstReport {
    /// The report as text.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}\nthis build {}\nthe other  {}\nboth at once; source {}, {} kbit/s, {} s a round; CPU in ms per \
             viewer-second\n",
            self.machine.line(),
            self.this.display(),
            self.other.display(),
            self.source,
            self.bitrate_kbps,
            self.seconds,
        );
        for comparison in &self.comparisons {
            text.push_str(&format!("\n{comparison}"));
        }
        text
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let heading = [
            "round",
            "started first",
            "this CPU",
            "other CPU",
            "this / other",
            "this p99 ms",
            "other p99 ms",
            "lost",
        ];
        let mut table = Table::new(heading);
        for (index, round) in self.rounds.iter().enumerate() {
            let millis = |side: &Side| {
                side.last_viewer_p99_ms
                    .map_or_else(|| "–".to_owned(), |millis| format!("{millis:.1}"))
            };
            table.row([
                (index + 1).to_string(),
                if round.this_first { "this" } else { "other" }.to_owned(),
                format!("{:.3}", round.this.cpu_ms_per_viewer_second),
                format!("{:.3}", round.other.cpu_ms_per_viewer_second),
                format!("{:.3}", round.ratio),
                millis(&round.this),
                millis(&round.other),
                format!("{} / {}", round.this.lost, round.other.lost),
            ]);
        }
        write!(
            f,
            "{} viewers of each\n{table}median ratio {:.3}\n",
            self.viewers, self.median_ratio
        )?;
        let sides =
            self.rounds.iter().flat_map(|round| [("this", &round.this), ("other", &round.other)]);
        for (name, side) in sides {
            for error in &side.errors {
                writeln!(f, "{name}: {error}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![1.5]), 1.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn the_table_has_each_round_and_the_median() {
        let side = |cpu| Side {
            cpu_ms_per_viewer_second: cpu,
            last_viewer_p99_ms: Some(4.2),
            lost: 0,
            errors: Vec::new(),
        };
        let round = |this_first, this, other| Round {
            this_first,
            this: side(this),
            other: side(other),
            ratio: this / other,
        };
        let rounds = vec![round(true, 0.9, 1.0), round(false, 1.1, 1.0)];
        let text = Comparison { viewers: 100, rounds, median_ratio: 1.0 }.to_string();
        for part in ["100 viewers", "0.900", "1.100", "other", "median ratio 1.000"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
