//! How much may wait somewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::Thread;

use crossbeam_queue::SegQueue;

/// How much may wait for its turn. What is over it is not taken, and its caller is told.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    waiting: Option<Arc<Waiting>>,
}

/// A place for something that waits; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    amount: usize,
}

/// Callers that sleep until there is room.
#[derive(Debug, Default)]
pub(crate) struct Waiting(SegQueue<Thread>);

impl Waiting {
    /// The calling thread is woken the next time that there is room somewhere.
    pub(crate) fn register(&self) {
        self.0.push(std::thread::current());
    }

    /// Something has changed.
    pub(crate) fn wake(&self) {
        while let Some(thread) = self.0.pop() {
            thread.unpark();
        }
    }
}

/// Room for what utterances wait with. The first of them has room of its own: those behind it wait for its end, and
/// must not keep it from being pushed to its end.
#[derive(Debug)]
pub(crate) struct Room {
    first: Arc<Budget>,
    others: Arc<Budget>,
}

impl Room {
    /// So much for the first, and as much for all others together.
    pub(crate) fn new(limit: usize, waiting: &Arc<Waiting>) -> Self {
        let budget = || Budget::waking(limit, waiting);
        Self { first: budget(), others: budget() }
    }

    /// `None` where there is none.
    pub(crate) fn reserve(&self, is_first: bool, amount: usize) -> Option<Reservation> {
        if is_first { self.first.reserve(amount) } else { self.others.reserve(amount) }
    }
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit, waiting: None })
    }

    /// One that wakes those who wait when there is room again.
    fn waking(limit: usize, waiting: &Arc<Waiting>) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit, waiting: Some(Arc::clone(waiting)) })
    }

    /// `None` where there is no room. Where nothing waits there is room for anything.
    pub(crate) fn reserve(self: &Arc<Self>, amount: usize) -> Option<Reservation> {
        let fits = |used: usize| {
            let after = used.saturating_add(amount);
            (used == 0 || after <= self.limit).then_some(after)
        };
        self.used.fetch_update(Relaxed, Relaxed, fits).ok()?;
        Some(Reservation { budget: Arc::clone(self), amount })
    }
}

impl Reservation {
    /// Takes so much of it for a part of what waits.
    pub(crate) fn split(&mut self, amount: usize) -> Self {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        Self { budget: Arc::clone(&self.budget), amount }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.amount, Relaxed);
        if let Some(waiting) = &self.budget.waiting {
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_when_what_waited_is_gone() {
        let budget = Budget::new(10);
        let first = budget.reserve(6).unwrap();
        assert!(budget.reserve(5).is_none());
        let second = budget.reserve(4).unwrap();
        drop(first);
        assert!(budget.reserve(6).is_some());
        drop(second);
        assert!(budget.reserve(1_000).is_some(), "nothing waits");
    }

    #[test]
    fn what_is_split_comes_back_in_its_parts() {
        let budget = Budget::new(10);
        let mut all = budget.reserve(10).unwrap();
        let part = all.split(4);
        assert!(budget.reserve(1).is_none());
        drop(part);
        assert!(budget.reserve(5).is_none() && budget.reserve(4).is_some());
        drop(all);
        assert!(budget.reserve(10).is_some());
    }

    #[test]
    fn those_that_wait_keep_the_first_from_nothing() {
        let room = Room::new(10, &Arc::default());
        let _waits = room.reserve(false, 10).unwrap();
        assert!(room.reserve(false, 1).is_none() && room.reserve(true, 10).is_some());
    }
}
