//! visavis: a bare-metal, low-latency WebRTC engine that puts a live face on a web page.
//!
//! A renderer pushes frames, a voice pushes audio; the engine encodes once and sends to every
//! viewer of the session over one UDP socket.
//!
//! ```no_run
//! use visavis::video::VideoFrame;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! let pixels = vec![0; 512 * 512 * 4];
//! session.video().push(&VideoFrame::new(&pixels, 512, 512))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! The names that every program needs are here; all others are in a module of their subject, each of which begins with
//! what it is for and an example:
//!
//! | module | subject |
//! |---|---|
//! | [`engine`] | starting and stopping the engine, its settings, the handle that others hold |
//! | [`session`] | one face: its settings, its life, what became of a push |
//! | [`peer`] | viewers: SDP offers and answers, ICE candidates, over any signaling |
//! | [`event`] | what happens: viewers come and leave, speech begins, keyframes are wanted |
//! | [`receiver`] | what events, microphones and messages are read from |
//! | [`video`] | pictures, raw or encoded |
//! | [`audio`] | sound, as PCM, MP3 or Opus |
//! | [`encoder`] | what can be encoded here |
//! | [`utterance`] | sound and pictures that are made ahead of their time |
//! | [`microphone`] | what viewers say |
//! | [`data`] | messages to viewers, and from them |
//! | [`idle`] | what viewers see while no pictures come |
//! | [`rtp_input`] | RTP from ffmpeg or GStreamer as a session's source |
//! | [`status`] | counters, averages, latencies |
//! | [`faults`] | what a bug may cost, and how an application learns of it |
//! | [`address`], [`units`], [`memory`] | addresses that viewers are told; time and bitrates; free memory |
//!
//! # Threads
//!
//! `Engine::start` spawns four threads: the **media loop**, which owns the UDP socket and every peer (more
//! of them where [`EngineConfig::media_loops`] says so), the **audio loop**, which paces and encodes sound
//! and decodes microphones, one that encodes each [`IdleLoop`](idle::IdleLoop) once, and one for what is
//! done every few seconds (it follows this machine's addresses). Each session adds an **encode loop**,
//! unless its pictures come encoded; each [`RtpInput`](rtp_input::RtpInput) adds a thread that receives.
//!
//! They share rings, channels and small structs of atomics; no lock is held while anything is encoded or
//! sent. Everything here can be called from any thread. No call waits for the network or for an encoder,
//! but for those that say so: [`Session::stop`], [`Engine::stop`], and what has a time to wait in its name
//! or its arguments.

pub mod address;
pub mod audio;
pub mod data;
pub mod encoder;
pub mod engine;
pub mod event;
pub mod faults;
pub mod idle;
pub mod memory;
pub mod microphone;
pub mod peer;
pub mod rtp_input;
pub mod session;
pub mod status;
pub mod units;
pub mod utterance;
pub mod video;

mod budget;
mod config;
mod create;
mod directory;
mod encoded;
mod error;
mod fault_domain;
mod handle;
mod inbox;
mod media;
mod negotiation;
mod peer_link;
mod push_outcome;
pub mod receiver;
mod scheduling;
mod session_entry;
mod source_clock;
mod state;
mod subscribers;
mod upkeep;

pub use config::{EngineConfig, SessionConfig};
pub use engine::Engine;
pub use event::Event;
pub use handle::EngineHandle;
pub use session::Session;
