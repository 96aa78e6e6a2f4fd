//! What a viewer sees behind networks of all kinds.
//!
//! A relay with a seeded link in each direction stands between the real server and a real Chromium. What the browser counts
//! is looked at ten times a second; latency is read from the strip in each picture, as in [`glass`].

pub mod args;
mod figures;
mod plot;
mod scenarios;

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use visavis_weather::Relay;

pub use figures::{Figures, Look};
pub use scenarios::{SCENARIOS, Scenario};

use crate::cli::progress;
use crate::{Browser, Check, Error, Machine, Microphone, Server, ServerOptions, Table, glass};

const SCRIPT: &str = include_str!("watch.js");

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of each scenario, from the first picture on.
    pub length: Duration,
    /// `H264` or `VP8`.
    pub codec: String,
    /// What to measure, in this order.
    pub scenarios: Vec<Scenario>,
    /// The viewer has a session of its own.
    pub private: bool,
    /// Draws losses.
    pub seed: u64,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The codec.
    pub codec: String,
    /// Of each scenario.
    pub seconds: f64,
    /// One for each scenario.
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
        progress(&format!("{}: {}", scenario.name, scenario.about));
        scenarios.push(one_run(options, scenario)?);
    }
    Ok(Report {
        machine: Machine::here(),
        codec: options.codec.clone(),
        seconds: options.length.as_secs_f64(),
        scenarios,
    })
}

fn one_run(options: &Options, scenario: &Scenario) -> Result<Figures, Error> {
    // Free a moment ago: the server has to name the relay's address before it has its own.
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let relay = Relay::start(udp, scenario.up(), scenario.up(), options.seed)?;
    let mut server = ServerOptions::demo()
        .arg("--timecode")
        .video_codec(&options.codec)
        .arg("--udp")
        .arg(udp.to_string())
        .arg("--announce")
        .arg(relay.addr().to_string());
    if options.private {
        server = server.arg("--per-visitor");
    }
    let server = Server::start(server)?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.run_on_open(SCRIPT)?;
    let url = format!("{}?autostart=1&codec={}", server.url(), options.codec);
    glass::open(&page, &url)?;
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    relay.set_down(scenario.down(options.length));
    thread::sleep(options.length);
    let looks: Vec<Look> = page.eval("return visavisLooks;")?;
    let shown = glass::read(&page)?;
    server.stop()?;
    Figures::new(scenario, (options.length, begun), looks, &shown)
}

impl Report {
    /// What a quiet machine with two cores should reach and this run did not.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        for figures in &self.scenarios {
            let name = &figures.name;
            let frozen = |check: &mut Check, most| {
                check.at_most(
                    &format!("{name}: % of the time frozen"),
                    figures.frozen_percent,
                    most,
                );
            };
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
                "blackout" => {
                    let ms = figures.back_ms.iter().copied().fold(f64::NAN, f64::max);
                    check.at_most("blackout: ms until there is a picture again", ms, 500.0);
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
