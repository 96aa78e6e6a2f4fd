//! What viewers' microphones send, as mono PCM with the viewer's id.
//!
//! [`Session::microphone`](crate::Session::microphone) is a queue that is read on a thread of the application's;
//! [`Session::on_microphone`](crate::Session::on_microphone) calls a function on the engine's audio thread. Nothing is
//! decoded before one of them is asked for. Packets are put in order, and what was lost is made up for. When somebody
//! begins to speak, and stops, is an [`Event`](crate::Event).
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default().microphone_rate(16_000))?;
//! session.start();
//! for chunk in session.microphone().iter() {
//!     println!("{}: {} samples at {} Hz", chunk.peer, chunk.samples.len(), chunk.sample_rate);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::audio::microphone::MicChunk;
