//! visavis: a bare-metal, low-latency WebRTC engine that puts a live face on a web page.
//!
//! A renderer pushes frames, a voice pushes audio; the engine encodes once and sends to every
//! viewer of the session over one UDP socket.
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, PixelFormat, SessionConfig, UnixMillis, VideoFrame};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! let pixels = vec![0; 512 * 512 * 4];
//! session.video().push(&VideoFrame {
//!     data: &pixels,
//!     width: 512,
//!     height: 512,
//!     format: PixelFormat::Rgba,
//!     timestamp: UnixMillis::now(),
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threads
//!
//! `Engine::start` spawns four threads: the **media loop**, which owns the UDP socket and every peer (more
//! of them where [`EngineConfig::media_loops`] says so), the **audio loop**, which paces and encodes sound
//! and decodes microphones, one that encodes each [`IdleLoop`] once, and one for what is done every few seconds
//! (it follows this machine's addresses). Each session adds an **encode
//! loop**, unless its pictures come encoded; each [`RtpInput`] adds a thread that receives.
//!
//! They share nothing but rings and bounded channels. No call in this crate waits for the network
//! or for an encoder.

mod audio;
mod budget;
mod config;
mod create;
mod data;
mod directory;
mod encoded;
mod engine;
mod error;
mod event;
mod faults;
mod handle;
mod idle;
mod media;
mod negotiation;
mod peer_link;
mod push_outcome;
mod rtp_input;
mod scheduling;
mod session;
mod session_entry;
mod source_clock;
mod state;
mod status;
mod upkeep;
mod utterance;
mod video;

pub use audio::{AudioSink, MicChunk, Microphone};
pub use config::{EngineConfig, SessionConfig};
pub use data::{Broadcast, DataChannel, DataError, PeerMessage, SendOutcome};
pub use encoded::EncodedVideoSink;
pub use engine::Engine;
pub use error::{
    CandidateError, EncodedAudioError, EncodedFrameError, OfferError, SessionError, StartError,
};
pub use event::{Event, LeaveReason};
pub use faults::{FatalFault, FaultDomain, Faults, Health};
pub use handle::EngineHandle;
pub use idle::{IdleError, IdleLoop, IdlePicture};
pub use media::{AnnouncedAddress, InvalidAnnouncedAddress};
pub use negotiation::Answer;
pub use push_outcome::PushOutcome;
pub use rtp_input::{RtpInput, RtpInputConfig, RtpInputError, RtpInputStatus, RtpStreamStatus};
pub use scheduling::Scheduling;
pub use session::Session;
pub use status::{Metrics, SessionStatus, StageSummary};
pub use utterance::{Utterance, UtteranceError, UtteranceId, UtteranceProgress};
pub use video::{FrameMemory, VideoSink};
pub use visavis_bitstream::BitstreamError;
pub use visavis_bitstream::opus::OpusPacketError;
pub use visavis_codec::{
    EncodeError, EncoderOffer, Encoders, MemoryKind, Mp3Decoder, Mp3Error, Mp3Sound, SizeLimits,
    Unavailable,
};
pub use visavis_core::rtp::receive::{Foreign, RtpCounters, RtpFault, Wanted};
pub use visavis_core::{DataMessage, SdpError};
pub use visavis_net::memory;
/// Between the crates of this workspace; not for applications.
#[doc(hidden)]
pub use visavis_types::Shrink;
pub use visavis_types::{
    AudioChunk, AudioChunkError, AudioCodec, AudioFormat, Bitrate, CodecSet, EncodedAudio,
    EncodedFrame, FrameSize, InvalidFrameSize, InvalidSessionId, MAX_SOUND_LEAD, OpusSettings,
    PacketTime, PeerId, PixelFormat, PlayoutDelay, Refusal, Refusals, SOUND_LEAD, SessionId, Stage,
    UnixMillis, UnknownCodec, VideoCodec, VideoFrame, VideoFrameError, install_panic_hook,
};
