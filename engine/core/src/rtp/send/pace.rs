//! How often, and how much, is sent again.
//!
//! A viewer asks for what it lacks after one round trip as it knows it, and again after another. Where a queue has grown
//! since, what was sent again is still on its way: to send it once more each time fills the queue with copies, and loses
//! more than it repairs.

use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use crate::bwe::BandwidthEstimator;

/// A viewer may ask a little before the answer can have come: it knows the way better than we do.
const EARLY: f64 = 0.75;
/// Where so much is lost, repetitions are too. Browsers wait for a tenth of a second before they ask once more, which is seen
/// where they do so twice.
const LOSSY: f64 = 0.004;
/// Packets whose last repetition is known.
const KNOWN: usize = 256;
/// Of what the network takes, while it is full. The pictures that come now go first.
const PART: f64 = 0.25;
/// What may be sent again at once where nothing was for long, in seconds of that and in bytes.
const SAVED: f64 = 0.25;
const SAVED_BYTES: f64 = 3_000.0;

/// What one viewer's network lets through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ResendLimits {
    /// Between one repetition of a packet and the next.
    pub(super) apart: Duration,
    /// What it takes, while it has all of that.
    pub(super) bitrate: Option<Bitrate>,
    /// Whether a packet is sent twice at once: the way loses some, and has room.
    pub(super) is_twice: bool,
}

impl ResendLimits {
    pub(super) fn of(network: &BandwidthEstimator, now: Instant) -> Self {
        let bitrate = network.estimate(now).filter(|_| network.is_full(now));
        Self {
            apart: network.answers_in().unwrap_or_default().mul_f64(EARLY),
            bitrate,
            is_twice: bitrate.is_none() && network.loss() > LOSSY,
        }
    }
}

/// A packet, and when it was sent again; none where nothing is known.
type Repetition = Option<(u64, Instant)>;

/// When packets were sent again.
#[derive(Debug, Default)]
pub(super) struct ResendPace {
    /// By their numbers, as far as others did not take their places. None before the first.
    last: Option<Box<[Repetition; KNOWN]>>,
    /// Bytes that may be sent while the network is full, and since when.
    saved: f64,
    since: Option<Instant>,
}

impl ResendPace {
    /// Whether a packet may be sent again now.
    pub(super) fn allows(&mut self, packet: u64, limits: ResendLimits, now: Instant) -> bool {
        let last = self.last.as_ref().and_then(|last| last[slot(packet)]);
        let waits = last.is_some_and(|(other, at)| {
            other == packet && now.saturating_duration_since(at) < limits.apart
        });
        !waits && self.has_room(limits.bitrate, now)
    }

    fn has_room(&mut self, bitrate: Option<Bitrate>, now: Instant) -> bool {
        let since = self.since.replace(now).map(|at| now.saturating_duration_since(at));
        let Some(bitrate) = bitrate else {
            self.saved = f64::INFINITY;
            return true;
        };
        let rate = PART * bitrate.bps() as f64 / 8.0;
        let more = rate * since.unwrap_or_default().as_secs_f64();
        self.saved = (self.saved + more).min(SAVED * rate + SAVED_BYTES);
        self.saved > 0.0
    }

    /// A packet of so many bytes was.
    pub(super) fn sent(&mut self, packet: u64, bytes: usize, now: Instant) {
        let last = self.last.get_or_insert_with(|| Box::new([None; KNOWN]));
        last[slot(packet)] = Some((packet, now));
        self.saved -= bytes as f64;
    }
}

fn slot(packet: u64) -> usize {
    (packet % KNOWN as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_goes_again_once_the_last_time_can_have_been_answered() {
        let (mut pace, start) = (ResendPace::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let limits = ResendLimits { apart: Duration::from_millis(50), ..ResendLimits::default() };
        assert!(pace.allows(7, limits, at(0)));
        pace.sent(7, 1_200, at(0));
        assert!(!pace.allows(7, limits, at(49)));
        assert!(pace.allows(8, limits, at(49)), "another one");
        assert!(pace.allows(7 + KNOWN as u64, limits, at(49)), "one that has its place");
        assert!(pace.allows(7, limits, at(50)));
    }

    #[test]
    fn a_full_network_is_not_filled_with_repetitions() {
        let (mut pace, start) = (ResendPace::default(), Instant::now());
        let bitrate = Some(Bitrate::from_kbps(400));
        let mut bytes = 0;
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            let limits = ResendLimits { bitrate, ..ResendLimits::default() };
            if pace.allows(ms, limits, now) {
                pace.sent(ms, 1_200, now);
                bytes += 1_200;
            }
        }
        // A quarter of 400 kbit/s for ten seconds, and what is saved.
        assert!((120_000..=135_000).contains(&bytes), "{bytes}");
        let free = ResendLimits::default();
        assert!((0..1_000).all(|packet| pace.allows(packet, free, start)), "it is not full");
    }
}
