//! The signaling protocol over WebSocket.

pub(crate) mod clients;
mod frames;
pub(crate) mod handshake;
pub(crate) mod peer;
pub(crate) mod protocol;
pub(crate) mod resume;
pub(crate) mod session_events;
