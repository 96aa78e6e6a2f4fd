//! Opus (RFC 6716) by libopus, or what stands for it in a build without the feature `opus`.

#[cfg(not(feature = "opus"))]
mod absent;
mod config;
#[cfg(feature = "opus")]
mod decoder;
#[cfg(feature = "opus")]
mod encoder;

#[cfg(not(feature = "opus"))]
pub use absent::{OpusDecoder, OpusEncoder};
pub use config::{OPUS_NOTHING_BYTES, OpusApplication, OpusEncoderConfig, OpusError, opus_silence};
#[cfg(feature = "opus")]
pub use decoder::OpusDecoder;
#[cfg(feature = "opus")]
pub use encoder::OpusEncoder;
