use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// When something of a viewer was last received, as other threads may know it: a connectivity check with its
/// password, or something under the keys of its connection. What anybody can send does not count.
#[derive(Debug)]
pub struct LastReceived {
    start: Instant,
    /// Since the start; 0 until something is received.
    last_ms: AtomicU64,
}

impl LastReceived {
    /// From now on, with nothing received yet.
    pub fn new(now: Instant) -> Self {
        Self { start: now, last_ms: AtomicU64::new(0) }
    }

    /// Something was received.
    pub fn note(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.start).as_millis();
        self.last_ms.store(u64::try_from(ms).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    /// Whether anything was received at all.
    pub fn was_received(&self) -> bool {
        self.last_ms.load(Relaxed) > 0
    }

    /// For how long it has been silent; since it was answered, if nothing was ever received.
    pub fn silence(&self, now: Instant) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Relaxed));
        now.saturating_duration_since(self.start).saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_anew_with_each_packet() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let received = LastReceived::new(start);
        assert_eq!(received.silence(at(4)), Duration::from_secs(4));
        received.note(at(5));
        assert_eq!(received.silence(at(5)), Duration::ZERO);
        assert_eq!(received.silence(at(11)), Duration::from_secs(6));
        assert_eq!(received.silence(start), Duration::ZERO);
    }
}
