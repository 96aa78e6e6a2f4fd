//! Puts packets back in order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long what follows a missing packet waits for it, unless set otherwise.
const PATIENCE: Duration = Duration::from_millis(50);
/// Packets that wait at most.
const MAX_HELD: usize = 64;
/// A sequence number further than this from the expected one is no reordering; the sender has started
/// anew (RFC 3550, appendix A.1).
const MAX_JUMP: u16 = 1_000;

/// Holds packets back while one before them is missing.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    /// How long what follows a missing packet waits for it.
    pub(super) patience: Duration,
    /// The next sequence number, counted without wrapping.
    next: Option<u64>,
    held: BTreeMap<u64, Held<T>>,
    /// The packet after a far jump, and its sequence number: what counts if the jump is meant.
    probation: Option<(u16, Held<T>)>,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { patience: PATIENCE, next: None, held: BTreeMap::new(), probation: None }
    }
}

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) packet: T,
    pub(super) arrived: Instant,
    /// Packets missing right before it, given up.
    pub(super) lost: u64,
}

/// What to do with a packet that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the next one.
    Now,
    /// It is kept until its turn.
    Held,
    /// It is too late, or came before.
    Stale,
    /// The sender has started anew. The packet is kept, and the one before it that was
    /// [doubtful](Self::Doubtful): both have their turn now.
    Restart,
    /// Too far from the others to be believed yet.
    Doubtful,
}

impl<T> Reorder<T> {
    /// Finds the place of a packet; a [`Place::Held`] one is `kept`.
    pub(super) fn place(
        &mut self,
        sequence: u16,
        kept: impl FnOnce() -> T,
        arrived: Instant,
    ) -> Place {
        let Some(next) = self.next else {
            // Far from zero, so that what came before the first packet can be told apart.
            self.next = Some((1 << 32 | u64::from(sequence)) + 1);
            return Place::Now;
        };
        let ahead = sequence.wrapping_sub(next as u16);
        if ahead == 0 {
            self.next = Some(next + 1);
            self.probation = None;
            return Place::Now;
        }
        if ahead < MAX_JUMP {
            self.probation = None;
            let held = || Held { packet: kept(), arrived, lost: 0 };
            self.held.entry(next + u64::from(ahead)).or_insert_with(held);
            return Place::Held;
        }
        if ahead > u16::MAX - MAX_JUMP {
            return Place::Stale;
        }
        let held = Held { packet: kept(), arrived, lost: 0 };
        match self.probation.take() {
            Some((before, first)) if before.wrapping_add(1) == sequence => {
                self.restart_at(before);
                let next = self.next.unwrap_or_default();
                self.held.insert(next, first);
                self.held.insert(next + 1, held);
                Place::Restart
            }
            _ => {
                self.probation = Some((sequence, held));
                Place::Doubtful
            }
        }
    }

    /// The sender has started anew: what waited is forgotten, and this is the next sequence number.
    pub(super) fn restart_at(&mut self, sequence: u16) {
        *self = Self { patience: self.patience, ..Self::default() };
        self.next = Some(1 << 32 | u64::from(sequence));
    }

    /// The next packet that waited and need not wait any longer.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Held<T>> {
        let next = self.next?;
        let (&first, _) = self.held.first_key_value()?;
        let impatient =
            self.held.len() >= MAX_HELD || self.deadline().is_some_and(|deadline| deadline <= now);
        if first != next && !impatient {
            return None;
        }
        let mut held = self.held.remove(&first)?;
        held.lost = first - next;
        self.next = Some(first + 1);
        Some(held)
    }

    /// When waiting packets will have waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.held.values().map(|held| held.arrived).min().map(|first| first + self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds sequence numbers a millisecond apart; gives (sequence, lost before it) in order.
    fn run(arrivals: &[u16]) -> Vec<(u16, u64)> {
        let (mut reorder, start) = (Reorder::default(), Instant::now());
        let mut out = Vec::new();
        let mut now = start;
        let drain = |reorder: &mut Reorder<u16>, now, out: &mut Vec<(u16, u64)>| {
            while let Some(held) = reorder.pop(now) {
                out.push((held.packet, held.lost));
            }
        };
        for &sequence in arrivals {
            now += Duration::from_millis(1);
            match reorder.place(sequence, || sequence, now) {
                Place::Now => out.push((sequence, 0)),
                Place::Held | Place::Restart | Place::Stale | Place::Doubtful => {}
            }
            drain(&mut reorder, now, &mut out);
        }
        drain(&mut reorder, now + PATIENCE, &mut out);
        out
    }

    #[test]
    fn packets_come_out_in_order_over_the_wrap() {
        let expected = [65_533, 65_534, 65_535, 0, 1, 2].map(|sequence| (sequence, 0));
        assert_eq!(run(&[65_533, 65_534, 65_535, 0, 1, 2]), expected);
        assert_eq!(run(&[65_533, 65_535, 0, 65_534, 2, 1]), expected);
    }

    #[test]
    fn duplicates_and_latecomers_are_dropped() {
        assert_eq!(run(&[5, 5, 6, 4, 7, 6, 9, 9, 8]), [5, 6, 7, 8, 9].map(|s| (s, 0)));
    }

    #[test]
    fn a_gap_is_given_up_after_a_while() {
        assert_eq!(run(&[1, 2, 5, 6, 9]), [(1, 0), (2, 0), (5, 2), (6, 0), (9, 2)]);
        let many: Vec<u16> = [1].into_iter().chain(3..3 + MAX_HELD as u16).collect();
        let (mut reorder, now) = (Reorder::default(), Instant::now());
        for &sequence in &many {
            reorder.place(sequence, || (), now);
        }
        assert_eq!(reorder.pop(now).map(|held| held.lost), Some(1), "without waiting");
    }

    #[test]
    fn the_wait_ends_by_the_clock() {
        let (mut reorder, now) = (Reorder::default(), Instant::now());
        reorder.place(1, || (), now);
        reorder.place(3, || (), now);
        assert_eq!(reorder.deadline(), Some(now + PATIENCE));
        assert!(reorder.pop(now + PATIENCE / 2).is_none());
        assert!(reorder.pop(now + PATIENCE).is_some());
        assert_eq!(reorder.deadline(), None);
    }

    #[test]
    fn a_jump_is_believed_when_it_is_followed_up() {
        assert_eq!(run(&[1, 2, 30_000, 3, 4]), [1, 2, 3, 4].map(|s| (s, 0)));
        assert_eq!(
            run(&[1, 2, 30_000, 30_001, 30_002]),
            [1, 2, 30_000, 30_001, 30_002].map(|s| (s, 0))
        );
        assert_eq!(run(&[1, 2, 30_000, 40_000, 40_001]), [1, 2, 40_000, 40_001].map(|s| (s, 0)));
        let late = [1, 40_000, 40_001, 40_002, 40_003].map(|s| (s, 0));
        assert_eq!(run(&[1, 40_000, 40_001, 40_003, 40_002]), late);
    }
}
