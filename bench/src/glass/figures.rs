//! From the frames that a page presented to latency, losses and gaps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Durations, Error, Spread};

/// Left out at the start of a run: decoder, jitter buffer and caches are still filling.
pub(super) const WARM_UP_MS: f64 = 1_000.0;

/// The strip carries Unix time in units of 100 µs, modulo 2^40: it wraps every 3.5 years.
const UNITS_PER_MS: f64 = 10.0;
const WRAP_UNITS: f64 = (1_u64 << 40) as f64;

/// One presented frame: the push time read from its strip, in units of 100 µs, or nothing where the
/// checksum failed; then, in the page's clock, the time of the callback, the expected display time
/// and the presentation time in ms; then the browser's count of presented frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Frame(pub Option<f64>, pub f64, pub f64, pub f64, pub u64);

impl Frame {
    /// Milliseconds from its push to when it should be displayed; none where the push cannot be read. `time_origin` is the
    /// Unix time, in ms, of the page's zero.
    pub fn to_display_ms(&self, time_origin: f64) -> Option<f64> {
        Some(since(self.0?, time_origin + self.2).as_secs_f64() * 1e3)
    }
}

/// From a push, as the strip has it, to a Unix time in ms.
fn since(pushed: f64, unix_ms: f64) -> Duration {
    let units = (unix_ms * UNITS_PER_MS - pushed).rem_euclid(WRAP_UNITS);
    // A frame cannot be shown before it was pushed, but clocks may differ by a moment.
    let units = if units > WRAP_UNITS / 2.0 { 0.0 } else { units };
    Duration::from_secs_f64(units / UNITS_PER_MS / 1_000.0)
}

/// Figures over the frames of any number of runs.
#[derive(Debug)]
pub struct Figures {
    interval_ms: f64,
    to_display: Durations,
    to_callback: Durations,
    longest_gap_ms: f64,
    frames: u64,
    different: u64,
    span_ms: f64,
    lost: u64,
    duplicated: u64,
    unread: u64,
    unreadable: u64,
}

impl Figures {
    /// For a source of this many frames per second.
    ///
    /// # Errors
    ///
    /// When no histogram can be made.
    pub fn new(fps: f64) -> Result<Self, Error> {
        Ok(Self {
            interval_ms: 1_000.0 / fps,
            to_display: Durations::new()?,
            to_callback: Durations::new()?,
            longest_gap_ms: 0.0,
            frames: 0,
            different: 0,
            span_ms: 0.0,
            lost: 0,
            duplicated: 0,
            unread: 0,
            unreadable: 0,
        })
    }

    /// Adds the frames of one run; `time_origin` is the Unix time, in ms, of the page's zero.
    pub fn add_run(&mut self, frames: &[Frame], time_origin: f64) {
        let Some(first) = frames.first() else { return };
        let warm_from = first.1 + WARM_UP_MS;
        let warm = frames.iter().filter(|frame| frame.1 >= warm_from);
        let mut before: Option<&Frame> = None;
        let mut span_start = None;
        for frame in warm {
            self.frames += 1;
            self.latency(frame, time_origin);
            if let Some(before) = before {
                self.step(before, frame);
            } else {
                span_start = Some(frame.3);
            }
            before = Some(frame);
        }
        if let (Some(start), Some(last)) = (span_start, before) {
            self.span_ms += last.3 - start;
        }
    }

    fn latency(&mut self, frame: &Frame, time_origin: f64) {
        let Some(pushed) = frame.0 else {
            self.unreadable += 1;
            return;
        };
        self.to_callback.record(since(pushed, time_origin + frame.1));
        self.to_display.record(since(pushed, time_origin + frame.2));
    }

    fn step(&mut self, before: &Frame, frame: &Frame) {
        self.longest_gap_ms = self.longest_gap_ms.max(frame.3 - before.3);
        let unread = frame.4.saturating_sub(before.4).saturating_sub(1);
        self.unread += unread;
        self.different += unread;
        let (Some(earlier), Some(later)) = (before.0, frame.0) else {
            self.different += 1;
            return;
        };
        if earlier == later {
            self.duplicated += 1;
            return;
        }
        self.different += 1;
        let apart_ms = (later - earlier).rem_euclid(WRAP_UNITS) / UNITS_PER_MS;
        let pushed = (apart_ms / self.interval_ms).round().max(1.0) as u64;
        self.lost += (pushed - 1).saturating_sub(unread);
    }

    /// Push → expected display time.
    pub fn to_display(&self) -> Option<Spread> {
        self.to_display.spread()
    }

    /// Push → frame callback.
    pub fn to_callback(&self) -> Option<Spread> {
        self.to_callback.spread()
    }

    /// The longest time between two presented frames.
    pub fn longest_gap_ms(&self) -> f64 {
        self.longest_gap_ms
    }

    /// Different frames presented per second.
    pub fn fps(&self) -> f64 {
        if self.span_ms > 0.0 { self.different as f64 / self.span_ms * 1_000.0 } else { 0.0 }
    }

    /// Frames read.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames pushed that were never presented.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Frames presented again with nothing new.
    pub fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// Frames presented without the script seeing them.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Frames whose strip did not read back.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: f64 = 1_700_000_000_000.0;

    /// A frame pushed at `pushed` ms of the page's clock, called back 20 ms and shown 30 ms later.
    fn frame(pushed: f64, presented: u64) -> Frame {
        let code = ((ORIGIN + pushed) * UNITS_PER_MS).rem_euclid(WRAP_UNITS);
        Frame(Some(code), pushed + 20.0, pushed + 30.0, pushed + 20.0, presented)
    }

    fn figures(frames: &[Frame]) -> Figures {
        let mut figures = Figures::new(30.0).unwrap();
        let warm_up = frame(-WARM_UP_MS - 1.0, 0);
        let all: Vec<_> = std::iter::once(warm_up).chain(frames.iter().copied()).collect();
        figures.add_run(&all, ORIGIN);
        figures
    }

    #[test]
    fn steady_frames_have_their_latency_and_rate() {
        let frames: Vec<_> = (0..31).map(|n| frame(f64::from(n) * 100.0 / 3.0, n as u64)).collect();
        let figures = figures(&frames);
        assert_eq!(figures.frames(), 31);
        assert!((figures.fps() - 30.0).abs() < 0.01, "{}", figures.fps());
        assert!((figures.to_display().unwrap().max - 30.0).abs() < 0.1);
        assert!((figures.to_callback().unwrap().max - 20.0).abs() < 0.1);
        assert_eq!((figures.lost(), figures.duplicated(), figures.unread()), (0, 0, 0));
    }

    #[test]
    fn tells_lost_from_unread_from_repeated() {
        let mut repeated = frame(133.3, 5);
        repeated.3 += 33.0;
        // Presented without a callback between the first two, never presented between the next two.
        let frames = [frame(0.0, 1), frame(66.7, 3), frame(133.3, 4), repeated];
        let figures = figures(&frames);
        assert_eq!((figures.lost(), figures.duplicated(), figures.unread()), (1, 1, 1));
        assert!((figures.longest_gap_ms() - 66.7).abs() < 0.2);
    }

    #[test]
    fn counts_what_it_cannot_read() {
        let mut bad = frame(33.3, 2);
        bad.0 = None;
        let figures = figures(&[frame(0.0, 1), bad]);
        assert_eq!(figures.unreadable(), 1);
        assert_eq!(figures.to_display().unwrap().count, 1);
    }
}
