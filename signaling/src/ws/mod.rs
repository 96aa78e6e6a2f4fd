//! The signaling protocol over WebSocket.

mod peer;
mod protocol;
mod resume;
mod window;

pub(crate) use peer::{Fate, WsPeer};
#[cfg(fuzzing)]
pub(crate) use protocol::Incoming;
pub(crate) use resume::Resumptions;
