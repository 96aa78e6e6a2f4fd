//! H264 (ITU-T H.264) by openh264, or what stands for its decoder in a build without the feature `h264`.

#[cfg(not(feature = "h264"))]
mod absent;
mod decoded;
#[cfg(feature = "h264")]
mod decoder;
#[cfg(feature = "h264")]
mod encoder;
#[cfg(feature = "h264")]
mod intra;
#[cfg(feature = "h264")]
mod long_term;
#[cfg(feature = "h264")]
mod wels;

#[cfg(not(feature = "h264"))]
pub use absent::H264Decoder;
pub use decoded::{DecodeError, Decoded};
#[cfg(feature = "h264")]
pub use decoder::H264Decoder;
#[cfg(feature = "h264")]
pub(crate) use encoder::OpenH264;
