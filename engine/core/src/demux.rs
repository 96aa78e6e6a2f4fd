//! Whose datagram this is, without asking every peer.
//!
//! It is proved, not claimed. An address is a peer's because a connectivity check came from there that was made
//! with the peer's password; and where two peers have been at one address, it belongs to the one that answered a
//! check of ours there last, because only who receives there can answer.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use str0m::ice::StunMessage;
use visavis_types::Shrink;

use crate::entropy;
use crate::transport::{Route, TransportAddress};

/// ICE user names kept per peer: the one in use, and those of the restarts before it, by which checks still
/// find the peer on their way.
const MAX_UFRAGS: usize = 4;

/// How long an answer to a check of ours is waited for. No path that takes longer carries a face.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);

/// What a datagram is, and by what it names its peer (RFC 7983 tells the protocols apart by the first byte).
pub(crate) enum Incoming<'a> {
    /// An ICE connectivity check: names the peer by our half of its user name (RFC 8445 §7.2.2).
    Check(StunMessage<'a>, &'a str),
    /// The answer to a check of ours, which it names by transaction.
    Response(StunMessage<'a>, TransactionId),
    /// DTLS, RTP or RTCP: belongs to the peer that was seen at its source address.
    Protected(Content),
    /// A STUN indication, which keeps a NAT's binding alive and nothing else (RFC 8445 §11).
    Indication,
    /// No STUN, DTLS, RTP or RTCP, or broken STUN.
    Invalid,
}

/// What a peer sends beside STUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Dtls,
    Rtp,
    Rtcp,
}

/// RFC 8489 §5.
pub(crate) type TransactionId = [u8; 12];

/// Class and method of STUN (RFC 8489 §5): binding requests, indications, and answers of both kinds.
const REQUEST: [u8; 2] = [0x00, 0x01];
const INDICATION: [u8; 2] = [0x00, 0x11];
const SUCCESS: [u8; 2] = [0x01, 0x01];
const FAILURE: [u8; 2] = [0x01, 0x11];

/// Reads what a datagram is, and how it names its peer.
pub(crate) fn classify(datagram: &[u8]) -> Incoming<'_> {
    match datagram {
        [0..=3, ..] => stun(datagram).unwrap_or(Incoming::Invalid),
        [20..=63, ..] => Incoming::Protected(Content::Dtls),
        // RFC 5761 §4.
        [128..=191, 192..=223, ..] => Incoming::Protected(Content::Rtcp),
        [128..=191, ..] => Incoming::Protected(Content::Rtp),
        _ => Incoming::Invalid,
    }
}

fn stun(datagram: &[u8]) -> Option<Incoming<'_>> {
    let message = StunMessage::parse(datagram).ok()?;
    Some(match *datagram.first_chunk()? {
        // `USERNAME` is "ours:theirs"; borrowed from the datagram, not from the parser.
        REQUEST => Incoming::Check(message, message.username()?.split_once(':')?.0),
        SUCCESS | FAILURE => Incoming::Response(message, transaction(datagram)?),
        INDICATION => Incoming::Indication,
        _ => return None,
    })
}

/// Which media loop a connectivity check is for, by the user name that it names; `None` for what is none.
pub fn named_media_loop(datagram: &[u8]) -> Option<usize> {
    match classify(datagram) {
        Incoming::Check(_, ufrag) => entropy::named_media_loop(ufrag),
        _ => None,
    }
}

/// The transaction of a check that is sent, by its bytes; `None` where they are none.
pub(crate) fn check_in(datagram: &[u8]) -> Option<TransactionId> {
    datagram.starts_with(&REQUEST).then(|| transaction(datagram)).flatten()
}

fn transaction(datagram: &[u8]) -> Option<TransactionId> {
    datagram.get(8..20)?.try_into().ok()
}

/// A check of ours that was not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentCheck {
    /// Whose it is.
    pub(crate) peer: usize,
    /// From our candidate to theirs. The answer must come back that way (RFC 8445 §7.2.5.2.1).
    pub(crate) route: Route,
}

/// Maps from ICE user names, addresses and checks of ours to peers.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_ufrag: HashMap<String, usize>,
    by_source: HashMap<TransportAddress, usize>,
    checks: HashMap<TransactionId, SentCheck>,
    /// The checks in the order they were sent.
    sent: VecDeque<(Instant, TransactionId)>,
}

/// The user names under which one peer can be reached; kept beside the peer, to unregister it.
#[derive(Debug, Default)]
pub(crate) struct Registration {
    ufrags: Vec<String>,
}

impl Demux {
    /// The peer that a connectivity check names.
    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<usize> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// The peer that was seen at an address.
    pub(crate) fn by_source(&self, source: TransportAddress) -> Option<usize> {
        self.by_source.get(&source).copied()
    }

    /// The check that an answer from `source` is for.
    pub(crate) fn sent_check(
        &self,
        id: TransactionId,
        source: TransportAddress,
    ) -> Option<SentCheck> {
        self.checks.get(&id).copied().filter(|check| check.route.remote() == source)
    }

    /// A check of ours leaves.
    pub(crate) fn check_sent(&mut self, id: TransactionId, check: SentCheck, now: Instant) {
        while let Some((at, old)) = self.sent.front()
            && *at + ANSWER_TIMEOUT <= now
        {
            self.checks.remove(old);
            self.sent.pop_front();
            self.checks.shrink_if_mostly_empty();
            self.sent.shrink_if_mostly_empty();
        }
        self.checks.insert(id, check);
        self.sent.push_back((now, id));
    }

    /// A check of ours was answered, once and for all.
    pub(crate) fn check_completed(&mut self, id: TransactionId) {
        self.checks.remove(&id);
    }

    /// Adds a user name of a peer: at the start and after an ICE restart.
    pub(crate) fn add_ufrag(&mut self, names: &mut Registration, key: usize, ufrag: &str) {
        if names.ufrags.iter().any(|known| known == ufrag) {
            return;
        }
        if names.ufrags.len() == MAX_UFRAGS {
            self.by_ufrag.remove(&names.ufrags.remove(0));
        }
        names.ufrags.push(ufrag.to_owned());
        self.by_ufrag.insert(ufrag.to_owned(), key);
    }

    /// A check with a peer's password came from an address. That can be sent from anywhere under a false
    /// name, so it takes the address from nobody.
    pub(crate) fn claim(&mut self, source: TransportAddress, key: usize) {
        self.by_source.entry(source).or_insert(key);
    }

    /// A peer has answered a check that was sent to an address: it is there.
    pub(crate) fn prove(&mut self, source: TransportAddress, key: usize) {
        self.by_source.insert(source, key);
    }

    /// A peer is not at an address any more; another one may be.
    pub(crate) fn leave(&mut self, source: TransportAddress, key: usize) {
        if self.by_source.get(&source) == Some(&key) {
            self.by_source.remove(&source);
        }
    }

    /// Forgets a peer that was seen at these addresses.
    pub(crate) fn remove(
        &mut self,
        names: Registration,
        sources: impl Iterator<Item = TransportAddress>,
        key: usize,
    ) {
        for ufrag in names.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for source in sources {
            self.leave(source, key);
        }
        self.by_ufrag.shrink_if_mostly_empty();
        self.by_source.shrink_if_mostly_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn source(port: u16) -> TransportAddress {
        TransportAddress::udp(SocketAddr::from(([192, 0, 2, 1], port)))
    }

    fn check(port: u16) -> SentCheck {
        SentCheck { peer: 3, route: Route::udp(source(1).address, source(port).address) }
    }

    #[test]
    fn an_address_belongs_to_the_peer_that_answers_there() {
        let mut demux = Demux::default();
        demux.claim(source(5), 1);
        demux.claim(source(5), 2);
        assert_eq!(demux.by_source(source(5)), Some(1), "a claim takes it from nobody");
        demux.prove(source(5), 2);
        demux.claim(source(5), 1);
        assert_eq!(demux.by_source(source(5)), Some(2));
        demux.prove(source(5), 1);
        assert_eq!(demux.by_source(source(5)), Some(1), "its owner takes it back");
        demux.remove(Registration::default(), [source(5)].into_iter(), 2);
        assert_eq!(demux.by_source(source(5)), Some(1));
        demux.remove(Registration::default(), [source(5)].into_iter(), 1);
        assert_eq!(demux.by_source(source(5)), None);
    }

    #[test]
    fn an_answer_is_for_a_check_to_where_it_comes_from_and_only_once() {
        let (mut demux, now) = (Demux::default(), Instant::now());
        demux.check_sent([1; 12], check(5), now);
        assert_eq!(demux.sent_check([1; 12], source(6)), None);
        assert_eq!(demux.sent_check([2; 12], source(5)), None);
        assert_eq!(demux.sent_check([1; 12], source(5)), Some(check(5)));
        demux.check_completed([1; 12]);
        assert_eq!(demux.sent_check([1; 12], source(5)), None);
    }

    #[test]
    fn checks_that_nobody_answers_are_forgotten() {
        let (mut demux, start) = (Demux::default(), Instant::now());
        for n in 0..10_000_u32 {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&n.to_be_bytes());
            demux.check_sent(id, check(5), start + n * Duration::from_millis(50));
        }
        assert_eq!((demux.checks.len(), demux.sent.len()), (120, 120));
    }

    #[test]
    fn a_peer_that_restarts_ice_for_ever_stays_bounded() {
        let (mut demux, mut names) = (Demux::default(), Registration::default());
        for n in 0..1_000 {
            demux.add_ufrag(&mut names, 3, &n.to_string());
        }
        assert_eq!(demux.by_ufrag.len(), MAX_UFRAGS);
        assert_eq!(demux.by_ufrag("999"), Some(3));
        demux.remove(names, std::iter::empty(), 3);
        assert!(demux.by_ufrag.is_empty());
    }

    #[test]
    fn what_is_none_of_the_protocols_is_invalid() {
        for bytes in
            [&[][..], &[0], &[1; 30], &[4; 30], &[64; 30], &[127; 30], &[192; 30], &[255; 30]]
        {
            assert!(matches!(classify(bytes), Incoming::Invalid), "{bytes:?}");
        }
        assert!(matches!(classify(&[0x80; 30]), Incoming::Protected(Content::Rtp)));
        assert!(matches!(classify(&[0x80, 200]), Incoming::Protected(Content::Rtcp)));
        assert!(matches!(classify(&[22; 30]), Incoming::Protected(Content::Dtls)));
    }
}
