//! Video encoders, chosen while the program runs.
//!
//! [`Encoders`] is a list of makers ([`visavis_types::encoder`]) in order of preference: the software encoders that this
//! build has ([`Encoders::software`]), and before them whatever else is there.
//!
//! ```
//! use visavis_codec::Encoders;
//! use visavis_types::encoder::{FrameControl, VideoEncoderConfig};
//! use visavis_types::{Bitrate, FrameSize, I420Buffer};
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
#[cfg(any(feature = "h264", feature = "vp8", feature = "vp9"))]
pub(crate) mod layering;
pub(crate) mod list;
