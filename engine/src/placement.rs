use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use visavis_core::{DataGauge, LastReceived};
use visavis_types::{PeerId, SessionId, Shrink};

/// Which media loop each peer lives on, and what it watches.
#[derive(Debug)]
pub(crate) struct Placement {
    peers: HashMap<PeerId, Placed>,
    /// Peers of each loop.
    load: Vec<usize>,
}

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
    /// It is to leave; false where that was said before.
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

#[derive(Debug)]
struct Placed {
    media_loop: usize,
    link: Arc<PeerLink>,
    watches: SessionId,
    /// Known once it has its answer.
    gauge: Option<Arc<DataGauge>>,
    /// Likewise.
    heard: Option<Arc<LastReceived>>,
}

impl Placed {
    fn gauge(&self, session: &SessionId) -> Option<&Arc<DataGauge>> {
        self.gauge.as_ref().filter(|_| &self.watches == session)
    }
}

impl Placement {
    pub(crate) fn new(loops: usize) -> Self {
        Self { peers: HashMap::new(), load: vec![0; loops] }
    }

    /// Peers on all loops.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Where a peer lives.
    pub(crate) fn get(&self, peer: PeerId) -> Option<(usize, Arc<PeerLink>)> {
        let placed = self.peers.get(&peer)?;
        Some((placed.media_loop, Arc::clone(&placed.link)))
    }

    /// Viewers of a session, those that have no answer yet included.
    pub(crate) fn count(&self, session: &SessionId) -> usize {
        self.peers.values().filter(|placed| &placed.watches == session).count()
    }

    /// Gives a new viewer of a session to the loop with the fewest peers. `None` where it has a place already:
    /// another first offer of it came at the same time.
    pub(crate) fn place(
        &mut self,
        peer: PeerId,
        session: &SessionId,
    ) -> Option<(usize, Arc<PeerLink>)> {
        if self.peers.contains_key(&peer) {
            return None;
        }
        let least = (0..self.load.len()).min_by_key(|&index| self.load[index]).unwrap_or(0);
        let link = Arc::<PeerLink>::default();
        let placed = Placed {
            media_loop: least,
            link: Arc::clone(&link),
            watches: session.clone(),
            gauge: None,
            heard: None,
        };
        self.peers.insert(peer, placed);
        self.load.iter_mut().skip(least).take(1).for_each(|load| *load += 1);
        Some((least, link))
    }

    /// The viewer of a session that has been silent for the longest time, and for how long. One that is being
    /// answered cannot have said anything yet.
    pub(crate) fn quietest(&self, session: &SessionId, now: Instant) -> Option<(Duration, PeerId)> {
        let of_session = self.peers.iter().filter(|(_, placed)| &placed.watches == session);
        let silence = of_session
            .filter_map(|(&peer, placed)| Some((placed.heard.as_ref()?.silence(now), peer)));
        silence.max_by_key(|&(silence, _)| silence)
    }

    /// The viewer that has waited longest since its answer and was never heard, if for so long at least.
    pub(crate) fn unheard(&self, patience: Duration, now: Instant) -> Option<PeerId> {
        let unheard = self.peers.iter().filter_map(|(&peer, placed)| {
            let heard = placed.heard.as_ref().filter(|heard| !heard.was_received())?;
            Some((heard.silence(now), peer))
        });
        let (silence, peer) = unheard.max_by_key(|&(silence, _)| silence)?;
        (silence >= patience).then_some(peer)
    }

    /// Says where the messages for a peer are counted, and when it was last heard.
    pub(crate) fn answered(
        &mut self,
        peer: PeerId,
        gauge: Arc<DataGauge>,
        heard: Arc<LastReceived>,
    ) {
        if let Some(placed) = self.peers.get_mut(&peer) {
            (placed.gauge, placed.heard) = (Some(gauge), Some(heard));
        }
    }

    /// The media loop of a viewer of a session, and where the messages for it are counted.
    pub(crate) fn viewer(
        &self,
        session: &SessionId,
        peer: PeerId,
    ) -> Option<(usize, Arc<DataGauge>)> {
        let placed = self.peers.get(&peer)?;
        Some((placed.media_loop, Arc::clone(placed.gauge(session)?)))
    }

    /// All viewers of a session.
    pub(crate) fn viewers(
        &self,
        session: &SessionId,
    ) -> impl Iterator<Item = (PeerId, usize, Arc<DataGauge>)> {
        self.peers.iter().filter_map(move |(&peer, placed)| {
            Some((peer, placed.media_loop, Arc::clone(placed.gauge(session)?)))
        })
    }

    /// Forgets a peer that has left.
    pub(crate) fn remove(&mut self, peer: PeerId) {
        let placed = self.peers.remove(&peer);
        self.peers.shrink_if_mostly_empty();
        if let Some(load) = placed.and_then(|placed| self.load.get_mut(placed.media_loop)) {
            *load -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_received() -> Arc<LastReceived> {
        Arc::new(LastReceived::new(Instant::now()))
    }

    #[test]
    fn who_has_been_silent_for_the_longest_time_is_found() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let session = SessionId::default();
        let mut placement = Placement::new(1);
        let heard: Vec<_> = (0..2).map(|_| Arc::new(LastReceived::new(start))).collect();
        for (raw, heard) in (0..).zip(&heard) {
            placement.place(PeerId::from_raw(raw), &session).unwrap();
            placement.answered(PeerId::from_raw(raw), Arc::default(), Arc::clone(heard));
        }
        // A third is being answered: it cannot have said anything yet.
        placement.place(PeerId::from_raw(2), &session).unwrap();
        heard[0].note(at(3));
        heard[1].note(at(4));
        let quietest = |s, raw| Some((Duration::from_secs(s), PeerId::from_raw(raw)));
        assert_eq!(placement.quietest(&session, at(7)), quietest(4, 0));
        heard[0].note(at(8));
        assert_eq!(placement.quietest(&session, at(9)), quietest(5, 1));
        let other = SessionId::new("other").unwrap();
        assert_eq!(placement.quietest(&other, at(99)), None);
    }

    #[test]
    fn who_was_never_heard_is_found_and_nobody_else() {
        let start = Instant::now();
        let (session, second) = (SessionId::default(), Duration::from_secs(1));
        let mut placement = Placement::new(1);
        let heard: Vec<_> =
            (0..3).map(|n| Arc::new(LastReceived::new(start + second * n))).collect();
        for (raw, heard) in (0..).zip(&heard) {
            placement.place(PeerId::from_raw(raw), &session).unwrap();
            placement.answered(PeerId::from_raw(raw), Arc::default(), Arc::clone(heard));
        }
        assert_eq!(placement.unheard(second * 6, start + second * 5), None);
        assert_eq!(placement.unheard(second, start + second * 5), Some(PeerId::from_raw(0)));
        // At once, even.
        heard[0].note(start);
        assert_eq!(placement.unheard(second, start + second * 99), Some(PeerId::from_raw(1)));
    }

    #[test]
    fn new_peers_go_where_the_fewest_are() {
        let mut placement = Placement::new(3);
        let peer = PeerId::from_raw;
        let session = SessionId::default();
        let placed: Vec<usize> =
            (0..6).map(|raw| placement.place(peer(raw), &session).unwrap().0).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        placement.answered(peer(0), Arc::default(), last_received());
        placement.answered(peer(1), Arc::default(), last_received());
        placement.remove(peer(1));
        placement.remove(peer(1));
        let viewers: Vec<PeerId> = placement.viewers(&session).map(|viewer| viewer.0).collect();
        assert_eq!(viewers, [peer(0)]);
        assert_eq!(placement.count(&session), 5, "those without an answer hold their place");
        placement.remove(peer(99));
        assert_eq!((placement.get(peer(1)).is_none(), placement.len()), (true, 5));
        assert_eq!(placement.place(peer(6), &session).unwrap().0, 1);
        assert!(placement.place(peer(6), &session).is_none(), "it has a place");
        assert_eq!(placement.get(peer(6)).unwrap().0, 1);
    }

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
