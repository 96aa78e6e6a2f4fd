//! Reports that a viewer makes up.

use std::time::{Duration, Instant};

use fastrand::Rng;
use visavis_core::BandwidthEstimator;
use visavis_types::Bitrate;

/// What arrivals have: 24 bits of 64 ms, and what comes after.
const LATEST_US: u64 = ((1 << 24) * 256 + 40_000_000) * 250;

#[test]
fn reports_of_any_kind_keep_the_estimate_in_its_range() {
    let (least, most) = (Bitrate::from_kbps(50), Bitrate::from_kbps(50_000));
    for seed in 0..20 {
        let mut random = Rng::with_seed(seed);
        let mut estimator = BandwidthEstimator::new(Bitrate::from_kbps(300), least..=most);
        let mut now = Instant::now();
        // Some report nonsense, some what may be, and some one thing for ever.
        let constant = random.bool().then(|| random.u64(..LATEST_US));
        for _ in 0..20_000 {
            now += Duration::from_micros(random.u64(..60_000) * random.u64(0..2));
            let mut last = random.u16(..);
            for _ in 0..random.usize(..5) {
                if estimator.is_numbered(now) {
                    last = estimator.send(now, random.usize(..100_000));
                } else {
                    estimator.send_unnumbered(random.usize(..100_000));
                }
            }
            let first = if random.bool() { last.wrapping_sub(4) } else { random.u16(..) };
            let count = random.u16(..40);
            let arrivals = (0..count).map(|after| {
                let at = constant.unwrap_or_else(|| random.u64(..LATEST_US));
                let arrival = random.bool().then(|| Duration::from_micros(at));
                (first.wrapping_add(after), arrival)
            });
            let arrivals: Vec<_> = arrivals.collect();
            estimator.receive(now, arrivals);
            if let Some(estimate) = estimator.estimate(now) {
                assert!((least..=most).contains(&estimate), "{estimate}");
                assert!((0.0..=1.0).contains(&estimator.loss()));
            }
        }
        assert!(estimator.estimate(now).is_some());
    }
}
