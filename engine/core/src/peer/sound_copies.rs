//! Whether a viewer is sent its sound twice: each packet, and a copy of it in the next (RFC 2198).
//!
//! Opus' own error correction repairs less: it has a coarse copy, of speech alone, and none where two are lost in a row,
//! which a copy with a coarse copy in it still has. Copies double what sound takes, so that only those get them who lose
//! packets. Where those are lost for having sent too much, copies would make it worse; such losses do not count.

use std::time::{Duration, Instant};

/// From such a part of packets lost on, error correction leaves gaps that are heard.
const LOSSY: f64 = 0.01;
/// With less than this lost there is nothing to repair.
const CLEAN: f64 = 0.004;
/// What is lost comes in bursts.
const HOLD: Duration = Duration::from_secs(10);

/// Whether a viewer that takes copies is sent them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum SoundCopies {
    /// While it loses nothing.
    #[default]
    Without,
    /// It has lost packets; that was over at this moment, or is not.
    Lossy(Instant),
    /// The session's owner wants it so.
    Always,
}

impl SoundCopies {
    /// Whether they are sent.
    pub(super) fn are_sent(self) -> bool {
        self != Self::Without
    }

    /// The viewer has lost such a part of its packets, of late. True where that changes what it is sent.
    pub(super) fn note(&mut self, lost: f64, now: Instant) -> bool {
        let next = match *self {
            Self::Always => Self::Always,
            Self::Without if lost < LOSSY => Self::Without,
            Self::Lossy(since) if lost < CLEAN => {
                let over = now.saturating_duration_since(since) >= HOLD;
                if over { Self::Without } else { Self::Lossy(since) }
            }
            Self::Without | Self::Lossy(_) => Self::Lossy(now),
        };
        let changes = next.are_sent() != self.are_sent();
        *self = next;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_loses_packets_gets_copies_until_it_has_lost_none_for_a_while() {
        let (mut copies, start) = (SoundCopies::default(), Instant::now());
        let mut note = |seconds, lost| {
            let changes = copies.note(lost, start + Duration::from_secs(seconds));
            (changes, copies.are_sent())
        };
        assert_eq!(note(0, 0.009), (false, false), "error correction is enough");
        assert_eq!(note(1, 0.02), (true, true));
        assert_eq!(note(2, 0.005), (false, true), "less, but some");
        assert_eq!(note(11, 0.0), (false, true), "lately");
        assert_eq!(note(12, 0.0), (true, false));
        assert_eq!(note(13, 0.0), (false, false));
    }

    #[test]
    fn who_is_to_have_them_always_has_them() {
        let (mut copies, start) = (SoundCopies::Always, Instant::now());
        assert!(!copies.note(0.0, start + HOLD * 9) && copies.are_sent());
    }
}
