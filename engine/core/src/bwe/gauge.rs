//! What is known of a viewer's network, for other threads.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use super::BandwidthEstimator;
use crate::transport::Transport;

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
    is_by_tcp: AtomicBool,
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
    /// Whether it comes by TCP, as its network lets no UDP through.
    pub is_by_tcp: bool,
}

impl NetworkStatus {
    /// A bitrate, a round trip and the delay in queues, and the part that is lost. By UDP, and not limiting.
    pub const fn new(
        available_bitrate: Bitrate,
        (round_trip, queue_delay): (Duration, Duration),
        fraction_lost: f64,
    ) -> Self {
        let (is_limiting, is_by_tcp) = (false, false);
        Self { available_bitrate, round_trip, queue_delay, fraction_lost, is_limiting, is_by_tcp }
    }

    /// Whether the viewer gets less for it.
    #[must_use]
    pub const fn limiting(self, is_limiting: bool) -> Self {
        Self { is_limiting, ..self }
    }

    /// Whether it comes by TCP.
    #[must_use]
    pub const fn by_tcp(self, is_by_tcp: bool) -> Self {
        Self { is_by_tcp, ..self }
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

    /// By which transport media goes to it.
    pub(crate) fn note_transport(&self, transport: Transport) {
        self.is_by_tcp.store(transport == Transport::Tcp, Relaxed);
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
                .by_tcp(self.is_by_tcp.load(Relaxed))
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
        assert!(gauge.status().unwrap().is_limiting && !gauge.status().unwrap().is_by_tcp);
        gauge.note_transport(Transport::Tcp);
        assert!(gauge.status().unwrap().is_by_tcp);
    }
}
