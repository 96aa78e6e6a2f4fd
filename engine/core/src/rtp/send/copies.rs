//! Whether a viewer is sent its pictures twice: with each the one before.
//!
//! What is lost is sent again after a round trip. Where that is long, the picture stands still so long each time, and the
//! next loss comes before it is over. A copy that goes before anybody has asked for it is there with the next picture. It
//! doubles what is sent: only viewers get it who are far away and lose packets, and only while their networks have room,
//! which is seen by trying.

use std::time::{Duration, Instant};

use crate::bwe::BandwidthEstimator;

/// A shorter round trip is over before the picture stands still for long.
const FAR: Duration = Duration::from_millis(100);
/// From such a part of packets lost on.
const LOSSY: f64 = 0.004;
/// How many pictures there are for each copy: more copies, one step after the other, until the network is full.
const PICTURES_PER_COPY: [u32; 4] = [u32::MAX, 4, 2, 1];
/// A step shows within so long; and so long there are none at all after one was too much.
const STEP: Duration = Duration::from_secs(2);
/// How long it takes to the next try of that step: the first time, and at most.
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(80);
/// What was sent so long without a queue was not too much.
const LASTS: Duration = Duration::from_secs(20);

/// Whether there are copies.
#[derive(Debug, Default)]
pub(super) struct PictureCopies {
    step: usize,
    /// Since when it is at that.
    since: Option<Instant>,
    /// Pictures since the last copy.
    pictures: u32,
    /// The step that was too much, until when it is not tried again, and how long that is.
    too_much: Option<(usize, Instant)>,
    rest: Duration,
}

impl PictureCopies {
    /// Whether one is sent with the picture that is sent now.
    pub(super) fn are_sent(&mut self, network: &BandwidthEstimator, now: Instant) -> bool {
        let is_of_use = network.shortest_round_trip() >= Some(FAR) && network.loss() > LOSSY;
        if is_of_use {
            return self.is_next(network.is_full(now), now);
        }
        self.stop();
        false
    }

    fn stop(&mut self) {
        // For nearly all viewers there is nothing to be written at each picture.
        if self.since.is_some() {
            (self.step, self.since) = (0, None);
        }
    }

    fn is_next(&mut self, is_full: bool, now: Instant) -> bool {
        let lasted = self.since.map(|since| now.saturating_duration_since(since));
        if is_full {
            if self.step > 0 {
                let was_long = lasted.is_some_and(|lasted| lasted >= LASTS);
                let longer = if was_long { REST } else { (2 * self.rest).max(REST) };
                self.rest = longer.min(LONGEST_REST);
                self.too_much = Some((self.step, now + self.rest));
                self.step = 0;
            }
            // Whoever has filled the network: there is no room.
            self.since = Some(now);
            return false;
        }
        let next = self.step + 1;
        let is_too_much = self.too_much.is_some_and(|(step, until)| next >= step && now < until);
        let is_settled = lasted.is_none_or(|lasted| lasted >= STEP);
        if is_settled && !is_too_much && next < PICTURES_PER_COPY.len() {
            (self.step, self.since) = (next, Some(now));
        }
        self.pictures = self.pictures.saturating_add(1);
        let is_next = PICTURES_PER_COPY.get(self.step).is_some_and(|per| self.pictures >= *per);
        if is_next {
            self.pictures = 0;
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many copies there are in some seconds at 30 pictures a second.
    fn copies(
        copies: &mut PictureCopies,
        zero: Instant,
        seconds: std::ops::Range<u32>,
        is_full: bool,
    ) -> usize {
        let pictures = seconds.start * 30..seconds.end * 30;
        let times = pictures.map(|n| zero + Duration::from_secs(1) * n / 30);
        times.filter(|now| copies.is_next(is_full, *now)).count()
    }

    #[test]
    fn there_are_more_and_more_of_them_until_it_is_too_much() {
        let (mut all, zero) = (PictureCopies::default(), Instant::now());
        let mut next = |seconds, is_full| copies(&mut all, zero, seconds, is_full);
        assert!((14..=16).contains(&next(0..2, false)), "each fourth");
        assert!((29..=31).contains(&next(2..4, false)), "each second");
        assert!((59..=61).contains(&next(4..6, false)), "all");
        assert_eq!(next(6..8, true), 0, "too much");
        assert!(next(8..10, false) < 2, "that goes over");
        assert!((14..=16).contains(&next(10..12, false)));
        assert!((59..=61).contains(&next(12..16, false)), "less was not");
        assert!((59..=61).contains(&next(16..18, false)), "it is tried again");
        assert_eq!(next(18..19, true), 0);
        next(19..24, false);
        assert!((209..=211).contains(&next(24..38, false)), "it rests for longer");
        assert!((59..=61).contains(&next(38..40, false)));
    }

    #[test]
    fn there_is_none_where_even_few_are_too_much() {
        let (mut all, zero) = (PictureCopies::default(), Instant::now());
        copies(&mut all, zero, 0..1, false);
        assert_eq!(copies(&mut all, zero, 1..2, true), 0);
        assert!(copies(&mut all, zero, 2..9, false) < 2);
        all.stop();
        assert!(copies(&mut all, zero, 9..10, false) < 2);
    }
}
