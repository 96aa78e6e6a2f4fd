//! Decides which visitor is echoed.

use std::collections::{HashMap, VecDeque};

use visavis::microphone::MicChunk;
use visavis::peer::PeerId;
use visavis::units::UnixMillis;

/// Sample rate of the microphones and of the echo: that of the demo's speech.
pub const RATE_HZ: u32 = 24_000;

/// How much sound from before the detection of speech is repeated too: detection takes some 50 ms, and words begin
/// softly. It delays the echo by as much, which absorbs chunks that come late.
const PRE_ROLL: usize = RATE_HZ as usize * 3 / 10;

/// The most sound that waits to be repeated, in samples; past that the oldest is dropped.
const MAX_PENDING: usize = RATE_HZ as usize;

/// A visitor without sound for this long is forgotten when another comes. Chunks may come after the event that
/// their visitor has left.
const FORGET_MS: u64 = 10_000;

/// One visitor has the floor at a time: the first who began to speak, until half a second of silence; then the one of
/// the others who began first and is still speaking.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// The latest sound of each of the others.
    recent: HashMap<PeerId, Recent>,
    /// Who speaks, in the order in which they began; the first one has the floor.
    speaking: Vec<PeerId>,
    /// Sound of the visitor who has the floor, still to be repeated.
    pending: VecDeque<i16>,
}

#[derive(Debug)]
struct Recent {
    samples: VecDeque<i16>,
    /// When the last of it was captured.
    captured: UnixMillis,
}

impl Floor {
    /// Takes sound of a visitor, speech or not.
    pub(super) fn push(&mut self, chunk: &MicChunk) {
        if self.holder() == Some(chunk.peer) {
            self.pending.extend(&chunk.samples);
            keep_last(&mut self.pending, MAX_PENDING);
            return;
        }
        if !self.recent.contains_key(&chunk.peer) {
            let now = chunk.captured.0;
            self.recent.retain(|_, recent| recent.captured.0 + FORGET_MS > now);
        }
        let (samples, captured) = (VecDeque::new(), chunk.captured);
        let recent = self.recent.entry(chunk.peer).or_insert(Recent { samples, captured });
        recent.samples.extend(&chunk.samples);
        recent.captured = captured;
        keep_last(&mut recent.samples, PRE_ROLL);
    }

    /// A visitor has begun to speak.
    pub(super) fn started(&mut self, peer: PeerId) {
        if self.speaking.contains(&peer) {
            return;
        }
        self.speaking.push(peer);
        if self.holder() == Some(peer) {
            self.begin();
        }
    }

    /// A visitor has been silent for half a second.
    pub(super) fn ended(&mut self, peer: PeerId) {
        let before = self.holder();
        self.speaking.retain(|speaker| *speaker != peer);
        if self.holder() != before {
            self.begin();
        }
    }

    /// A visitor is gone.
    pub(super) fn left(&mut self, peer: PeerId) {
        self.ended(peer);
        self.recent.remove(&peer);
    }

    /// Who is echoed.
    pub(super) fn holder(&self) -> Option<PeerId> {
        self.speaking.first().copied()
    }

    /// Takes the next `samples` samples, if there are as many.
    pub(super) fn take(&mut self, samples: usize) -> Option<Vec<i16>> {
        (self.pending.len() >= samples).then(|| self.pending.drain(..samples).collect())
    }

    /// Begins with the latest sound of the new holder. Drops what is left of the previous one.
    fn begin(&mut self) {
        self.pending.clear();
        let holder = self.holder();
        if let Some(recent) = holder.and_then(|peer| self.recent.get_mut(&peer)) {
            self.pending.append(&mut recent.samples);
        }
    }
}

fn keep_last(samples: &mut VecDeque<i16>, count: usize) {
    let excess = samples.len().saturating_sub(count);
    samples.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(peer: u64, value: i16, samples: usize) -> MicChunk {
        MicChunk::new(PeerId::from_raw(peer), vec![value; samples], RATE_HZ).captured(UnixMillis(0))
    }

    fn peer(id: u64) -> PeerId {
        PeerId::from_raw(id)
    }

    fn rest(floor: &mut Floor) -> Vec<i16> {
        std::iter::from_fn(|| floor.take(1)).flatten().collect()
    }

    #[test]
    fn who_speaks_is_echoed_from_a_little_before_on() {
        let mut floor = Floor::default();
        floor.push(&chunk(1, 1, PRE_ROLL));
        floor.push(&chunk(1, 2, 100));
        assert_eq!(floor.take(1), None);
        floor.started(peer(1));
        floor.push(&chunk(1, 3, 50));
        assert_eq!(floor.take(PRE_ROLL + 51), None);
        let said = rest(&mut floor);
        assert_eq!(said.len(), PRE_ROLL + 50);
        assert_eq!([said[0], said[PRE_ROLL - 101], said[PRE_ROLL - 100]], [1, 1, 2]);
        assert_eq!(said[PRE_ROLL..], [3; 50]);
        floor.ended(peer(1));
        floor.push(&chunk(1, 4, 10));
        assert_eq!((floor.take(1), floor.holder()), (None, None));
    }

    #[test]
    fn one_has_the_floor_at_a_time_and_the_next_follows() {
        let mut floor = Floor::default();
        floor.started(peer(1));
        floor.push(&chunk(1, 1, 10));
        floor.started(peer(2));
        floor.started(peer(3));
        floor.push(&chunk(2, 2, 10));
        floor.push(&chunk(3, 3, 10));
        assert_eq!(rest(&mut floor), [1; 10]);
        // One who waits may give up without anybody noticing.
        floor.ended(peer(2));
        floor.push(&chunk(1, 1, 5));
        assert_eq!((floor.holder(), rest(&mut floor)), (Some(peer(1)), vec![1; 5]));
        floor.ended(peer(1));
        assert_eq!((floor.holder(), rest(&mut floor)), (Some(peer(3)), vec![3; 10]));
        floor.started(peer(2));
        floor.left(peer(3));
        assert_eq!((floor.holder(), rest(&mut floor)), (Some(peer(2)), vec![2; 10]));
    }

    #[test]
    fn one_who_begins_twice_or_ends_without_beginning_changes_nothing() {
        let mut floor = Floor::default();
        floor.ended(peer(1));
        floor.left(peer(1));
        floor.started(peer(1));
        floor.push(&chunk(1, 1, 10));
        floor.started(peer(1));
        floor.ended(peer(2));
        assert_eq!(rest(&mut floor), [1; 10]);
        floor.ended(peer(1));
        assert_eq!(floor.holder(), None);
    }

    #[test]
    fn visitors_who_are_long_gone_are_forgotten() {
        let mut floor = Floor::default();
        for peer in 0..100 {
            floor.left(PeerId::from_raw(peer));
            floor.push(&chunk(peer, 1, 10).captured(UnixMillis(peer * 1_000)));
        }
        assert!(floor.recent.len() <= 11, "{}", floor.recent.len());
    }

    #[test]
    fn what_is_not_fetched_does_not_pile_up() {
        let mut floor = Floor::default();
        floor.started(peer(1));
        for _ in 0..100 {
            floor.push(&chunk(1, 1, RATE_HZ as usize / 50));
            floor.push(&chunk(2, 1, RATE_HZ as usize / 50));
        }
        assert_eq!(rest(&mut floor).len(), MAX_PENDING);
        floor.ended(peer(1));
        floor.started(peer(2));
        assert_eq!(rest(&mut floor).len(), PRE_ROLL);
    }
}
