//! Viewers come and go for minutes; the server's memory should not notice.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::options::Options;
use super::testbed::Testbed;
use crate::{Error, Machine};

/// Viewers who stay.
const BASE: usize = 100;

/// How long a guest stays.
const STAY: Duration = Duration::from_secs(5);

/// From the first guest to the first look at the memory: by then guests leave as they come.
const RAMP: Duration = Duration::from_secs(15);

const SAMPLE: Duration = Duration::from_secs(1);

/// The server's memory while viewers came and went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChurnReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Where the server's media came from, as in [`Report`](super::Report).
    pub source: String,
    /// Viewers who stayed.
    pub base: usize,
    /// Viewers who came, and who left, per second.
    pub rate: f64,
    /// Minutes measured.
    pub minutes: f64,
    /// Viewers who came and left.
    pub came_and_left: u64,
    /// Resident memory of the server, once a second, in KiB.
    pub rss_kib: Vec<f64>,
    /// Mean over the first tenth of these.
    pub first_tenth_kib: f64,
    /// Mean over the last tenth.
    pub last_tenth_kib: f64,
    /// Open files of the server at the first and at the last sample.
    pub open_files: (usize, usize),
    /// Viewers with a picture at the end.
    pub with_picture: usize,
    /// What went wrong with those who were there at the end.
    pub errors: Vec<String>,
}

/// Measures it, with `rate` viewers per second coming and as many leaving.
///
/// # Errors
///
/// As [`run`](super::run).
pub(super) fn run(options: &Options, rate: f64, minutes: f64) -> Result<ChurnReport, Error> {
    let guests = (rate * STAY.as_secs_f64()).ceil() as usize;
    // A server notices that one has left a little later than the next one comes.
    let testbed = Testbed::start(options, BASE, BASE + 3 * guests.max(10))?;
    testbed.settle(BASE)?;
    let interval = Duration::from_secs_f64(1.0 / rate);
    let started = Instant::now();
    let sampling = started + RAMP;
    let end = sampling + Duration::from_secs_f64(minutes * 60.0);
    let (mut next_guest, mut next_sample) = (started, sampling);
    let (mut came, mut left) = (0_u64, 0_u64);
    let mut rss_kib = Vec::new();
    let mut open_files = None;
    while next_sample <= end {
        let due = next_guest.min(next_sample);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if due == next_guest {
            testbed.swarm.join(1, Duration::ZERO)?;
            came += 1;
            if came > guests as u64 {
                testbed.swarm.leave_oldest()?;
                left += 1;
            }
            next_guest += interval;
        } else {
            rss_kib.push(testbed.server.resident_bytes()? as f64 / 1_024.0);
            if open_files.is_none() {
                open_files = Some(testbed.server.open_files()?);
            }
            next_sample += SAMPLE;
        }
    }
    let files_at_end = testbed.server.open_files()?;
    let with_picture = testbed.swarm.with_picture();
    let report = testbed.finish()?;
    let (first_tenth_kib, last_tenth_kib) = tenths(&rss_kib);
    Ok(ChurnReport {
        source: options.source.name().to_owned(),
        base: BASE,
        rate,
        minutes,
        came_and_left: left,
        first_tenth_kib,
        last_tenth_kib,
        rss_kib,
        open_files: (open_files.unwrap_or(files_at_end), files_at_end),
        with_picture,
        errors: report.errors().into_iter().take(5).collect(),
        machine: report.machine,
    })
}

/// Means of the first and of the last tenth.
fn tenths(samples: &[f64]) -> (f64, f64) {
    let count = samples.len().div_ceil(10);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let (first, _) = samples.split_at(count);
    let (_, last) = samples.split_at(samples.len() - count);
    (mean(first), mean(last))
}

impl ChurnReport {
    /// The report as text.
    pub fn table(&self) -> String {
        let growth = self.last_tenth_kib - self.first_tenth_kib;
        let mut text = format!(
            "{}\nsource {}; {} viewers stayed, {} came and left per second, for {} minutes\n\n\
             came and left {}; with a picture at the end {}\n\
             RSS: first tenth {:.0} KiB, last tenth {:.0} KiB: {growth:+.0} KiB ({:+.1} %), \
             {:+.0} bytes for each who came and left\n\
             open files of the server: {} → {}\n",
            self.machine.line(),
            self.source,
            self.base,
            self.rate,
            self.minutes,
            self.came_and_left,
            self.with_picture,
            self.first_tenth_kib,
            self.last_tenth_kib,
            growth * 100.0 / self.first_tenth_kib.max(1.0),
            growth * 1_024.0 / self.came_and_left.max(1) as f64,
            self.open_files.0,
            self.open_files.1,
        );
        for error in &self.errors {
            text.push_str(&format!("{error}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_means_of_the_ends() {
        let samples: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(tenths(&samples), (0.5, 18.5));
        assert_eq!(tenths(&[4.0]), (4.0, 4.0));
        assert_eq!(tenths(&[]), (0.0, 0.0));
    }
}
