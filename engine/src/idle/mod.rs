//! What viewers see while nobody pushes pictures: a still picture, or a short film round and round.
//! Encoded once for each codec, rate and size, however many sessions and viewers there are.
//!
//! A session is given an [`IdleLoop`] when it is made ([`SessionConfig::idle`](crate::SessionConfig::idle)) or later
//! ([`Session::set_idle`](crate::Session::set_idle)). Without either it shows a face at rest.
//!
//! ```
//! use visavis::SessionConfig;
//! use visavis::idle::{IdleLoop, IdlePicture};
//! use visavis::video::PixelFormat;
//!
//! let blue = |shade| {
//!     IdlePicture::new([0, 0, shade].repeat(64 * 64), 64, 64).format(PixelFormat::Rgb)
//! };
//! let film = IdleLoop::film(10, move || (0..20).map(move |n| blue(n * 10)))?;
//! let config = SessionConfig::default().idle(film);
//! # assert!(config.idle.is_some());
//! # Ok::<(), visavis::idle::IdleError>(())
//! ```

pub(crate) mod encoder;
pub(crate) mod idle_loop;
pub(crate) mod rendition;
pub(crate) mod source;

pub use idle_loop::{IdleError, IdleLoop, IdlePicture};
