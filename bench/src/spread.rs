use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Anything slower than an hour counts as an hour.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Durations, kept to three significant digits.
#[derive(Debug)]
pub struct Durations(Histogram<u64>);

/// The distribution of a duration, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many were measured.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Durations {
    /// None yet.
    ///
    /// # Errors
    ///
    /// Never in practice: the bounds are constants that the histogram accepts.
    pub fn new() -> Result<Self, Error> {
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        let histogram = Histogram::new_with_max(longest, 3);
        Ok(Self(histogram.map_err(|error| Error::Histogram(error.to_string()))?))
    }

    /// Adds one.
    pub fn record(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// How they are distributed; nothing where there are none.
    pub fn spread(&self) -> Option<Spread> {
        let millis = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.0.is_empty()).then(|| Spread {
            count: self.0.len(),
            p50: millis(0.5),
            p95: millis(0.95),
            p99: millis(0.99),
            max: self.0.max() as f64 / 1_000.0,
        })
    }
}

impl Spread {
    /// A table row for people.
    pub fn row(&self, name: &str) -> [String; 5] {
        let cell = |millis: f64| format!("{millis:.1}");
        [name.to_owned(), cell(self.p50), cell(self.p95), cell(self.p99), cell(self.max)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred() {
        let mut durations = Durations::new().unwrap();
        assert_eq!(durations.spread(), None);
        for millis in 1..=100 {
            durations.record(Duration::from_millis(millis));
        }
        let spread = durations.spread().unwrap();
        assert_eq!(spread.count, 100);
        for (figure, expected) in
            [(spread.p50, 50.0), (spread.p95, 95.0), (spread.p99, 99.0), (spread.max, 100.0)]
        {
            assert!((figure - expected).abs() < 0.1, "{figure} instead of {expected}");
        }
    }
}
