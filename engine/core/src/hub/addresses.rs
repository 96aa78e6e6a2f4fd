//! This machine's addresses, which may change while peers are here.

use std::time::Instant;

use visavis_types::PeerId;

use super::Hub;
use crate::transport::{Outbox, TransportAddress};

impl Hub {
    /// The ids of all peers.
    pub fn peer_ids(&self) -> Vec<PeerId> {
        self.peers.iter().map(|(_, peer)| peer.id()).collect()
    }

    /// Whether an address is a peer's: a connectivity check came from there that was made with its password.
    pub fn knows(&self, address: TransportAddress) -> bool {
        self.demux.by_source(address).is_some()
    }

    /// Has a peer reachable at these addresses of ours too: it is sent checks from there, by which it finds them.
    /// Those that it knew stay, for an address that is gone may come back. An unknown peer is ignored.
    pub fn add_local_candidates(
        &mut self,
        id: PeerId,
        addresses: &[TransportAddress],
        now: Instant,
        out: &mut impl Outbox,
    ) {
        if let Some(&key) = self.peer_by_id.get(&id) {
            self.turn(key, now, out, |peer| {
                peer.add_local_candidates(addresses);
                peer.handle_timeout(now)
            });
        }
    }
}
