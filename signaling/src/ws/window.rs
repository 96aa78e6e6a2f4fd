use std::time::{Duration, Instant};

/// Counts events in consecutive windows of time. Across the seam of two windows twice the limit can
/// pass, which is good enough to tell a flood from a visitor.
#[derive(Debug)]
pub(crate) struct Window {
    length: Duration,
    limit: u32,
    start: Instant,
    count: u32,
}

impl Window {
    pub(crate) fn new(length: Duration, limit: u32, now: Instant) -> Self {
        Self { length, limit, start: now, count: 0 }
    }

    /// Counts one; false once the limit is exceeded.
    pub(crate) fn count(&mut self, now: Instant) -> bool {
        if now.duration_since(self.start) >= self.length {
            self.start = now;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_window_forgives() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut window = Window::new(Duration::from_secs(10), 2, start);
        assert!(window.count(at(0)) && window.count(at(9)) && !window.count(at(9)));
        assert!(window.count(at(10)));
    }
}
