use std::time::{Duration, Instant};

/// Counts events in consecutive windows of time. Around the end of a window twice the limit can pass, which is exact
/// enough to detect a flood.
#[derive(Debug)]
pub(crate) struct RateWindow {
    length: Duration,
    limit: u32,
    start: Instant,
    count: u32,
}

impl RateWindow {
    pub(crate) fn new(length: Duration, limit: u32, now: Instant) -> Self {
        Self { length, limit, start: now, count: 0 }
    }

    /// Counts some; false once the limit is exceeded.
    pub(crate) fn count(&mut self, events: u32, now: Instant) -> bool {
        if self.is_over(now) {
            self.start = now;
            self.count = 0;
        }
        self.count = self.count.saturating_add(events);
        self.count <= self.limit
    }

    /// Whether what was counted no longer matters.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.start) >= self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_window_forgives() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut window = RateWindow::new(Duration::from_secs(10), 2, start);
        assert!(window.count(1, at(0)) && window.count(1, at(9)) && !window.count(1, at(9)));
        assert!(window.count(2, at(10)));
    }
}
