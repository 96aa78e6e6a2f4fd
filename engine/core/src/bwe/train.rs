//! How fast packets arrive that were sent at once.

use super::micros::{Micros, seconds};

/// Shorter ones say little: receivers hear of several packets at a time.
const MIN_SPAN: Micros = 15_000;
const MIN_PACKETS: u32 = 3;
/// So many bytes say how fast the network is, however short the time they take; arrivals are known to a quarter of a ms.
const LARGE_BYTES: u64 = 20_000;
const LARGE_MIN_SPAN: Micros = 1_000;

/// The packets of a picture, or what one report says of them. Where they wait in a queue, they leave it as fast as the
/// network takes them; what was sent before there was one says nothing of that.
#[derive(Debug, Default)]
pub(super) struct Train {
    sent: Micros,
    first: Micros,
    last: Micros,
    /// Packets, and bytes of those after the first.
    packets: u32,
    bytes: u64,
    /// Bits a second of the slowest so far.
    slowest: Option<f64>,
    /// Bits a second of the last one that was large.
    large: Option<f64>,
}

impl Train {
    /// Notes when a packet was sent, when it has arrived, and its bytes.
    pub(super) fn note(&mut self, sent: Micros, arrival: Micros, bytes: u64) {
        if self.packets == 0 || sent != self.sent {
            let (slowest, large) = (self.rate(), self.large());
            let (first, last) = (arrival, arrival);
            *self = Self { sent, first, last, packets: 1, bytes: 0, slowest, large };
            return;
        }
        (self.packets, self.bytes) = (self.packets + 1, self.bytes + bytes);
        self.last = self.last.max(arrival);
    }

    /// Bits a second of the slowest that is long enough to tell.
    pub(super) fn rate(&self) -> Option<f64> {
        let span = self.last.saturating_sub(self.first);
        let is_long = self.packets >= MIN_PACKETS && span >= MIN_SPAN;
        let rate = is_long.then(|| self.bytes as f64 * 8.0 / seconds(span));
        self.slowest.into_iter().chain(rate).reduce(f64::min)
    }

    /// Bits a second of the last that is large, as most pictures are not: what comes through at once.
    pub(super) fn large(&self) -> Option<f64> {
        let span = self.last.saturating_sub(self.first).max(LARGE_MIN_SPAN);
        let is_large = self.bytes >= LARGE_BYTES;
        is_large.then(|| self.bytes as f64 * 8.0 / seconds(span)).or(self.large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 1,000 bytes that were sent at a time, and when they have arrived, in ms.
    fn note(train: &mut Train, sent: Micros, arrivals: &[Micros]) {
        arrivals.iter().for_each(|ms| train.note(sent, ms * 1_000, 1_000));
    }

    #[test]
    fn it_is_as_fast_as_its_packets_come_one_after_the_other() {
        let mut train = Train::default();
        note(&mut train, 1, &[100, 116, 132]);
        assert_eq!(train.rate(), Some(5e5));
        note(&mut train, 2, &[140, 150, 160, 170, 180]);
        assert_eq!(train.rate(), Some(5e5), "the slowest");
        note(&mut train, 3, &[200, 232, 264]);
        assert_eq!(train.rate(), Some(2.5e5));
    }

    #[test]
    fn one_that_is_large_tells_how_fast_it_came_through_however_fast_that_was() {
        let mut train = Train::default();
        note(&mut train, 1, &[100; 20]);
        assert_eq!(train.large(), None, "not large enough");
        (0..21).for_each(|packet| train.note(2, 200_000 + packet * 100, 1_000));
        assert_eq!((train.large(), train.rate()), (Some(8e7), None));
        note(&mut train, 3, &[300, 400]);
        assert_eq!(train.large(), Some(8e7), "the last that was large");
        note(&mut train, 4, &[500; 30]);
        assert_eq!(train.large(), Some(29_000.0 * 8.0 / 1e-3), "all at once");
    }

    #[test]
    fn few_packets_and_such_that_come_at_once_say_nothing() {
        let mut train = Train::default();
        note(&mut train, 1, &[100, 200]);
        note(&mut train, 2, &[200, 201, 202, 203, 210]);
        note(&mut train, 3, &[300]);
        assert_eq!(train.rate(), None);
        note(&mut train, 4, &[400, 390, 380, Micros::MAX / 1_000, Micros::MIN / 1_000]);
        assert!(train.rate().is_some_and(f64::is_finite));
    }
}
