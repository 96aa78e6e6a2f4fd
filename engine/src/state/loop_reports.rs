use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;

use crate::status::StageSummary;

/// What media loops report of one session's viewers. Each writes through its [`LoopReport`]; read for the status.
#[derive(Debug)]
pub(crate) struct LoopReports {
    viewers: AtomicUsize,
    /// Of each media loop.
    stages: Vec<ArcSwap<Vec<StageSummary>>>,
}

/// The writing half of one media loop.
#[derive(Debug)]
pub(crate) struct LoopReport {
    reports: Arc<LoopReports>,
    media_loop: usize,
}

impl LoopReport {
    pub(crate) fn new(reports: Arc<LoopReports>, media_loop: usize) -> Self {
        Self { reports, media_loop }
    }

    pub(crate) fn viewer_joined(&self) {
        self.reports.viewers.fetch_add(1, Relaxed);
    }

    pub(crate) fn viewer_left(&self) {
        self.reports.viewers.fetch_sub(1, Relaxed);
    }

    pub(crate) fn publish_stages(&self, stages: Vec<StageSummary>) {
        if let Some(published) = self.reports.stages.get(self.media_loop) {
            published.store(Arc::new(stages));
        }
    }
}

impl LoopReports {
    pub(crate) fn new(media_loops: usize) -> Self {
        let stages = (0..media_loops).map(|_| ArcSwap::default()).collect();
        Self { viewers: AtomicUsize::new(0), stages }
    }

    /// Viewers that are connected, on all loops.
    pub(crate) fn viewers(&self) -> usize {
        self.viewers.load(Relaxed)
    }

    /// The stages as the slowest media loop sees them.
    pub(crate) fn stages(&self) -> Vec<StageSummary> {
        let p99 = |stages: &Vec<StageSummary>| stages.last().map_or(0, |last| last.p99_us);
        let of_loops = self.stages.iter().map(ArcSwap::load_full);
        of_loops
            .max_by_key(|stages| p99(stages))
            .map(|slowest| (*slowest).clone())
            .unwrap_or_default()
    }
}
