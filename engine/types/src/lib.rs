//! Plain data shared by every part of visavis: ids, units, frames, pictures, access units, stamps; and what a video
//! encoder is to them.
//!
//! This crate depends on nothing of ours and performs no I/O. A type lives here when more than
//! one of `codec`, `core`, `net` and the engine speak of it.
#![forbid(unsafe_code)]

mod audio;
mod codec;
mod encoded;
pub mod encoder;
mod i420;
mod id;
mod layers;
mod panics;
mod permissions;
mod rate;
mod refusal;
mod rendition;
mod setters;
mod shrink;
mod stamp;
mod time;
mod unit;
mod video;

pub use audio::{AudioChunk, AudioChunkError, AudioFormat, OpusSettings, PacketTime};
pub use codec::{
    AudioCodec, AudioRendition, AudioRenditionSet, CodecSet, UnknownCodec, VideoCodec,
};
pub use encoded::{EncodedAudio, EncodedFrame};
pub use i420::I420Buffer;
pub use id::{InvalidPeerId, InvalidSessionId, PeerId, SessionId};
pub use layers::{Layering, TemporalLayer};
pub use panics::{catch_panic, install_panic_hook};
pub use permissions::PeerPermissions;
pub use rate::Bitrate;
pub use refusal::{Refusal, Refusals};
pub use rendition::{RenditionId, RenditionSet, Rung, SessionNumber};
pub use shrink::Shrink;
pub use stamp::{Stage, Stamps};
pub use time::{ClockAnchor, MAX_SOUND_LEAD, PlayoutDelay, SOUND_LEAD, UnixMillis};
pub use unit::{AccessUnit, AudioPacket};
pub use video::{
    FrameSize, InvalidFrameSize, PixelFormat, UndecodablePicture, VideoFrame, VideoFrameError,
};
