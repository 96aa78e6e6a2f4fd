//! Video encoders, chosen while the program runs.
//!
//! An [`EncoderMaker`] says what it can do here ([`EncoderOffer`]) or why not ([`Unavailable`]), and makes
//! [`VideoEncoder`]s. [`Encoders`] is a list of makers in order of preference: the software encoders that this
//! build has ([`Encoders::software`]), and before them whatever else is there.
//!
//! ```
//! use visavis_codec::{Encoders, FrameControl, I420Buffer, VideoEncoderConfig};
//! use visavis_types::{Bitrate, FrameSize};
//!
//! let encoders = Encoders::software();
//! let size = FrameSize::new(320, 240)?;
//! let mut unit = Vec::new();
//! for codec in encoders.codecs().iter() {
//!     let config = VideoEncoderConfig::new(size, 30, Bitrate::from_kbps(300));
//!     let mut encoder = encoders.make(codec, &config)?;
//!     let picture = I420Buffer::new(size);
//!     unit.clear();
//!     let control = FrameControl::at(std::time::Duration::ZERO);
//!     assert!(encoder.encode(&(&picture).into(), &control, &mut unit)?.keyframe);
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod built;
#[cfg(any(feature = "vp8", feature = "vp9", feature = "av1"))]
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod error;
#[cfg(any(feature = "h264", feature = "vp8", feature = "vp9"))]
pub(crate) mod layering;
pub(crate) mod list;
pub(crate) mod maker;
pub(crate) mod memory;
pub(crate) mod offer;
pub(crate) mod picture;
pub(crate) mod size;
