//! The signaling protocol over WebSocket.

mod frames;
pub(crate) mod notice;
mod peer;
mod protocol;
mod resume;

pub(crate) use peer::{NextStep, WsPeer};
#[cfg(feature = "fuzzing")]
pub(crate) use protocol::Incoming;
pub(crate) use protocol::Outgoing;
pub(crate) use resume::Resumptions;
