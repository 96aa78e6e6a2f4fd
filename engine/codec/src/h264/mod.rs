//! H264 (ITU-T H.264) by openh264, and the bits of its bitstream the engine has to look at.

mod bits;
mod decoder;
mod encoder;
mod intra;
mod level;
mod nal;
mod sps;
mod wels;

pub use decoder::{DecodeError, Decoded, H264Decoder};
pub(crate) use encoder::{H264Encoder, encodable_size};
pub use sps::write_sps_without_reordering;
