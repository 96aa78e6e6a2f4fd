//! H264 (ITU-T H.264) by openh264.

mod decoder;
mod encoder;
mod intra;
mod wels;

pub use decoder::{DecodeError, Decoded, H264Decoder};
pub(crate) use encoder::OpenH264;
