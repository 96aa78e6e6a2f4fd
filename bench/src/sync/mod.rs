//! How far sound and picture are apart in a browser, by a flash and a click that were made at one instant.

pub mod args;

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::{Browser, Check, Error, Machine, Microphone, Page, Table, find_binary};

const SCRIPT: &str = include_str!("sync.js");

/// A program that has just been built starts slowly.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// A page that shows nothing for this long will not show anything.
const PICTURE_DEADLINE: Duration = Duration::from_secs(20);

/// A browser's jitter buffers find their depth in the first seconds.
const WARM_UP: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long, after a warm-up.
    pub duration: Duration,
    /// `live` or `utterance`.
    pub mode: String,
    /// By how many ms the clock is off that stamps what is pushed live.
    pub stamp_offset_ms: i64,
    /// By how many ms it is set half a minute after the start.
    pub clock_step_ms: i64,
    /// By how many ms a single picture's stamp is off then.
    pub bad_stamp_ms: i64,
}

/// When flashes and clicks came out, in ms of the page's clock.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Onsets {
    /// Flashes, as decoded.
    pub flashes: Vec<f64>,
    /// The same, as handed to the compositor: a display's refresh later at most.
    pub composed: Vec<f64>,
    /// Clicks.
    pub clicks: Vec<f64>,
}

/// What came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The mode.
    pub mode: String,
    /// By how many ms each click was later than its flash; less than nothing: sooner.
    pub offsets_ms: Vec<f64>,
    /// The same, of flashes as handed to the compositor.
    pub composed_offsets_ms: Vec<f64>,
}

/// Measures.
///
/// # Errors
///
/// When server or browser do not start, or no picture comes.
pub fn run(options: &Options) -> Result<Report, Error> {
    let binary = find_binary("examples/flash_and_click", "visavis-cli", "VISAVIS_SYNC_BIN")?;
    let mut command = Command::new(binary);
    command.arg(&options.mode).args(
        [options.stamp_offset_ms, options.clock_step_ms, options.bad_stamp_ms]
            .map(|ms| ms.to_string()),
    );
    let (process, ready) = Process::start_until_ready(&mut command, READY_DEADLINE)?;
    let url = ready.get("url").and_then(|url| url.as_str()).unwrap_or_default();
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.open(&format!("{url}?autostart=1"))?;
    page.wait_for("document.querySelector('video')?.videoWidth > 0", PICTURE_DEADLINE)?;
    thread::sleep(WARM_UP);
    let onsets = watch(&page, options.duration)?;
    drop(process);
    Ok(Report {
        machine: Machine::here(),
        mode: options.mode.clone(),
        offsets_ms: onsets.offsets(&onsets.flashes),
        composed_offsets_ms: onsets.offsets(&onsets.composed),
    })
}

/// Watches the first video element of a page for so long.
///
/// # Errors
///
/// When it has no picture with sound.
pub fn watch(page: &Page, duration: Duration) -> Result<Onsets, Error> {
    page.eval::<()>(SCRIPT)?;
    thread::sleep(duration);
    page.eval("return sync;")
}

impl Onsets {
    /// For each flash, how much later its click came, in ms. Flashes come a second apart: half a second
    /// belongs to no pair.
    pub fn offsets(&self, flashes: &[f64]) -> Vec<f64> {
        let nearest = |flash: &f64| {
            let apart = self.clicks.iter().map(|click| click - flash);
            apart.min_by(|a, b| a.abs().total_cmp(&b.abs()))
        };
        flashes.iter().filter_map(nearest).filter(|offset| offset.abs() < 500.0).collect()
    }
}

/// The value below which this share of the values lies; sorts them.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

impl Report {
    /// The middle offset, in ms.
    pub fn median_ms(&self) -> f64 {
        quantile(&mut self.offsets_ms.clone(), 0.5)
    }

    /// The distance that 95 of 100 flashes and clicks are within, in ms.
    pub fn p95_ms(&self) -> f64 {
        let mut apart: Vec<f64> = self.offsets_ms.iter().map(|offset| offset.abs()).collect();
        quantile(&mut apart, 0.95)
    }

    /// What a quiet machine with two cores should reach and this run did not.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        check.at_most(&format!("{}: |click − flash| p95, ms,", self.mode), self.p95_ms(), 10.0);
        check.missed()
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut table =
            Table::new(["click − flash, ms", "pairs", "least", "median", "most", "|p95|"]);
        for (name, offsets) in
            [("as decoded", &self.offsets_ms), ("as composed", &self.composed_offsets_ms)]
        {
            let (mut values, mut apart) = (offsets.clone(), offsets.clone());
            apart.iter_mut().for_each(|offset| *offset = offset.abs());
            let figures = [
                quantile(&mut values, 0.0),
                quantile(&mut values, 0.5),
                quantile(&mut values, 1.0),
                quantile(&mut apart, 0.95),
            ];
            let [least, median, most, p95] = figures.map(|figure| format!("{figure:.1}"));
            table.row([name.to_owned(), offsets.len().to_string(), least, median, most, p95]);
        }
        format!("{}\n{}\n\n{table}", self.machine.line(), self.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flash_belongs_to_the_click_next_to_it() {
        let onsets = Onsets {
            flashes: vec![0.0, 1_000.0, 2_000.0, 9_000.0],
            composed: Vec::new(),
            clicks: vec![5.0, 995.0, 2_600.0, 2_007.0],
        };
        assert_eq!(onsets.offsets(&onsets.flashes), [5.0, -5.0, 7.0]);
    }

    #[test]
    fn quantiles_are_of_the_values() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            [0.0, 0.5, 0.95, 1.0].map(|q| quantile(&mut values, q)),
            [1.0, 50.0, 95.0, 100.0]
        );
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
