use std::time::{Duration, Instant};

use super::inbox::Arrival;

/// A span of time by both clocks: what happens from its start up to its end counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) length: Duration,
    /// The start since the Unix epoch.
    pub(crate) unix_from: Duration,
}

impl Window {
    /// A window that starts `delay` from now.
    pub(crate) fn after(delay: Duration, length: Duration) -> Self {
        let now = Arrival::now();
        Self { from: now.at + delay, length, unix_from: now.unix + delay }
    }

    pub(crate) fn end(&self) -> Instant {
        self.from + self.length
    }

    pub(super) fn contains(&self, at: Instant) -> bool {
        at >= self.from && at < self.end()
    }
}
