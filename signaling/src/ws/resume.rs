//! Which peers a client may come back to when its WebSocket broke.

use std::collections::{BTreeMap, HashMap};

use rustls::crypto::SecureRandom;
use visavis::peer::PeerId;
use visavis::session::SessionId;
use visavis_types::Shrink;

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 16;

/// Limit of peers without a connection, for each place among the clients. The end of a peer removes it; this bounds
/// what remains if that event is lost in a flood.
const LOST_PER_PLACE: usize = 4;

/// An unguessable token of a peer. It gives control of that peer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(String);

impl Token {
    /// Draws one; `None` where the system has no randomness to give.
    pub(crate) fn draw(random: &dyn SecureRandom) -> Option<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        random.fill(&mut bytes).ok()?;
        Some(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token is a secret: it does not appear in logs.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The valid tokens.
#[derive(Debug, Default)]
pub(crate) struct Resumptions {
    by_token: HashMap<Token, Held>,
    by_peer: HashMap<PeerId, Token>,
    /// Those whose connections are gone, in the order in which they went.
    lost: BTreeMap<u64, Token>,
    ends: u64,
}

/// What a client comes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) token: Token,
    pub(crate) peer: PeerId,
    pub(crate) session: SessionId,
}

#[derive(Debug)]
struct Held {
    peer: PeerId,
    session: SessionId,
    /// Its place among the lost.
    lost: Option<u64>,
}

impl Resumptions {
    /// A client that made an offer may come back to this peer.
    pub(crate) fn hold(&mut self, token: &Token, peer: PeerId, session: &SessionId) {
        self.forget(token);
        let held = Held { peer, session: session.clone(), lost: None };
        self.by_token.insert(token.clone(), held);
        self.by_peer.insert(peer, token.clone());
    }

    /// The peer of a token, if it is of this session; of any session, if none is given.
    pub(crate) fn find(&self, token: &str, session: Option<&SessionId>) -> Option<Resumed> {
        let token = Token(token.to_owned());
        let wanted = |held: &&Held| session.is_none_or(|session| session == &held.session);
        let held = self.by_token.get(&token).filter(wanted)?;
        Some(Resumed { peer: held.peer, session: held.session.clone(), token })
    }

    /// The client has come back.
    pub(crate) fn back(&mut self, token: &Token) {
        let end = self.by_token.get_mut(token).and_then(|held| held.lost.take());
        end.and_then(|end| self.lost.remove(&end));
    }

    /// The connection is gone, and the peer's media may still be there.
    pub(crate) fn lost(&mut self, token: &Token, places: usize) {
        self.back(token);
        let Some(held) = self.by_token.get_mut(token) else { return };
        self.ends += 1;
        held.lost = Some(self.ends);
        self.lost.insert(self.ends, token.clone());
        if self.lost.len() > places.saturating_mul(LOST_PER_PLACE)
            && let Some((_, oldest)) = self.lost.pop_first()
        {
            self.forget(&oldest);
        }
    }

    /// Neither the client nor its peer will be back.
    pub(crate) fn forget(&mut self, token: &Token) {
        let Some(held) = self.by_token.remove(token) else { return };
        self.by_peer.remove(&held.peer);
        self.by_token.shrink_if_mostly_empty();
        self.by_peer.shrink_if_mostly_empty();
        held.lost.and_then(|end| self.lost.remove(&end));
    }

    /// The peer has left.
    pub(crate) fn forget_peer(&mut self, peer: PeerId) {
        if let Some(token) = self.by_peer.get(&peer).cloned() {
            self.forget(&token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u8) -> Token {
        Token(format!("{number:032x}"))
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        let [one, other] = [(); 2].map(|()| Token::draw(random).unwrap());
        assert_eq!(one.as_str().len(), 32);
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "Token(…)");
    }

    #[test]
    fn a_token_is_good_for_its_own_session_until_the_peer_leaves() {
        let (anna, bert) = (SessionId::new("anna").unwrap(), SessionId::new("bert").unwrap());
        let peer = PeerId::from_raw(7);
        let mut resumptions = Resumptions::default();
        resumptions.hold(&token(1), peer, &anna);
        resumptions.lost(&token(1), 1);
        assert_eq!(resumptions.find("nonsense", Some(&anna)), None);
        assert_eq!(resumptions.find(token(1).as_str(), Some(&bert)), None);
        let resumed = Some(Resumed { token: token(1), peer, session: anna.clone() });
        assert_eq!(resumptions.find(token(1).as_str(), Some(&anna)), resumed);
        assert_eq!(resumptions.find(token(1).as_str(), None), resumed);
        resumptions.forget_peer(peer);
        assert_eq!(resumptions.find(token(1).as_str(), Some(&anna)), None);
    }

    #[test]
    fn of_many_that_are_lost_the_oldest_is_forgotten() {
        let session = SessionId::default();
        let mut resumptions = Resumptions::default();
        for number in 0..6 {
            resumptions.hold(&token(number), PeerId::from_raw(number.into()), &session);
        }
        // The first never lost its connection.
        for number in [2, 1, 3, 4, 5] {
            resumptions.lost(&token(number), 1);
        }
        let known =
            |number: &u8| resumptions.find(token(*number).as_str(), Some(&session)).is_some();
        let all: Vec<u8> = (0..6).filter(known).collect();
        assert_eq!(all, [0, 1, 3, 4, 5]);
        assert_eq!((resumptions.by_peer.len(), resumptions.lost.len()), (5, 4));

        // Whoever is back waits no more, and is not the oldest that waits.
        resumptions.back(&token(1));
        resumptions.lost(&token(0), 1);
        resumptions.lost(&token(1), 1);
        assert_eq!(resumptions.find(token(3).as_str(), Some(&session)), None);
        assert_eq!((resumptions.by_peer.len(), resumptions.lost.len()), (4, 4));
    }
}
