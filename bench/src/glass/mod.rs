//! Glass to glass: from the push of a frame to the moment the browser shows it.
//!
//! The server paints the push time into every frame (`--timecode`); a script in the page reads it
//! back from what the browser presents. Server and browser run on one machine, so that both read one
//! clock.

pub mod args;
mod figures;

use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use figures::{Figures, Frame};

use crate::{
    Browser, Check, Durations, Error, Machine, Microphone, Page, Server, ServerOptions, Spread,
    Table,
};

const SCRIPT: &str = include_str!("glass.js");

/// A page that shows nothing for this long will not show anything.
const PICTURE_DEADLINE: Duration = Duration::from_secs(20);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long, from the first picture.
    pub duration: Duration,
    /// `H264` or `VP8`.
    pub codec: String,
    /// Runs, each with a fresh browser and server; their frames are pooled.
    pub runs: usize,
}

/// What came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The codec.
    pub codec: String,
    /// From push to the time at which the browser expects the frame on the display, in ms.
    pub to_display_ms: Option<Spread>,
    /// From push to the frame callback, in ms.
    pub to_callback_ms: Option<Spread>,
    /// From the start of the navigation to the first presented frame, in ms: one figure a run.
    pub first_picture_ms: Vec<f64>,
    /// Seconds at the start of each run that are left out of the latency figures.
    pub warm_up_seconds: f64,
    /// The longest time between two presented frames, in ms, warm-up left out.
    pub longest_gap_ms: f64,
    /// Different frames presented per second.
    pub fps: f64,
    /// Frames read.
    pub frames: u64,
    /// Frames pushed that were never presented.
    pub lost: u64,
    /// Frames presented again with nothing new.
    pub duplicated: u64,
    /// Frames that were presented, but that the script came too late to read.
    pub unread: u64,
    /// Frames whose strip did not read back.
    pub unreadable: u64,
    /// Largest difference between the page's clock and the system's, in ms.
    pub clock_error_ms: f64,
}

/// What a page showed during one run.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Every frame that was presented and read.
    pub frames: Vec<Frame>,
    /// From the start of the navigation to the first of them, in ms.
    pub first_picture: f64,
    /// The page's clock minus the system's, in ms.
    pub clock_error: f64,
    /// Unix time, in ms, of the zero of the page's clock.
    pub time_origin: f64,
}

/// Measures.
///
/// # Errors
///
/// When server or browser do not start, or no picture comes.
pub fn run(options: &Options) -> Result<Report, Error> {
    let mut figures = Figures::new(30.0)?;
    let mut first_picture_ms = Vec::new();
    let mut clock_error_ms: f64 = 0.0;
    for _ in 0..options.runs.max(1) {
        let run = one_run(options)?;
        first_picture_ms.push(run.first_picture);
        if run.clock_error.abs() > clock_error_ms.abs() {
            clock_error_ms = run.clock_error;
        }
        figures.add_run(&run.frames, run.time_origin);
    }
    Ok(Report {
        machine: Machine::here(),
        codec: options.codec.clone(),
        to_display_ms: figures.to_display(),
        to_callback_ms: figures.to_callback(),
        first_picture_ms,
        warm_up_seconds: figures::WARM_UP_MS / 1_000.0,
        longest_gap_ms: figures.longest_gap_ms(),
        fps: figures.fps(),
        frames: figures.frames(),
        lost: figures.lost(),
        duplicated: figures.duplicated(),
        unread: figures.unread(),
        unreadable: figures.unreadable(),
        clock_error_ms,
    })
}

fn one_run(options: &Options) -> Result<Run, Error> {
    let server =
        Server::start(ServerOptions::demo().arg("--timecode").video_codec(&options.codec))?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    let url = format!("{}?autostart=1&codec={}", server.url(), options.codec);
    let run = watch(&page, &url, options.duration)?;
    server.stop()?;
    Ok(run)
}

/// Opens a page whose first video element shows frames with a time strip, and reads them for
/// `duration` from the first picture.
///
/// # Errors
///
/// When no picture comes within twenty seconds.
pub fn watch(page: &Page, url: &str, duration: Duration) -> Result<Run, Error> {
    open(page, url)?;
    thread::sleep(duration);
    read(page)
}

/// Opens a page whose first video element shows frames with a time strip, and waits for the first of them.
pub(crate) fn open(page: &Page, url: &str) -> Result<(), Error> {
    load(page, url)?;
    wait_for_picture(page)
}

/// Opens such a page.
pub(crate) fn load(page: &Page, url: &str) -> Result<(), Error> {
    page.run_on_open(SCRIPT)?;
    page.open(url)
}

/// Waits for the first frame.
pub(crate) fn wait_for_picture(page: &Page) -> Result<(), Error> {
    page.wait_for("window.visavisGlass && visavisGlass.firstPicture !== null", PICTURE_DEADLINE)
}

/// What an open page has shown up to now.
pub(crate) fn read(page: &Page) -> Result<Run, Error> {
    page.eval("return { ...visavisGlass, timeOrigin: performance.timeOrigin };")
}

impl Report {
    /// What a quiet machine with two cores should reach and this run did not.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        let (p50, p99) = self.to_display_ms.map_or((f64::NAN, f64::NAN), |ms| (ms.p50, ms.p99));
        check.at_most("glass to glass p50, ms,", p50, 50.0);
        check.at_most("glass to glass p99, ms,", p99, 100.0);
        let first_picture = self.first_picture().map_or(f64::NAN, |ms| ms.p95);
        check.at_most("page open → first picture p95, ms,", first_picture, 500.0);
        check.at_least("frames per second", self.fps, 29.0);
        check.at_most("the longest gap, ms,", self.longest_gap_ms, 100.0);
        check.missed()
    }

    /// How the first pictures of all runs are distributed.
    fn first_picture(&self) -> Option<Spread> {
        let mut durations = Durations::new().ok()?;
        for &ms in &self.first_picture_ms {
            durations.record(Duration::try_from_secs_f64(ms / 1_000.0).ok()?);
        }
        durations.spread()
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut spreads = Table::new(["ms", "p50", "p95", "p99", "max"]);
        if let Some(spread) = self.to_display_ms {
            spreads.row(spread.row("push → on the display"));
        }
        if let Some(spread) = self.to_callback_ms {
            spreads.row(spread.row("push → frame callback"));
        }
        if let Some(spread) = self.first_picture() {
            spreads.row(spread.row("page open → first picture"));
        }
        let mut counts = Table::new(["picture", ""]);
        counts.row(["pages opened".to_owned(), self.first_picture_ms.len().to_string()]);
        counts.row(["frames per second".to_owned(), format!("{:.2}", self.fps)]);
        counts.row(["longest gap, ms".to_owned(), format!("{:.1}", self.longest_gap_ms)]);
        counts.row(["frames read".to_owned(), self.frames.to_string()]);
        counts.row(["lost".to_owned(), self.lost.to_string()]);
        counts.row(["duplicated".to_owned(), self.duplicated.to_string()]);
        counts.row(["presented, but not read in time".to_owned(), self.unread.to_string()]);
        counts.row(["failed checksum".to_owned(), self.unreadable.to_string()]);
        format!(
            "{}\n{} in headless Chromium; the first {:.0} s after the first picture are left out of \
             latency and gaps; clocks agree within {:.2} ms\n\n{spreads}\n{counts}",
            self.machine.line(),
            self.codec,
            self.warm_up_seconds,
            self.clock_error_ms.abs(),
        )
    }
}
