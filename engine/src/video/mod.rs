//! The way of a picture from the caller to the access unit.

mod encode_loop;
mod mailbox;
mod sink;

pub(crate) use encode_loop::EncodeLoop;
pub(crate) use mailbox::Mailbox;
pub use sink::{FrameMemory, VideoSink};
