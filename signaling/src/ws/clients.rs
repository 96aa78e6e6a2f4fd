//! The WebSocket clients, and the places of those that have a viewer.

use std::collections::HashMap;

use visavis::peer::PeerId;
use visavis_types::Shrink;

/// Which connection controls which peer.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    connections: HashMap<PeerId, usize>,
    /// How many of them have a viewer.
    viewers: usize,
    /// Connections whose clients have resumed on others, to be closed.
    resumed_elsewhere: Vec<usize>,
}

impl Clients {
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// The connection that controls a peer.
    pub(crate) fn connection(&self, peer: PeerId) -> Option<usize> {
        self.connections.get(&peer).copied()
    }

    /// From now on this connection controls the peer.
    pub(crate) fn insert(&mut self, peer: PeerId, connection: usize) {
        self.connections.insert(peer, connection);
    }

    pub(crate) fn remove(&mut self, peer: PeerId) {
        self.connections.remove(&peer);
        self.connections.shrink_if_mostly_empty();
    }

    /// How many clients have a viewer.
    pub(crate) fn viewers(&self) -> usize {
        self.viewers
    }

    pub(crate) fn add_viewer(&mut self) {
        self.viewers += 1;
    }

    pub(crate) fn remove_viewer(&mut self) {
        self.viewers -= 1;
    }

    /// Has a connection closed whose client has resumed on another.
    pub(crate) fn close_resumed(&mut self, connection: usize) {
        self.resumed_elsewhere.push(connection);
    }

    /// The next connection to close because its client has resumed on another.
    pub(crate) fn next_resumed(&mut self) -> Option<usize> {
        self.resumed_elsewhere.pop()
    }
}
