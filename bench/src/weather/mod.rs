//! What a viewer sees behind networks of all kinds.
//!
//! A relay with a seeded link in each direction stands between the real server and a real Chromium. What the browser counts
//! is looked at ten times a second; latency is read from the strip in each picture, as in [`glass`].

pub mod args;
mod figures;
mod naive;
mod options;
mod plot;
mod scenarios;
mod server_kind;
mod watched;

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

pub use figures::{Figures, Look};
pub use options::Options;
pub use scenarios::{SCENARIOS, Scenario};
pub use server_kind::ServerKind;

use crate::cli::progress;
use crate::{Check, Error, Machine, Table, glass};
use watched::Watched;

/// Of the scenarios with limits, and of the talking face.
const ROUND_TRIP_MS: f64 = 40.0;
const FRAME_MS: f64 = 1_000.0 / 30.0;

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The codec.
    pub codec: String,
    /// Of each scenario.
    pub seconds: f64,
    /// One for each scenario and server.
    pub scenarios: Vec<Figures>,
}

/// Measures.
///
/// # Errors
///
/// When server, relay or browser do not start, or no picture comes.
pub fn run(options: &Options) -> Result<Report, Error> {
    let mut scenarios = Vec::new();
    for scenario in &options.scenarios {
        for &kind in &options.servers {
            progress(&format!("{}, {}: {}", scenario.name, kind.name(), scenario.about));
            scenarios.push(one_run(options, kind, scenario)?);
        }
    }
    Ok(Report {
        machine: Machine::here(),
        codec: options.codec.clone(),
        seconds: options.length.as_secs_f64(),
        scenarios,
    })
}

fn one_run(options: &Options, kind: ServerKind, scenario: &Scenario) -> Result<Figures, Error> {
    let watched = Watched::begin(kind, options, scenario)?;
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    watched.relay.set_down(scenario.down(options.length));
    thread::sleep(options.length);
    let looks: Vec<Look> = watched.page.eval("return visavisLooks;")?;
    let shown = glass::read(&watched.page)?;
    watched.end()?;
    Figures::new((kind, scenario), (options.length, begun), looks, &shown)
}

impl Report {
    /// What a quiet machine with two cores should reach and this run did not.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        let ours = |figures: &&Figures| figures.server == ServerKind::Visavis.name();
        for figures in self.scenarios.iter().filter(ours) {
            let name = &figures.name;
            let frozen = |check: &mut Check, most| {
                check.at_most(
                    &format!("{name}: % of the time frozen"),
                    figures.frozen_percent,
                    most,
                );
            };
            let back_ms = figures.back_ms.iter().copied().fold(f64::NAN, f64::max);
            match name.as_str() {
                "clear" | "loss-2" => {
                    frozen(&mut check, 0.5);
                    let p95 = figures.to_display_ms.map_or(f64::NAN, |ms| ms.p95);
                    check.at_most(&format!("{name}: glass to glass p95, ms,"), p95, 120.0);
                }
                "loss-10" => {
                    frozen(&mut check, 3.0);
                    check.at_least(&format!("{name}: frames per second"), figures.fps, 20.0);
                    check.at_most(
                        &format!("{name}: % of sound made up"),
                        figures.concealed_percent,
                        1.0,
                    );
                }
                "steps" => {
                    let seconds = |time: Option<f64>| time.unwrap_or(f64::INFINITY);
                    check.at_most(
                        "steps: seconds until less is sent",
                        seconds(figures.down_s),
                        1.0,
                    );
                    check.at_most("steps: seconds until all is back", seconds(figures.up_s), 8.0);
                    check.at_most("steps: the longest gap, ms,", figures.longest_gap_ms, 300.0);
                }
                "bursts" => {
                    check.at_most(
                        "bursts: ms until there is a picture again",
                        back_ms,
                        2.0 * ROUND_TRIP_MS + 2.0 * FRAME_MS,
                    );
                    let outages = figures.back_ms.len() as f64;
                    let keyframes = figures.keyframes as f64;
                    check.at_most("bursts: keyframes", keyframes, (outages / 10.0).floor());
                }
                "blackout" => {
                    check.at_most("blackout: ms until there is a picture again", back_ms, 500.0);
                }
                _ => {}
            }
        }
        check.missed()
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new([
            "network",
            "server",
            "fps",
            "frozen %",
            "gap ms",
            "p50 ms",
            "p95 ms",
            "size %",
            "down s",
            "up s",
            "back ms",
            "keyframes",
            "again %",
            "sound %",
            "MB",
        ]);
        let or_none =
            |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), |f| format!("{f:.1}"));
        for figures in &self.scenarios {
            let back = figures.back_ms.iter().copied().reduce(f64::max);
            table.row([
                figures.name.clone(),
                figures.server.clone(),
                format!("{:.1}", figures.fps),
                format!("{:.2}", figures.frozen_percent),
                format!("{:.0}", figures.longest_gap_ms),
                or_none(figures.to_display_ms.map(|ms| ms.p50)),
                or_none(figures.to_display_ms.map(|ms| ms.p95)),
                format!("{:.0}", figures.size_percent),
                or_none(figures.down_s),
                or_none(figures.up_s),
                or_none(back),
                figures.keyframes.to_string(),
                format!("{:.1}", figures.again_percent),
                format!("{:.2}", figures.concealed_percent),
                format!("{:.1}", figures.megabytes),
            ]);
        }
        format!(
            "{}\n{} in headless Chromium behind a relay, {:.0} s each; latency from push to display; size: mean width of \
             the picture; down, up: until the first smaller and the first whole picture after the bandwidth changed; back: \
             the longest wait for a picture after an outage; again: packets that came twice or late; sound: made up by the \
             browser\n\n{table}",
            self.machine.line(),
            self.codec,
            self.seconds,
        )
    }
}
