//! What a peer's turn leads to, and what it was given.

use visavis_types::Refusal;

use super::close_reason::CloseReason;
use super::data::DataEvent;
use crate::demux::TransactionId;
use crate::rtp::receive::MicPacket;
use crate::transport::Route;

/// What a turn of a peer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    Connected,
    KeyframeWanted,
    MicPacket(MicPacket),
    Data(DataEvent),
    /// Packets are missing: [`Peer::resend`](super::Peer::resend).
    PacketsLost,
    /// A connectivity check leaves.
    CheckSent(TransactionId, Route),
    /// Something it sent is not taken.
    Refused(Refusal),
    Gone(CloseReason),
}

/// A datagram of a peer, as far as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A connectivity check with the peer's password.
    Check,
    /// The response to one of ours, and the route that went; whether it says that the path works.
    Response { route: Route, success: bool },
    /// Anything else, which is protected by keys of its own.
    Protected,
}
