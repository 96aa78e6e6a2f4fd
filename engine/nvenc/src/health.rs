use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A GPU on which encoders fail again and again is left alone, so that what is live goes on in software.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failures: Mutex<Vec<Instant>>,
}

/// So many encoders may fail within this time before.
const FAILURES: (usize, Duration) = (2, Duration::from_secs(10));
/// How long it is left alone after the last failure.
const REST: Duration = Duration::from_secs(60);

impl Health {
    /// An encoder has failed.
    pub(crate) fn failed(&self) {
        self.failed_at(Instant::now());
    }

    fn failed_at(&self, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push(now);
        let excess = failures.len().saturating_sub(FAILURES.0);
        failures.drain(..excess);
    }

    /// How much longer it is to be left alone.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.rest_at(Instant::now())
    }

    fn rest_at(&self, now: Instant) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(first), Some(last)) = (failures.first(), failures.last()) else { return None };
        let is_repeated = failures.len() >= FAILURES.0 && last.duration_since(*first) <= FAILURES.1;
        let rest = (*last + REST).saturating_duration_since(now);
        (is_repeated && !rest.is_zero()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_fails_again_and_again_is_left_alone_for_a_while() {
        let (health, start) = (Health::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(health.rest_at(at(0)), None);
        health.failed_at(at(0));
        assert_eq!(health.rest_at(at(0)), None);
        health.failed_at(at(20));
        assert_eq!(health.rest_at(at(20)), None);
        health.failed_at(at(25));
        assert_eq!(health.rest_at(at(25)), Some(REST));
        assert_eq!(health.rest_at(at(84)), Some(Duration::from_secs(1)));
        assert_eq!(health.rest_at(at(85)), None);
    }
}
