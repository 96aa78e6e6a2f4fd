//! MP3 (MPEG-1 and MPEG-2 audio, layer III; ISO 11172-3, 13818-3), or what stands for it in a build without the
//! feature `mp3`.

#[cfg(not(feature = "mp3"))]
mod absent;
#[cfg(feature = "mp3")]
mod decoder;
mod sound;

#[cfg(not(feature = "mp3"))]
pub use absent::Mp3Decoder;
#[cfg(feature = "mp3")]
pub use decoder::Mp3Decoder;
pub use sound::{Mp3Error, Mp3Sound};
