//! What an application sees of viewers' negotiations.

use std::fmt::Debug;

use visavis::peer::PeerId;
use visavis::session::SessionId;

/// Sees offers, answers and candidates as they pass, whether they come over WebSocket, HTTP or WHEP. Nothing can be
/// changed here: the server does what it would do anyway.
///
/// Called on the server's thread, and with answers to later offers on a media loop of the engine: it must not block. A
/// panic in it is caught and logged.
pub trait NegotiationObserver: Debug + Send + Sync {
    /// A viewer offers, for the first time or again; whether it is answered is not known yet.
    fn offer(&self, session: &SessionId, peer: PeerId, sdp: &str) {
        let _ = (session, peer, sdp);
    }

    /// An offer is answered.
    fn answer(&self, peer: PeerId, sdp: &str) {
        let _ = (peer, sdp);
    }

    /// A viewer has sent a candidate (RFC 8839 §5.1); an empty one is the end of candidates.
    fn candidate(&self, peer: PeerId, candidate: &str) {
        let _ = (peer, candidate);
    }
}
