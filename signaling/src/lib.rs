//! The TCP side of visavis: one port that serves the player page, the HTTP API and the WebSocket through
//! which browsers and the engine exchange SDP and ICE candidates.
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, SessionConfig};
//! use visavis_signaling::{SignalingConfig, SignalingServer};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! let server = SignalingServer::start(SignalingConfig::default(), engine.handle())?;
//! println!("open {}", server.url());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One thread
//!
//! Everything runs on the thread `visavis-signal`, a mio loop over non-blocking sockets. It talks to
//! the engine through its [`EngineHandle`](visavis::EngineHandle), whose calls never wait, and the
//! engine talks back through channels and a waker: no media thread ever waits for this one.
//!
//! Where clients may make sessions ([`SessionApi::manage`]), two more threads make and end them, and call
//! the application's [`SessionHooks`].
//!
//! # Every peer is hostile
//!
//! Each thing a client can make the server hold (bytes of a head, of a message, of unsent output,
//! connections, time) has a bound in [`Limits`], and each turn of the loop reads a bounded amount
//! from each socket, so that a flood on one does not starve the others.
#![forbid(unsafe_code)]
#![deny(rustdoc::private_intra_doc_links)]

mod access;
mod auth;
mod candidates;
mod config;
mod connection_limits;
mod context;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod ice_servers;
mod io;
mod mailbox;
mod negotiation;
mod observer;
mod rate_window;
mod request_rates;
mod server;
mod sessions;
mod speech;
mod tls;
mod whep;
mod ws;

pub use config::{
    IceServer, Limits, LogoError, PageBranding, SignalingConfig, SignalingError, TlsError,
    TlsFileError, TlsFiles,
};
pub use observer::NegotiationObserver;
pub use server::SignalingServer;
pub use sessions::api::SessionApi;
pub use sessions::hooks::{EndReason, SessionHooks};
pub use sessions::request::CreateRequest;
pub use speech::player::SpeechChunk;
