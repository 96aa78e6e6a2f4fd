use std::collections::HashMap;

use visavis_types::PeerId;

/// Which media loop each peer lives on.
#[derive(Debug)]
pub(crate) struct Placement {
    loop_of: HashMap<PeerId, usize>,
    /// Peers of each loop.
    load: Vec<usize>,
}

impl Placement {
    pub(crate) fn new(loops: usize) -> Self {
        Self { loop_of: HashMap::new(), load: vec![0; loops] }
    }

    /// Peers on all loops.
    pub(crate) fn len(&self) -> usize {
        self.loop_of.len()
    }

    /// Where a peer lives.
    pub(crate) fn get(&self, peer: PeerId) -> Option<usize> {
        self.loop_of.get(&peer).copied()
    }

    /// Gives a new peer to the loop with the fewest.
    pub(crate) fn place(&mut self, peer: PeerId) -> usize {
        let least = (0..self.load.len()).min_by_key(|&index| self.load[index]).unwrap_or(0);
        if self.loop_of.insert(peer, least).is_none()
            && let Some(load) = self.load.get_mut(least)
        {
            *load += 1;
        }
        least
    }

    /// Forgets a peer that has left.
    pub(crate) fn remove(&mut self, peer: PeerId) {
        if let Some(load) = self.loop_of.remove(&peer).and_then(|index| self.load.get_mut(index)) {
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
        let placed: Vec<usize> = (0..6).map(|raw| placement.place(peer(raw))).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        placement.remove(peer(1));
        placement.remove(peer(1));
        placement.remove(peer(99));
        assert_eq!((placement.get(peer(1)), placement.len()), (None, 5));
        assert_eq!(placement.place(peer(6)), 1);
        assert_eq!(placement.get(peer(6)), Some(1));
    }
}
