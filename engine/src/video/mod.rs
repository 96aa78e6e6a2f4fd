//! The way of a picture from the caller to the access unit.

mod encode_loop;
mod mailbox;
mod prepared;
mod sink;
mod turns;

pub(crate) use encode_loop::EncodeLoop;
pub(crate) use mailbox::Mailbox;
pub(crate) use prepared::PreparedPicture;
pub(crate) use sink::to_i420;
pub use sink::{FrameMemory, VideoSink};
