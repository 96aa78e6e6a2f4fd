use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// When each viewer wants to be called. A deadline that moves away costs nothing: its entry in the
/// heap stays and is put right when it comes up.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    of: Vec<Slot>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    wanted: Option<Instant>,
    /// The earliest entry in the heap.
    queued: Option<Instant>,
}

impl Deadlines {
    /// Sets when viewer `index` is called next, in place of what was set before.
    pub(super) fn set(&mut self, index: usize, at: Instant) {
        if self.of.len() <= index {
            self.of.resize(index + 1, Slot::default());
        }
        let Some(slot) = self.of.get_mut(index) else { return };
        slot.wanted = Some(at);
        if slot.queued.is_none_or(|queued| at < queued) {
            slot.queued = Some(at);
            self.heap.push(Reverse((at, index)));
        }
    }

    /// Forgets a viewer.
    pub(super) fn clear(&mut self, index: usize) {
        if let Some(slot) = self.of.get_mut(index) {
            slot.wanted = None;
        }
    }

    /// Not later than the next deadline.
    pub(super) fn first(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A viewer whose deadline has come. It has none after that, until one is set.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        loop {
            let Reverse((at, index)) = *self.heap.peek().filter(|entry| entry.0.0 <= now)?;
            self.heap.pop();
            let Some(slot) = self.of.get_mut(index) else { continue };
            if slot.queued != Some(at) {
                // An earlier entry has been set after this one, and has come up already.
                continue;
            }
            slot.queued = None;
            match slot.wanted {
                Some(wanted) if wanted <= now => {
                    slot.wanted = None;
                    return Some(index);
                }
                Some(wanted) => self.set(index, wanted),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn come_in_order_and_once() {
        let mut deadlines = Deadlines::default();
        let now = Instant::now();
        deadlines.set(0, now + seconds(2));
        deadlines.set(1, now + seconds(1));
        deadlines.set(0, now);
        assert_eq!(deadlines.first(), Some(now));
        assert_eq!(deadlines.take_due(now), Some(0));
        assert_eq!(deadlines.take_due(now), None);
        assert_eq!(deadlines.take_due(now + seconds(3)), Some(1));
        assert_eq!(deadlines.take_due(now + seconds(3)), None);
        assert_eq!(deadlines.first(), None);
    }

    #[test]
    fn one_that_moved_away_comes_at_its_new_time() {
        let mut deadlines = Deadlines::default();
        let now = Instant::now();
        deadlines.set(0, now + seconds(1));
        deadlines.set(0, now + seconds(5));
        assert_eq!(deadlines.take_due(now + seconds(4)), None);
        assert_eq!(deadlines.first(), Some(now + seconds(5)));
        assert_eq!(deadlines.take_due(now + seconds(5)), Some(0));
        deadlines.set(0, now + seconds(6));
        deadlines.clear(0);
        assert_eq!(deadlines.take_due(now + seconds(9)), None);
    }
}
