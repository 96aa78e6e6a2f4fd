use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Candidates of one peer that may wait for its media loop. A browser has some ten, and a peer that sends more
/// than are handled at once floods.
const MAX_WAITING_CANDIDATES: usize = 32;

/// What callers and the media loop both know of a peer.
#[derive(Debug, Default)]
pub(crate) struct PeerLink {
    is_leaving: AtomicBool,
    waiting_candidates: AtomicUsize,
}

impl PeerLink {
    /// It is to leave; false where it was to leave already.
    pub(crate) fn leave(&self) -> bool {
        !self.is_leaving.swap(true, Relaxed)
    }

    /// Whether it was to leave before it came.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }

    /// Whether another candidate may wait, which then counts.
    pub(crate) fn reserve_candidate(&self) -> bool {
        let more = |waiting: usize| (waiting < MAX_WAITING_CANDIDATES).then_some(waiting + 1);
        self.waiting_candidates.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// One of them waits no longer.
    pub(crate) fn release_candidate(&self) {
        self.waiting_candidates.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_leaves_once_and_has_a_bounded_number_of_candidates_waiting() {
        let link = PeerLink::default();
        assert!(link.leave() && !link.leave() && link.is_leaving());
        let taken = (0..100).filter(|_| link.reserve_candidate()).count();
        assert_eq!(taken, MAX_WAITING_CANDIDATES);
        link.release_candidate();
        assert!(link.reserve_candidate() && !link.reserve_candidate());
    }
}
