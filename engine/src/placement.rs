use std::collections::HashMap;
use std::sync::Arc;

use visavis_core::DataGauge;
use visavis_types::{PeerId, SessionId};

/// Which media loop each peer lives on, and what it watches.
#[derive(Debug)]
pub(crate) struct Placement {
    peers: HashMap<PeerId, Placed>,
    /// Peers of each loop.
    load: Vec<usize>,
}

#[derive(Debug)]
struct Placed {
    media_loop: usize,
    watches: SessionId,
    /// Known once it has its answer.
    gauge: Option<Arc<DataGauge>>,
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
    pub(crate) fn get(&self, peer: PeerId) -> Option<usize> {
        Some(self.peers.get(&peer)?.media_loop)
    }

    /// Viewers of a session, those that have no answer yet included.
    pub(crate) fn count(&self, session: &SessionId) -> usize {
        self.peers.values().filter(|placed| &placed.watches == session).count()
    }

    /// Gives a new viewer of a session to the loop with the fewest peers.
    pub(crate) fn place(&mut self, peer: PeerId, session: &SessionId) -> usize {
        let least = (0..self.load.len()).min_by_key(|&index| self.load[index]).unwrap_or(0);
        let placed = Placed { media_loop: least, watches: session.clone(), gauge: None };
        if self.peers.insert(peer, placed).is_none()
            && let Some(load) = self.load.get_mut(least)
        {
            *load += 1;
        }
        least
    }

    /// Says where the messages for a peer are counted.
    pub(crate) fn answered(&mut self, peer: PeerId, gauge: Arc<DataGauge>) {
        if let Some(placed) = self.peers.get_mut(&peer) {
            placed.gauge = Some(gauge);
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
        if let Some(load) = placed.and_then(|placed| self.load.get_mut(placed.media_loop)) {
            *load -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_peers_go_where_the_fewest_are() {
        let mut placement = Placement::new(3);
        let peer = PeerId::from_raw;
        let session = SessionId::default();
        let placed: Vec<usize> = (0..6).map(|raw| placement.place(peer(raw), &session)).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        placement.answered(peer(0), Arc::default());
        placement.answered(peer(1), Arc::default());
        placement.remove(peer(1));
        placement.remove(peer(1));
        let viewers: Vec<PeerId> = placement.viewers(&session).map(|viewer| viewer.0).collect();
        assert_eq!(viewers, [peer(0)]);
        assert_eq!(placement.count(&session), 5, "those without an answer hold their place");
        placement.remove(peer(99));
        assert_eq!((placement.get(peer(1)), placement.len()), (None, 5));
        assert_eq!(placement.place(peer(6), &session), 1);
        assert_eq!(placement.get(peer(6)), Some(1));
    }
}
