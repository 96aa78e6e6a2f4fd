//! Viewers: how they come, over whatever signaling carries their SDP.
//!
//! A viewer's browser makes an offer. [`EngineHandle::connect`](crate::EngineHandle::connect) makes a peer of it and
//! returns the answer; candidates that come later go to
//! [`add_candidate`](crate::EngineHandle::add_candidate), further offers of the same connection to
//! [`renegotiate`](crate::EngineHandle::renegotiate). When media flows there is an
//! [`Event::PeerJoined`](crate::Event::PeerJoined), and at the end of each peer, however it ends, one
//! [`Event::PeerLeft`](crate::Event::PeerLeft). The package `visavis-signaling` does all this over HTTP, WebSocket and
//! WHEP.
//!
//! All of it can be called from any thread and waits for nothing.
//!
//! ```no_run
//! use visavis::session::SessionId;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//! # fn receive() -> String { String::new() }
//! # fn send(_: &str) {}
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! let handle = engine.handle();
//! let answer = handle.connect(session.id(), None, &receive())?;
//! send(&answer.sdp);
//! handle.add_candidate(answer.peer, &receive())?;
//! // The same connection offers again: an ICE restart, or other media.
//! handle.renegotiate(answer.peer, &receive(), |answer| match answer {
//!     Ok(answer) => send(&answer.sdp),
//!     Err(error) => eprintln!("{error}"),
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use visavis_core::SdpError;
pub use visavis_types::{InvalidPeerId, PeerId, PeerPermissions};

pub use crate::error::{CandidateError, OfferError};
pub use crate::negotiation::Answer;
