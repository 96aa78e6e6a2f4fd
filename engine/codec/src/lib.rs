//! Encoders, decoders, colour conversion and resampling: every C library the engine uses is behind
//! this crate's door.
//!
//! Nothing here starts a thread, reads a clock or performs I/O. Each object belongs to one thread
//! at a time and may be moved between threads; all of them reuse their memory, so that a running
//! stream allocates nothing.
//!
//! | job | library |
//! |---|---|
//! | H264 encode and decode | openh264 |
//! | VP8 and VP9 encode | libvpx |
//! | AV1 encode, with the feature `av1` | libaom |
//! | Opus encode and decode | libopus |
//! | MP3 decode | the `nanomp3-core` crate |
//! | RGB to planar YUV | the `yuv` crate |
//! | scaling | the `fast_image_resize` crate |
//! | JPEG and PNG | the `zune-jpeg` and `png` crates |
//! | PCMU and PCMA | none, it is a table |
//! | voice activity | the `earshot` crate |
//! | sample rates | the `rubato` crate |

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
mod opus_decoder;
mod picture;
mod resample;
mod scale;
mod still;
mod voice;
mod vpx;

pub use convert::{ConvertError, convert};
pub use downmix::Downmix;
pub use encoder::config::{Encoded, FrameControl, ReferenceId, VideoEncoderConfig};
pub use encoder::error::{EncodeError, Unavailable};
pub use encoder::list::Encoders;
pub use encoder::maker::{EncoderMaker, VideoEncoder};
pub use encoder::offer::{EncoderOffer, SizeLimits};
pub use encoder::picture::{
    DevicePicture, I420Planes, MemoryKind, Nv12Planes, Picture, PlaneError,
};
pub use g711::G711Law;
pub use g711_decoder::G711Decoder;
pub use h264::{DecodeError, Decoded, H264Decoder};
pub use matrix::{ColorMatrix, StreamColors, recolour, to_engine_colors};
pub use mp3::{Mp3Decoder, Mp3Error, Mp3Sound};
pub use opus::{
    OPUS_NOTHING_BYTES, OpusApplication, OpusEncoder, OpusEncoderConfig, OpusError, opus_silence,
};
pub use opus_decoder::OpusDecoder;
pub use picture::I420Buffer;
pub use resample::{ResampleError, Resampler};
pub use scale::{ScaleError, Scaler};
pub use still::{decode_photo, decode_still, still_size};
pub use voice::VoiceDetector;
