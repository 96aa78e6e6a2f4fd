//! What is known of a viewer's network, for other threads.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use super::BandwidthEstimator;

/// What is known of a viewer's network, as other threads may know it. Written by the media loop of the viewer, after each
/// of its reports; figures of two reports may be mixed.
#[derive(Debug, Default)]
pub struct NetworkGauge {
    /// 0 before the first report.
    available_bps: AtomicU64,
    round_trip_us: AtomicU32,
    queue_us: AtomicU32,
    lost_ppm: AtomicU32,
    is_limiting: AtomicBool,
}

/// What is known of a viewer's network, by its last report of when packets arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct NetworkStatus {
    /// What can be sent to it, by the estimate: pictures and what is sent again, with all headers.
    pub available_bitrate: Bitrate,
    /// From when a packet is sent to when its report comes. Browsers report up to 20 times a second, so that up to 50 ms of
    /// it are theirs.
    pub round_trip: Duration,
    /// How long packets wait in queues of the network.
    pub queue_delay: Duration,
    /// The part of packets that is lost, from 0 to 1, by the last hundreds.
    pub fraction_lost: f64,
    /// Whether it is why the viewer gets less than the best picture there is.
    pub is_limiting: bool,
}

impl NetworkStatus {
    /// A bitrate, a round trip and the delay in queues, and the part that is lost. It is not limiting.
    pub const fn new(
        available_bitrate: Bitrate,
        (round_trip, queue_delay): (Duration, Duration),
        fraction_lost: f64,
    ) -> Self {
        Self { available_bitrate, round_trip, queue_delay, fraction_lost, is_limiting: false }
    }

    /// Whether the viewer gets less for it.
    #[must_use]
    pub const fn limiting(self, is_limiting: bool) -> Self {
        Self { is_limiting, ..self }
    }
}

impl NetworkGauge {
    /// After a report.
    pub(crate) fn note(&self, estimator: &BandwidthEstimator, now: Instant) {
        let Some((available, round_trip)) = estimator.estimate(now).zip(estimator.round_trip())
        else {
            return;
        };
        let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.available_bps.store(available.bps(), Relaxed);
        self.round_trip_us.store(us(round_trip), Relaxed);
        self.queue_us.store(us(estimator.queue()), Relaxed);
        self.lost_ppm.store((estimator.loss() * 1e6) as u32, Relaxed);
    }

    /// Whether the viewer gets less for it has changed.
    pub(crate) fn note_limiting(&self, is_limiting: bool) {
        self.is_limiting.store(is_limiting, Relaxed);
    }

    /// `None` before the first report: of viewers without pictures, and of those that do not report.
    pub fn status(&self) -> Option<NetworkStatus> {
        let available = self.available_bps.load(Relaxed);
        let us = |time: &AtomicU32| Duration::from_micros(time.load(Relaxed).into());
        (available > 0).then(|| {
            let times = (us(&self.round_trip_us), us(&self.queue_us));
            let lost = f64::from(self.lost_ppm.load(Relaxed)) / 1e6;
            NetworkStatus::new(Bitrate::from_bps(available), times, lost)
                .limiting(self.is_limiting.load(Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_the_last_report_came_to() {
        let (gauge, start) = (NetworkGauge::default(), Instant::now());
        let mut estimator = BandwidthEstimator::default();
        gauge.note(&estimator, start);
        assert_eq!(gauge.status(), None);
        let numbers = [0, 10].map(|ms| estimator.send(start + Duration::from_millis(ms), 1_200));
        let reported = start + Duration::from_millis(80);
        let arrivals = [(numbers[0], Some(Duration::from_millis(500))), (numbers[1], None)];
        estimator.receive(reported, arrivals);
        gauge.note(&estimator, reported);
        let status = gauge.status().unwrap();
        assert_eq!(status.available_bitrate, Bitrate::from_kbps(300));
        assert_eq!(status.round_trip, Duration::from_millis(80));
        assert_eq!((status.queue_delay, status.is_limiting), (Duration::ZERO, false));
        gauge.note_limiting(true);
        assert!(gauge.status().unwrap().is_limiting);
    }
}
