//! Pictures: raw ones, which are encoded here once for all viewers, or such as the application has encoded itself.
//!
//! [`Session::video`](crate::Session::video) takes raw pictures of any even size from 16x16 to 4096x4096. The newest wins:
//! one that the encoder has not taken is replaced by the next. [`Session::encoded_video`](crate::Session::encoded_video)
//! takes access units, in a session made for them
//! ([`SessionConfig::encoded`](crate::SessionConfig::encoded)); each of them is sent. Both sinks can be cloned and used
//! from any thread; pushing never waits for the network or for an encoder.
//!
//! ```no_run
//! use visavis::video::VideoFrame;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default().fps(25))?;
//! session.start();
//! let (video, mut grey) = (session.video(), vec![0; 640 * 360 * 4]);
//! for shade in 0..=255 {
//!     grey.fill(shade);
//!     video.push(&VideoFrame::new(&grey, 640, 360))?;
//!     std::thread::sleep(std::time::Duration::from_millis(40));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod convert;
pub(crate) mod encode_loop;
mod encode_permits;
pub(crate) mod ladder;
pub(crate) mod mailbox;
pub(crate) mod picture_queue;
mod prepared;
pub(crate) mod rung_config;
pub(crate) mod sink;

pub use rung_config::{InvalidRungConfig, RungConfig};
pub use sink::{FrameMemory, VideoSink};

pub use visavis_bitstream::BitstreamError;
pub use visavis_types::{
    CodecSet, EncodedFrame, FrameSize, InvalidFrameSize, PixelFormat, PlayoutDelay, Rung,
    UndecodablePicture, UnknownCodec, VideoCodec, VideoFrame, VideoFrameError,
};

pub use crate::encoded::sink::EncodedVideoSink;
pub use crate::error::EncodedFrameError;
