//! How often something may happen.

use std::time::{Duration, Instant};

/// So many at once, and one more each interval: the generic cell rate algorithm (ITU-T I.371), one
/// moment per limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit {
    interval: Duration,
    /// How far ahead of its time the last of a burst may be.
    slack: Duration,
    /// When the last one would have been in its time.
    paid: Option<Instant>,
}

impl RateLimit {
    /// `burst` at once, then one each `interval`.
    pub(crate) const fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, slack: interval.saturating_mul(burst.saturating_sub(1)), paid: None }
    }

    /// `rate` a second, and `burst` at once.
    pub(crate) const fn per_second(rate: u32, burst: u32) -> Self {
        Self::new(Duration::from_nanos(1_000_000_000 / rate as u64), burst)
    }

    /// Whether one more may happen now.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        self.next().is_none_or(|at| at <= now)
    }

    /// When one more may happen; `None` where one always could.
    pub(crate) fn next(&self) -> Option<Instant> {
        // The clock of a machine that has just started cannot represent earlier moments.
        self.paid.and_then(|at| at.checked_sub(self.slack))
    }

    /// Counts one, if it may happen now.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let allowed = self.allows(now);
        if allowed {
            self.paid = Some(self.paid.map_or(now, |at| at.max(now)) + self.interval);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_its_rate() {
        let mut limit = RateLimit::per_second(10, 5);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!((0..20).filter(|_| limit.take(at(0))).count(), 5);
        assert_eq!(limit.next(), Some(at(100)));
        assert!(!limit.take(at(99)) && limit.take(at(100)) && !limit.take(at(100)));
        let taken = (100..10_100).filter(|ms| limit.take(at(*ms))).count();
        assert_eq!(taken, 100 - 1);
        assert_eq!((0..20).filter(|_| limit.take(at(60_000))).count(), 5, "it rests");
    }
}
