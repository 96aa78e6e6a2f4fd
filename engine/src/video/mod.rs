//! The way of a picture from the caller to the access unit.

mod encode_loop;
mod idle;
mod mailbox;
mod prepared;
mod sink;

pub(crate) use encode_loop::EncodeLoop;
pub(crate) use mailbox::Mailbox;
pub(crate) use prepared::PreparedPicture;
pub use sink::{FrameMemory, VideoSink};
