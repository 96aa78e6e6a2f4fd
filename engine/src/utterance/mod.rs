//! Speech that is made ahead of its time, sound and pictures together.
//!
//! A synthesizer makes a sentence in a fraction of the time that it takes to say it. An [`Utterance`] takes its sound and
//! its pictures as fast as they come, with stamps inside the utterance, plays them in step, and tells how far it is.
//! What waits is bounded: a push that does not fit says [`Full`](crate::session::PushOutcome::Full) and takes nothing.
//! Utterances are played one after the other; [`Session::interrupt`](crate::Session::interrupt) ends them all at once.
//!
//! An utterance can be moved to another thread. Pushing waits only in
//! [`push_audio_within`](Utterance::push_audio_within) and [`push_video_within`](Utterance::push_video_within).
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use visavis::audio::AudioChunk;
//! use visavis::units::UnixMillis;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! let utterance = session.begin_utterance(UnixMillis(0))?;
//! let second = [0; 16_000 * 2];
//! for number in 0..10 {
//!     let chunk = AudioChunk::new(&second, 16_000, 1).timestamp(UnixMillis(number * 1_000));
//!     utterance.push_audio_within(&chunk, Duration::from_secs(30))?;
//! }
//! let progress = utterance.progress();
//! utterance.end();
//! while !progress.is_over() {
//!     println!("{:?}", progress.sent());
//!     std::thread::sleep(Duration::from_secs(1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod handle;
pub(crate) mod id;
pub(crate) mod playback;
pub(crate) mod state;

pub(crate) use handle::UtteranceParts;
pub use handle::{Utterance, UtteranceError, UtteranceProgress};
pub use id::UtteranceId;
