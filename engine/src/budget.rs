//! How much may wait somewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How much may wait for its turn. What is over it is not taken, and its caller is told.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

/// A place for something that waits; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    amount: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
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

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.amount, Relaxed);
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
}
