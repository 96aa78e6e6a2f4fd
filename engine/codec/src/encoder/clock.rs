//! The time that rate control is told.

use std::time::Duration;

/// Ticks per second.
pub(crate) const TICKS_HZ: u32 = 1_000_000;

/// Turns capture times into times that always grow, and never by more than rate control can bear:
/// after a pause of ten seconds libvpx and libaom would spend ten seconds' worth of bits on one frame.
///
/// How long a picture will be shown nobody knows when it comes live: its length is the usual interval, and rate control
/// learns the true one from the time of the next.
pub(crate) struct Clock {
    interval: Duration,
    /// That of the picture before.
    last_interval: Duration,
    last_pts: Option<Duration>,
    now: Duration,
}

/// A moment and the time since the one before it, in ticks.
pub(crate) struct Tick {
    pub(crate) at: i64,
    pub(crate) length: u64,
}

impl Clock {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, last_interval: interval, last_pts: None, now: Duration::ZERO }
    }

    /// Pictures come at another rate from now on.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    pub(crate) fn tick(&mut self, pts: Duration) -> Tick {
        if let Some(last) = self.last_pts {
            // Up to the first picture of another rate it is as long as it was.
            let shorter = self.interval.min(self.last_interval);
            let longer = self.interval.max(self.last_interval);
            let step = pts.saturating_sub(last).clamp(shorter / 2, longer * 2);
            self.now += step;
        }
        self.last_pts = Some(pts);
        self.last_interval = self.interval;
        let ticks = |time: Duration| time.as_micros();
        Tick {
            at: i64::try_from(ticks(self.now)).unwrap_or(i64::MAX),
            length: u64::try_from(ticks(self.interval)).unwrap_or(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_always_grows_and_never_leaps() {
        let interval = Duration::from_micros(33_334);
        let mut clock = Clock::new(interval);
        let times_ms = [0, 33, 66, 66, 20, 53, 10_053, 10_086];
        let at = times_ms.map(|ms| clock.tick(Duration::from_millis(ms)).at);
        let steps: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(steps, [33_000, 33_000, 16_667, 16_667, 33_000, 66_668, 33_000]);
    }
}
