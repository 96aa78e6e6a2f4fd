use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// When a viewer was last heard, as other threads may know it: a connectivity check that holds its password, or
/// something under the keys of its connection. What anybody can send does not count.
#[derive(Debug)]
pub struct LastReceived {
    start: Instant,
    /// Since the start; 0 until it is heard.
    last_ms: AtomicU64,
}

impl LastReceived {
    /// From now on, and not heard yet.
    pub fn new(now: Instant) -> Self {
        Self { start: now, last_ms: AtomicU64::new(0) }
    }

    /// It was heard.
    pub fn note(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.start).as_millis();
        self.last_ms.store(u64::try_from(ms).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    /// Whether it was heard at all.
    pub fn was_received(&self) -> bool {
        self.last_ms.load(Relaxed) > 0
    }

    /// For how long it has been silent; since it was answered, if it was never heard.
    pub fn silence(&self, now: Instant) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Relaxed));
        now.saturating_duration_since(self.start).saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_anew_with_each_word() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let heard = LastReceived::new(start);
        assert_eq!(heard.silence(at(4)), Duration::from_secs(4));
        heard.note(at(5));
        assert_eq!(heard.silence(at(5)), Duration::ZERO);
        assert_eq!(heard.silence(at(11)), Duration::from_secs(6));
        assert_eq!(heard.silence(start), Duration::ZERO);
    }
}
