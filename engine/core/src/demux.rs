//! Whose datagram this is, without asking every peer.

use std::collections::HashMap;
use std::net::SocketAddr;

use str0m::ice::StunMessage;

/// Addresses kept per peer. A browser shows a handful (one per interface and candidate); the bound
/// keeps a peer that keeps changing its port from growing the map.
const MAX_ADDRESSES_PER_PEER: usize = 16;

/// What a datagram is addressed by (RFC 7983 tells the protocols apart by the first byte).
pub(crate) enum Address<'a> {
    /// An ICE connectivity check: names the peer by our half of its user name (RFC 8445 §7.2.2).
    Ufrag(&'a str),
    /// Anything else belongs to whoever was seen at its source address.
    Source,
    /// No STUN, DTLS, RTP or RTCP, or broken STUN.
    Garbage,
}

/// Reads how a datagram names its peer.
pub(crate) fn address_of(datagram: &[u8]) -> Address<'_> {
    match datagram.first() {
        Some(0..=3) => match StunMessage::parse(datagram) {
            Ok(stun) if stun.is_binding_request() => {
                // `USERNAME` is "ours:theirs"; borrowed from the datagram, not from the parser.
                stun.username()
                    .and_then(|name| name.split_once(':'))
                    .map_or(Address::Garbage, |(ours, _)| Address::Ufrag(ours))
            }
            Ok(_) => Address::Source,
            Err(_) => Address::Garbage,
        },
        Some(20..=63 | 128..=191) => Address::Source,
        _ => Address::Garbage,
    }
}

/// Maps from ICE user names and addresses to peers.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_ufrag: HashMap<String, usize>,
    by_source: HashMap<SocketAddr, usize>,
}

/// The names under which one peer can be reached; kept beside the peer, to unregister it.
#[derive(Debug, Default)]
pub(crate) struct Registration {
    ufrags: Vec<String>,
    sources: Vec<SocketAddr>,
}

impl Demux {
    /// The peer a datagram belongs to.
    pub(crate) fn find(&self, address: &Address<'_>, source: SocketAddr) -> Option<usize> {
        match address {
            Address::Ufrag(ufrag) => self.by_ufrag.get(*ufrag).copied(),
            Address::Source => self.by_source.get(&source).copied(),
            Address::Garbage => None,
        }
    }

    /// Adds a user name of a peer: at the start and after an ICE restart. The old one stays valid, for
    /// checks that are still on their way.
    pub(crate) fn add_ufrag(&mut self, names: &mut Registration, key: usize, ufrag: &str) {
        if names.ufrags.iter().any(|known| known == ufrag) {
            return;
        }
        if names.ufrags.len() == MAX_ADDRESSES_PER_PEER {
            self.by_ufrag.remove(&names.ufrags.remove(0));
        }
        names.ufrags.push(ufrag.to_owned());
        self.by_ufrag.insert(ufrag.to_owned(), key);
    }

    /// Notes that a peer lives at an address. The newest owner wins: a browser's port can be given to
    /// its next connection.
    pub(crate) fn add_source(&mut self, names: &mut Registration, key: usize, source: SocketAddr) {
        if self.by_source.insert(source, key) == Some(key) {
            return;
        }
        if names.sources.contains(&source) {
            return;
        }
        if names.sources.len() == MAX_ADDRESSES_PER_PEER {
            self.remove_source(key, names.sources.remove(0));
        }
        names.sources.push(source);
    }

    /// Forgets a peer.
    pub(crate) fn remove(&mut self, names: Registration, key: usize) {
        for ufrag in names.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for source in names.sources {
            self.remove_source(key, source);
        }
    }

    fn remove_source(&mut self, key: usize, source: SocketAddr) {
        if self.by_source.get(&source) == Some(&key) {
            self.by_source.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn the_newest_owner_of_an_address_keeps_it_when_the_old_one_leaves() {
        let mut demux = Demux::default();
        let (mut old, mut new) = (Registration::default(), Registration::default());
        demux.add_source(&mut old, 1, source(5));
        demux.add_source(&mut new, 2, source(5));
        demux.remove(old, 1);
        assert_eq!(demux.find(&Address::Source, source(5)), Some(2));
        demux.remove(new, 2);
        assert_eq!(demux.find(&Address::Source, source(5)), None);
    }

    #[test]
    fn a_peer_that_changes_ports_forever_stays_bounded() {
        let mut demux = Demux::default();
        let mut names = Registration::default();
        for port in 1..1_000 {
            demux.add_source(&mut names, 3, source(port));
        }
        assert_eq!(demux.by_source.len(), MAX_ADDRESSES_PER_PEER);
        demux.remove(names, 3);
        assert!(demux.by_source.is_empty());
    }

    #[test]
    fn garbage_is_named_so() {
        for bytes in
            [&[][..], &[0], &[1; 30], &[4; 30], &[64; 30], &[127; 30], &[192; 30], &[255; 30]]
        {
            assert!(matches!(address_of(bytes), Address::Garbage), "{bytes:?}");
        }
        assert!(matches!(address_of(&[0x80; 30]), Address::Source));
        assert!(matches!(address_of(&[22; 30]), Address::Source));
    }
}
