//! Encoders, decoders, colour conversion and resampling: every C library the engine uses is behind
//! this crate's door.
//!
//! Nothing here starts a thread, reads a clock or performs I/O. Each object belongs to one thread
//! at a time and may be moved between threads; all of them reuse their memory, so that a running
//! stream allocates nothing.
//!
//! | job | library | cargo feature |
//! |---|---|---|
//! | H264 encode and decode | openh264 | `h264` |
//! | VP8 and VP9 encode | libvpx | `vp8`, `vp9` |
//! | AV1 encode | libaom | `av1`, which is not among the default ones |
//! | Opus encode and decode | libopus | `opus` |
//! | MP3 decode | the `nanomp3-core` crate | `mp3` |
//! | JPEG and PNG decode | the `zune-jpeg` and `png` crates | `still` |
//! | scaling | the `fast_image_resize` crate | `scale` |
//! | RGB to planar YUV | the `yuv` crate | |
//! | PCMU and PCMA | none, it is a table | |
//! | voice activity | the `earshot` crate | |
//! | sample rates | the `rubato` crate | |
//!
//! What a build lacks is there all the same and answers with an error that names the feature, so that nobody
//! above has to know what was built.

#[cfg(feature = "av1")]
mod aom;
mod convert;
mod downmix;
mod encoder;
mod g711;
mod g711_decoder;
mod h264;
mod matrix;
mod mp3;
mod opus;
mod resample;
#[cfg(feature = "scale")]
mod scale;
#[cfg(not(feature = "scale"))]
#[path = "scale_absent.rs"]
mod scale;
#[cfg(feature = "still")]
mod still;
#[cfg(not(feature = "still"))]
#[path = "still_absent.rs"]
mod still;
mod voice;
#[cfg(any(feature = "vp8", feature = "vp9"))]
mod vpx;

pub use convert::{ConvertError, convert};
pub use downmix::Downmix;
pub use encoder::list::{EncoderMade, Encoders};
pub use g711::G711Law;
pub use g711_decoder::G711Decoder;
pub use h264::{DecodeError, Decoded, H264Decoder};
pub use matrix::{ColorMatrix, StreamColors, recolour, to_engine_colors};
pub use mp3::{Mp3Decoder, Mp3Error, Mp3Sound};
pub use opus::{
    OPUS_NOTHING_BYTES, OpusApplication, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusError,
    opus_silence,
};
pub use resample::{ResampleError, Resampler};
pub use scale::{ScaleError, Scaler};
pub use still::{decode_photo, decode_still, still_size};
pub use voice::VoiceDetector;
