//! Collections give back the room that a crowd needed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

use slab::Slab;

/// Room for so many is kept.
const KEPT: usize = 64;

/// Collections keep the room that they once needed. These give it back when three quarters of it are empty, which
/// is to be asked for after something was taken out: it is seldom done, and costs as much as putting in what is left.
pub trait Shrink {
    /// Gives room back if it is worth it.
    fn shrink_if_mostly_empty(&mut self);
}

/// What is to be left of a capacity, if less is enough.
fn enough(capacity: usize, len: usize) -> Option<usize> {
    (capacity > KEPT.max(len.saturating_mul(4))).then_some(KEPT.min(capacity).max(len * 2))
}

impl<K: Eq + Hash, V, S: BuildHasher> Shrink for HashMap<K, V, S> {
    fn shrink_if_mostly_empty(&mut self) {
        // What is asked for is rounded up: by less than a half.
        if let Some(enough) = enough(self.capacity() / 2, self.len()) {
            self.shrink_to(enough);
        }
    }
}

impl<T: Eq + Hash, S: BuildHasher> Shrink for HashSet<T, S> {
    fn shrink_if_mostly_empty(&mut self) {
        if let Some(enough) = enough(self.capacity() / 2, self.len()) {
            self.shrink_to(enough);
        }
    }
}

/// Keys stay what they are: room after the last of them is what can be given back.
impl<T> Shrink for Slab<T> {
    fn shrink_if_mostly_empty(&mut self) {
        if enough(self.capacity(), self.len()).is_some() {
            self.shrink_to_fit();
        }
    }
}

impl<T> Shrink for VecDeque<T> {
    fn shrink_if_mostly_empty(&mut self) {
        if let Some(enough) = enough(self.capacity(), self.len()) {
            self.shrink_to(enough);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_of_a_crowd_is_given_back_once_and_nothing_is_lost() {
        let mut map: HashMap<_, _> = (0..1_000).map(|n| (n, n)).collect();
        let full = map.capacity();
        map.retain(|&n, _| n >= 600);
        // Not always what it was before: places of what was taken out may count as taken.
        let room = map.capacity();
        map.shrink_if_mostly_empty();
        assert_eq!(map.capacity(), room, "four hundred may be a thousand again soon");
        map.retain(|&n, _| n >= 950);
        map.shrink_if_mostly_empty();
        let few = map.capacity();
        assert!(few >= 50 && few < full / 4, "{few} of {full}");
        map.shrink_if_mostly_empty();
        assert_eq!(map.capacity(), few);
        assert!((950..1_000).all(|n| map.get(&n) == Some(&n)));
    }

    #[test]
    fn keys_stay_what_they_are() {
        let mut slab: Slab<_> = (0..1_000).map(|n| (n, n)).collect();
        (0..1_000).filter(|&n| n != 100).for_each(|n| {
            slab.remove(n);
        });
        slab.shrink_if_mostly_empty();
        assert!(slab.capacity() < 200, "{}", slab.capacity());
        assert_eq!(slab.get(100), Some(&100));
        assert_eq!((0..100).map(|n| slab.insert(n)).max(), Some(99), "what is free is used first");
    }

    #[test]
    fn an_empty_queue_keeps_a_little() {
        let mut queue: VecDeque<_> = (0..1_000).collect();
        queue.clear();
        queue.shrink_if_mostly_empty();
        let few = queue.capacity();
        assert!((KEPT..KEPT * 2).contains(&few), "{few}");
        queue.shrink_if_mostly_empty();
        assert_eq!(queue.capacity(), few);
    }
}
