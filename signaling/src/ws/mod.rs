//! The signaling protocol over WebSocket.

mod peer;
mod protocol;
mod window;

pub(crate) use peer::{Fate, WsPeer};
#[cfg(fuzzing)]
pub(crate) use protocol::Incoming;
