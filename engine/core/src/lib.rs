//! The sans-IO heart of visavis: peers, sessions, packetization, fan-out, keyframe policy.
//!
//! No socket, no clock and no thread in here: time comes in as an argument, datagrams come in as
//! bytes and leave through an [`Outbox`]. The caller is one thread that owns a [`Hub`] and
//!
//! 1. gives it what happened ([`Hub::receive`], [`Hub::send_frame`], [`Hub::handle_due`], …),
//! 2. takes what follows from it ([`Hub::poll_event`]),
//! 3. sleeps until [`Hub::next_deadline`] or until something else happens.
#![forbid(unsafe_code)]

mod candidates;
mod credentials;
mod data;
mod deadline;
mod demux;
mod drive;
mod dtls;
mod entropy;
mod hub;
mod last_received;
mod negotiate;
#[cfg(test)]
mod offers;
mod peer;
mod rate;
mod rendition;
pub mod rtp;
pub mod sdp;
mod session;
mod session_key;
mod transport;

pub use data::{
    DataGauge, DataMessage, DataRefusal, MAX_CHANNELS, MAX_MESSAGE_BYTES, MAX_WAITING_BYTES,
    MESSAGE_OVERHEAD_BYTES, OutgoingMessage,
};
pub use deadline::Deadlines;
pub use hub::{Hub, HubEvent};
pub use last_received::LastReceived;
pub use negotiate::{Certificate, CodecOrder, PeerSetup};
pub use peer::{CloseReason, Peer};
pub use rtp::packetize::{MAX_PAYLOAD_BYTES, PacketizedFrame, Packetizer, Payloads};
pub use sdp::{NegotiateError, Offer, SdpError};
pub use session_key::SessionKey;
pub use transport::{Outbox, Route, Transport, TransportAddress};

/// Checks the syntax of an ICE candidate as a browser's `RTCIceCandidate.candidate` has it
/// (RFC 8839 §5.1), without using it.
pub fn check_candidate(text: &str) -> Result<(), String> {
    negotiate::parse_candidate(text).map(|_| ())
}
