//! The sans-IO heart of visavis: peers, sessions, packetization, fan-out, keyframe policy.
//!
//! No socket, no clock and no thread in here: time comes in as an argument, datagrams come in as
//! bytes and leave through an [`Outbox`]. The caller is one thread that owns a [`Hub`] and
//!
//! 1. gives it what happened ([`Hub::receive`], [`Hub::send_frame`], [`Hub::handle_due`], …),
//! 2. takes what follows from it ([`Hub::poll_event`]),
//! 3. sleeps until [`Hub::next_deadline`] or until something else happens.
#![forbid(unsafe_code)]

mod bwe;
mod deadline;
mod demux;
mod dtls;
mod entropy;
mod hub;
mod peer;
mod rate;
mod rendition;
pub mod rtp;
pub mod sdp;
mod session;
mod session_key;
mod transport;

pub use bwe::{BandwidthEstimator, NetworkGauge, NetworkStatus};
pub use deadline::{Deadline, DeadlineReason, Deadlines};
pub use demux::named_media_loop;
pub use hub::{FrameSent, Hub, HubEvent};
pub use peer::Peer;
pub use peer::certificate::Certificate;
pub use peer::close_reason::CloseReason;
pub use peer::data::{
    DataGauge, DataMessage, DataRefusal, MAX_CHANNELS, MAX_MESSAGE_BYTES, MAX_WAITING_BYTES,
    MESSAGE_OVERHEAD_BYTES, OutgoingMessage,
};
pub use peer::last_received::LastReceived;
pub use peer::path::candidates::check_candidate;
pub use peer::setup::PeerSetup;
pub use peer::tracks::CodecOrder;
pub use rendition::{KeyframeReason, PictureGauge, PictureStatus, RungBitrate, ViewerLimit};
pub use rtp::packetize::{MAX_PAYLOAD_BYTES, PacketizedFrame, Packetizer, Payloads};
pub use sdp::{NegotiateError, Offer, SdpError};
pub use session_key::SessionKey;
pub use transport::{Outbox, Route, Transport, TransportAddress};
