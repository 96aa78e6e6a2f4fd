use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_core::{DataGauge, LastReceived, NetworkGauge, Peer, PictureGauge};
use visavis_types::{PeerId, SessionId, Shrink};

use crate::peer_link::PeerLink;
use crate::status::ViewerStatus;

/// The sessions there are, what callers need of each, and where their viewers live. The one table of both: whatever
/// looks for a session or a peer finds it here by its id.
#[derive(Debug)]
pub(crate) struct Directory<E> {
    sessions: HashMap<SessionId, Listed<E>>,
    peers: HashMap<PeerId, Placed>,
    /// Peers of each media loop.
    load: Vec<usize>,
}

#[derive(Debug)]
struct Listed<E> {
    entry: E,
    /// Viewers, those that have no answer yet included.
    viewers: HashSet<PeerId>,
}

#[derive(Debug)]
struct Placed {
    media_loop: usize,
    link: Arc<PeerLink>,
    session: SessionId,
    /// Known once it has its answer.
    answered: Option<Answered>,
}

/// What is known of a peer that has its answer: where the messages for it are counted, when something of it was received
/// last, its network, what it gets.
#[derive(Debug)]
pub(crate) struct Answered {
    gauge: Arc<DataGauge>,
    last_received: Arc<LastReceived>,
    network: Arc<NetworkGauge>,
    pictures: Arc<PictureGauge>,
}

impl Answered {
    pub(crate) fn of(peer: &Peer) -> Self {
        Self {
            gauge: Arc::clone(peer.data_gauge()),
            last_received: Arc::clone(peer.last_received()),
            network: Arc::clone(peer.network()),
            pictures: Arc::clone(peer.pictures()),
        }
    }
}

impl<E> Directory<E> {
    pub(crate) fn new(loops: usize) -> Self {
        Self { sessions: HashMap::new(), peers: HashMap::new(), load: vec![0; loops] }
    }

    // --- Sessions ---

    pub(crate) fn session(&self, id: &SessionId) -> Option<&E> {
        self.sessions.get(id).map(|listed| &listed.entry)
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = (&SessionId, &E)> {
        self.sessions.iter().map(|(id, listed)| (id, &listed.entry))
    }

    /// Lists a session, in the place of another that has its id.
    pub(crate) fn insert_session(&mut self, id: SessionId, entry: E) {
        self.sessions.insert(id, Listed { entry, viewers: HashSet::new() });
    }

    /// Takes out the session that has this id, if it is the one that is meant. Its viewers hold their places until
    /// they have left.
    pub(crate) fn remove_session(&mut self, id: &SessionId, is_meant: impl FnOnce(&E) -> bool) {
        if self.session(id).is_some_and(is_meant) {
            self.sessions.remove(id);
            self.sessions.shrink_if_mostly_empty();
        }
    }

    // --- Peers ---

    /// Peers on all loops.
    pub(crate) fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// Where a peer lives.
    pub(crate) fn peer(&self, peer: PeerId) -> Option<(usize, Arc<PeerLink>)> {
        let placed = self.peers.get(&peer)?;
        Some((placed.media_loop, Arc::clone(&placed.link)))
    }

    /// Viewers of a session, those that have no answer yet included.
    pub(crate) fn viewer_count(&self, session: &SessionId) -> usize {
        self.sessions.get(session).map_or(0, |listed| listed.viewers.len())
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
            session: session.clone(),
            answered: None,
        };
        self.peers.insert(peer, placed);
        if let Some(listed) = self.sessions.get_mut(session) {
            listed.viewers.insert(peer);
        }
        self.load.iter_mut().skip(least).take(1).for_each(|load| *load += 1);
        Some((least, link))
    }

    /// The viewer of a session that has been silent for the longest time, and for how long. One that is being
    /// answered cannot have sent anything yet.
    pub(crate) fn longest_silent(
        &self,
        session: &SessionId,
        now: Instant,
    ) -> Option<(Duration, PeerId)> {
        let silence = self
            .answered_of(session)
            .map(|(peer, _, answered)| (answered.last_received.silence(now), peer));
        silence.max_by_key(|&(silence, _)| silence)
    }

    /// The viewer that has waited longest since its answer and of which nothing was received, if for so long at
    /// least.
    pub(crate) fn never_received(&self, patience: Duration, now: Instant) -> Option<PeerId> {
        let never_received = self.peers.iter().filter_map(|(&peer, placed)| {
            let last = &placed.answered.as_ref()?.last_received;
            (!last.was_received()).then(|| (last.silence(now), peer))
        });
        let (silence, peer) = never_received.max_by_key(|&(silence, _)| silence)?;
        (silence >= patience).then_some(peer)
    }

    /// A peer has its answer.
    pub(crate) fn set_answered(&mut self, peer: PeerId, answered: Answered) {
        if let Some(placed) = self.peers.get_mut(&peer) {
            placed.answered = Some(answered);
        }
    }

    /// The media loop of a viewer of a session, and where the messages for it are counted.
    pub(crate) fn viewer(
        &self,
        session: &SessionId,
        peer: PeerId,
    ) -> Option<(usize, Arc<DataGauge>)> {
        let placed = self.peers.get(&peer).filter(|placed| &placed.session == session)?;
        Some((placed.media_loop, Arc::clone(&placed.answered.as_ref()?.gauge)))
    }

    /// All viewers of a session that have their answers.
    pub(crate) fn viewers(
        &self,
        session: &SessionId,
    ) -> impl Iterator<Item = (PeerId, usize, Arc<DataGauge>)> {
        let viewers = self.answered_of(session);
        viewers.map(|(peer, media_loop, answered)| (peer, media_loop, Arc::clone(&answered.gauge)))
    }

    /// What is known of a session's viewers: their networks, and what they get.
    pub(crate) fn viewer_statuses(
        &self,
        session: &SessionId,
    ) -> impl Iterator<Item = ViewerStatus> {
        self.answered_of(session).map(|(peer, _, answered)| ViewerStatus {
            peer,
            network: answered.network.status(),
            picture: answered.pictures.status(),
        })
    }

    fn answered_of(&self, session: &SessionId) -> impl Iterator<Item = (PeerId, usize, &Answered)> {
        let viewers = self.sessions.get(session).into_iter().flat_map(|listed| &listed.viewers);
        viewers.filter_map(|peer| {
            let placed = self.peers.get(peer)?;
            Some((*peer, placed.media_loop, placed.answered.as_ref()?))
        })
    }

    /// Forgets a peer that has left.
    pub(crate) fn remove_peer(&mut self, peer: PeerId) {
        let Some(placed) = self.peers.remove(&peer) else { return };
        self.peers.shrink_if_mostly_empty();
        if let Some(listed) = self.sessions.get_mut(&placed.session) {
            listed.viewers.remove(&peer);
            listed.viewers.shrink_if_mostly_empty();
        }
        if let Some(load) = self.load.get_mut(placed.media_loop) {
            *load -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the default session.
    fn directory(loops: usize) -> Directory<()> {
        let mut directory = Directory::new(loops);
        directory.insert_session(SessionId::default(), ());
        directory
    }

    fn answered(last_received: Arc<LastReceived>) -> Answered {
        Answered {
            gauge: Arc::default(),
            last_received,
            network: Arc::default(),
            pictures: Arc::default(),
        }
    }

    #[test]
    fn who_has_been_silent_for_the_longest_time_is_found() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let session = SessionId::default();
        let mut directory = directory(1);
        let received: Vec<_> = (0..2).map(|_| Arc::new(LastReceived::new(start))).collect();
        for (raw, received) in (0..).zip(&received) {
            directory.place(PeerId::from_raw(raw), &session).unwrap();
            directory.set_answered(PeerId::from_raw(raw), answered(Arc::clone(received)));
        }
        // A third is being answered: it cannot have sent anything yet.
        directory.place(PeerId::from_raw(2), &session).unwrap();
        received[0].note(at(3));
        received[1].note(at(4));
        let longest_silent = |s, raw| Some((Duration::from_secs(s), PeerId::from_raw(raw)));
        assert_eq!(directory.longest_silent(&session, at(7)), longest_silent(4, 0));
        received[0].note(at(8));
        assert_eq!(directory.longest_silent(&session, at(9)), longest_silent(5, 1));
        let other = SessionId::new("other").unwrap();
        assert_eq!(directory.longest_silent(&other, at(99)), None);
    }

    #[test]
    fn who_has_never_sent_anything_is_found_and_nobody_else() {
        let start = Instant::now();
        let (session, second) = (SessionId::default(), Duration::from_secs(1));
        let mut directory = directory(1);
        let received: Vec<_> =
            (0..3).map(|n| Arc::new(LastReceived::new(start + second * n))).collect();
        for (raw, received) in (0..).zip(&received) {
            directory.place(PeerId::from_raw(raw), &session).unwrap();
            directory.set_answered(PeerId::from_raw(raw), answered(Arc::clone(received)));
        }
        assert_eq!(directory.never_received(second * 6, start + second * 5), None);
        assert_eq!(directory.never_received(second, start + second * 5), Some(PeerId::from_raw(0)));
        // At once, even.
        received[0].note(start);
        assert_eq!(
            directory.never_received(second, start + second * 99),
            Some(PeerId::from_raw(1))
        );
    }

    #[test]
    fn new_peers_go_where_the_fewest_are() {
        let mut directory = directory(3);
        let peer = PeerId::from_raw;
        let session = SessionId::default();
        let placed: Vec<usize> =
            (0..6).map(|raw| directory.place(peer(raw), &session).unwrap().0).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        let received = Arc::new(LastReceived::new(Instant::now()));
        directory.set_answered(peer(0), answered(Arc::clone(&received)));
        directory.set_answered(peer(1), answered(received));
        directory.remove_peer(peer(1));
        directory.remove_peer(peer(1));
        let viewers: Vec<PeerId> = directory.viewers(&session).map(|viewer| viewer.0).collect();
        assert_eq!(viewers, [peer(0)]);
        assert_eq!(directory.viewer_count(&session), 5, "those without an answer hold their place");
        directory.remove_peer(peer(99));
        assert_eq!((directory.peer(peer(1)).is_none(), directory.peer_count()), (true, 5));
        assert_eq!(directory.place(peer(6), &session).unwrap().0, 1);
        assert!(directory.place(peer(6), &session).is_none(), "it has a place");
        assert_eq!(directory.peer(peer(6)).unwrap().0, 1);
    }
}
