//! The way of a picture from the caller to the access unit.

pub(crate) mod convert;
pub(crate) mod encode_loop;
pub(crate) mod mailbox;
pub(crate) mod picture_queue;
mod prepared;
pub(crate) mod sink;
mod turns;

pub use sink::{FrameMemory, VideoSink};
