//! What can be encoded here: the video encoders of this build, on this machine.
//!
//! A session encodes with what [`EngineHandle::encoders`](crate::EngineHandle::encoders) offers; asking first lets a
//! program choose codecs and sizes, or show a person why one is missing. Asking costs next to nothing and can be done from
//! any thread.
//!
//! ```no_run
//! use visavis::video::VideoCodec;
//! use visavis::{Engine, EngineConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! for codec in [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1] {
//!     match engine.handle().encoders().offer(codec) {
//!         Ok(offer) => println!("{codec}: {offer:?}"),
//!         Err(why) => println!("{codec}: {why}"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use visavis_codec::Encoders;
pub use visavis_types::encoder::{
    DevicePicture, EncodeError, Encoded, EncoderMaker, EncoderOffer, FrameControl, I420Planes,
    MemoryKind, Nv12Planes, Picture, PlaneError, ReferenceId, SizeLimits, Unavailable,
    VideoEncoder, VideoEncoderConfig,
};
pub use visavis_types::{Layering, TemporalLayer};

/// The makers of every engine in order of preference. The one place for another: a device's goes before the software,
/// by [`Encoders::with`].
pub(crate) fn encoders() -> Encoders {
    Encoders::software()
}
