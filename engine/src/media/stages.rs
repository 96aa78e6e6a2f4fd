use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use visavis_types::{Stage, Stamps};

use crate::status::StageSummary;

/// Snapshots are made this often at most.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(500);

/// Longer times are counted as this.
const MAX_US: u64 = 60_000_000;

/// Where the frames of a session spend their time: one histogram per stage, of microseconds since the
/// frame was pushed.
#[derive(Default)]
pub(crate) struct StageHistograms {
    /// Made with the first frame: they are large, and idle sessions have none.
    histograms: Vec<(Stage, Histogram<u64>)>,
    last_snapshot: Option<Instant>,
}

impl StageHistograms {
    /// Counts one frame.
    pub(crate) fn record(&mut self, stamps: &Stamps) {
        let Some(pushed) = stamps.get(Stage::Pushed) else {
            return;
        };
        if self.histograms.is_empty() {
            let stages = Stage::ALL.into_iter().skip(1); // Every frame is pushed at 0.
            let histograms = stages
                .filter_map(|stage| Some((stage, Histogram::new_with_bounds(1, MAX_US, 3).ok()?)));
            self.histograms.extend(histograms);
        }
        for (stage, histogram) in &mut self.histograms {
            if let Some(at) = stamps.get(*stage) {
                let micros = at.saturating_duration_since(pushed).as_micros();
                histogram.saturating_record(u64::try_from(micros).unwrap_or(MAX_US).max(1));
            }
        }
    }

    /// A summary, if the last one is old enough.
    pub(crate) fn snapshot(&mut self, now: Instant) -> Option<Vec<StageSummary>> {
        let rested = self
            .last_snapshot
            .is_none_or(|at| now.saturating_duration_since(at) >= SNAPSHOT_INTERVAL);
        if !rested {
            return None;
        }
        self.last_snapshot = Some(now);
        let seen = self.histograms.iter().filter(|(_, histogram)| !histogram.is_empty());
        let summary = |(stage, histogram): &(Stage, Histogram<u64>)| StageSummary {
            stage: *stage,
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        };
        Some(seen.map(summary).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_measured_from_the_push() {
        let start = Instant::now();
        let mut stages = StageHistograms::default();
        for ms in 1..=100 {
            let mut stamps = Stamps::pushed(start);
            stamps.set(Stage::Encoded, start + Duration::from_millis(ms));
            stages.record(&stamps);
        }
        let summaries = stages.snapshot(start).unwrap();
        assert_eq!(summaries.len(), 1);
        let encoded = summaries[0];
        assert_eq!((encoded.stage, encoded.count), (Stage::Encoded, 100));
        assert!(encoded.p50_us.abs_diff(50_000) < 100, "{encoded:?}");
        assert!(encoded.max_us.abs_diff(100_000) < 200, "{encoded:?}");
        assert_eq!(stages.snapshot(start + Duration::from_millis(100)), None);
    }
}
