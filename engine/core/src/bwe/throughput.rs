//! How fast packets arrive.

use std::collections::VecDeque;

use super::micros::{Micros, seconds};

/// So much of late counts.
const WINDOW: Micros = 300_000;
/// More reports than browsers send in that time.
const MAX_REPORTS: usize = 32;
/// Less than this says little: pictures come in bursts.
const MIN_SPAN: Micros = 90_000;

/// Bits a second that arrive, by the receiver's clock.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    /// The last arrival of each report, and its bytes.
    reports: VecDeque<(Micros, u64)>,
}

impl Throughput {
    /// Notes what has arrived, by a report, and when the last of it has. Gives bits a second, once there is enough.
    pub(super) fn note(&mut self, last: Micros, bytes: u64) -> Option<f64> {
        // Reports overtake each other.
        let last = self.reports.back().map_or(last, |(before, _)| last.max(*before));
        self.reports.push_back((last, bytes));
        // Arrivals are what the viewer says they are: they may stand still.
        while self.reports.len() > MAX_REPORTS
            || self.reports.get(1).is_some_and(|(at, _)| last.saturating_sub(*at) >= WINDOW)
        {
            self.reports.pop_front();
        }
        self.since(self.reports.front()?.0, MIN_SPAN)
    }

    /// Bits a second that have arrived after a moment of late, if that is long enough ago.
    pub(super) fn since(&self, begin: Micros, least: Micros) -> Option<f64> {
        // What came before the first of them is not known any more.
        let begin = begin.max(self.reports.front()?.0);
        let span = self.reports.back()?.0.saturating_sub(begin);
        let since = self.reports.iter().filter(|(at, _)| *at > begin);
        let bytes: u64 = since.map(|(_, bytes)| bytes).sum();
        (span >= least).then(|| bytes as f64 * 8.0 / seconds(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_came_in_the_last_third_of_a_second() {
        let mut throughput = Throughput::default();
        let mut note = |ms: Micros, bytes| throughput.note(ms * 1_000, bytes).map(f64::round);
        assert_eq!(note(1_000, 99_999), None);
        assert_eq!(note(1_050, 12_500), None, "too short");
        assert_eq!(note(1_100, 12_500), Some(2e6));
        let last = (3..20).filter_map(|turn| note(1_000 + turn * 50, 25_000)).last();
        assert_eq!(last, Some(4e6));
        assert_eq!(note(1_900, 25_000), Some(4_666_667.0), "a report that was overtaken");
    }

    #[test]
    fn what_is_not_known_any_more_does_not_make_it_less() {
        let mut throughput = Throughput::default();
        (0..40).for_each(|turn| _ = throughput.note(turn * 50_000, 12_500));
        let since = |begin| throughput.since(begin, MIN_SPAN).map(f64::round);
        assert_eq!([0, 1_850_000, 1_900_000].map(since), [Some(2e6), Some(2e6), None]);
    }

    #[test]
    fn arrivals_that_stand_still_or_leap_take_no_more_memory() {
        for arrival in [0, Micros::MAX, Micros::MIN] {
            let mut throughput = Throughput::default();
            for report in 0..10_000 {
                throughput.note(if report % 2 == 0 { arrival } else { 0 }, 1_200);
                assert!(throughput.reports.len() <= MAX_REPORTS);
            }
        }
    }
}
