//! What video encoders offer, take and give, whoever brings them: a library, a device, or an application.
//!
//! An [`EncoderMaker`] says what it can do here ([`EncoderOffer`]) or why not ([`Unavailable`]), and makes
//! [`VideoEncoder`]s. It knows this crate alone: those who choose among makers know them, and not the reverse.

mod config;
mod error;
mod maker;
mod memory;
mod offer;
mod picture;
mod size;

pub use config::{Encoded, FrameControl, ReferenceId, VideoEncoderConfig};
pub use error::{EncodeError, Unavailable};
pub use maker::{EncoderMaker, VideoEncoder};
pub use memory::MemoryKind;
pub use offer::EncoderOffer;
pub use picture::{DevicePicture, I420Planes, Nv12Planes, Picture, PlaneError};
pub use size::SizeLimits;
