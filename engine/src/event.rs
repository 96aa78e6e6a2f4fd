//! What happens, as it happens: viewers come and leave, pictures begin and stall, utterances are played, somebody speaks.
//!
//! [`EngineHandle::subscribe`](crate::EngineHandle::subscribe) returns a [`Receiver`](crate::receiver::Receiver), which
//! can be waited on, read without waiting, or watched by a poller through its file descriptor.
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, Event};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let events = engine.handle().subscribe_to(|event| !matches!(event, Event::MicrophoneLevel { .. }));
//! for event in events.iter() {
//!     match event {
//!         Event::PeerJoined { session, peer, .. } => println!("{peer} watches {session}"),
//!         Event::PeerLeft { peer, reason, .. } => println!("{peer} has left: {}", reason.as_str()),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::time::Duration;

use visavis_types::{Bitrate, PeerId, Rung, SessionId, TemporalLayer, UnixMillis, VideoCodec};

use crate::fault_domain::FaultDomain;
use crate::receiver::{Refused, Sender};
use crate::utterance::id::UtteranceId;

/// Something an application may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A viewer's connection is up: ICE and DTLS are done, media flows.
    #[non_exhaustive]
    PeerJoined {
        /// The session it watches.
        session: SessionId,
        /// Its id.
        peer: PeerId,
        /// The video codec it gets; `None` for a listener without picture.
        codec: Option<VideoCodec>,
    },
    /// A viewer is gone. Also sent for one that never came further than its offer.
    #[non_exhaustive]
    PeerLeft {
        /// The session it watched.
        session: SessionId,
        /// Its id.
        peer: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// A viewer gets a smaller picture than before or a larger one, or fewer or more pictures a second. Not sent for what it
    /// begins with, nor where the encoder follows its only viewer from picture to picture: see
    /// [`ViewerStatus::picture`](crate::status::ViewerStatus::picture).
    #[non_exhaustive]
    PictureChanged {
        /// The session it watches.
        session: SessionId,
        /// Its id.
        peer: PeerId,
        /// The size, counted from the smallest.
        rung: Rung,
        /// How many of the pictures; all with [`TemporalLayer::HIGHEST`].
        layer: TemporalLayer,
        /// What that should take at most, headers not included.
        bitrate: Option<Bitrate>,
        /// Whether it is less than the best there is, because the viewer's network takes no more.
        limited: bool,
    },
    /// Pictures are pushed where none were: viewers see them instead of the idle loop.
    #[non_exhaustive]
    LiveStarted {
        /// The session.
        session: SessionId,
    },
    /// No picture has come for [`SessionConfig::idle_grace`](crate::SessionConfig::idle_grace), or what was
    /// shown was interrupted: viewers see the idle loop.
    #[non_exhaustive]
    LiveEnded {
        /// The session.
        session: SessionId,
        /// Whether neither the end of an utterance nor an interruption explains it: whoever made the
        /// pictures has stopped, is stuck, or is gone.
        stalled: bool,
    },
    /// Viewers of a session whose pictures are pushed encoded wait for a keyframe: somebody joined,
    /// or lost too much. Requests are coalesced; frames up to the keyframe go to the others only.
    #[non_exhaustive]
    KeyframeRequested {
        /// The session.
        session: SessionId,
        /// What it is encoded with.
        codec: VideoCodec,
    },
    /// The pictures of a session should take so much from now on: its viewer's network takes more than before or less, or
    /// another viewer has joined. Only with [`SessionConfig::adaptive_encoder`](crate::SessionConfig::adaptive_encoder);
    /// before the first one [`SessionConfig::video_bitrate`](crate::SessionConfig::video_bitrate) is wanted. An encoder should
    /// follow from its next picture on.
    #[non_exhaustive]
    BitrateWanted {
        /// The session.
        session: SessionId,
        /// What it is encoded with.
        codec: VideoCodec,
        /// Headers not included.
        bitrate: Bitrate,
    },
    /// An utterance begins to play.
    #[non_exhaustive]
    UtteranceStarted {
        /// The session.
        session: SessionId,
        /// Which one.
        utterance: UtteranceId,
    },
    /// An utterance has been played to its end.
    #[non_exhaustive]
    UtteranceEnded {
        /// The session.
        session: SessionId,
        /// Which one.
        utterance: UtteranceId,
        /// How long it was.
        sent: Duration,
    },
    /// What was being said was cut off, and all that waited is dropped. One event for each utterance.
    #[non_exhaustive]
    Interrupted {
        /// The session.
        session: SessionId,
        /// Which one; `None` for sound that was pushed live.
        utterance: Option<UtteranceId>,
        /// How much of it was sent.
        sent: Duration,
    },
    /// A viewer began to speak. Only while the session's microphones are listened to
    /// ([`Session::microphone`](crate::Session::microphone)); the same goes for the events below.
    #[non_exhaustive]
    SpeechStarted {
        /// The session.
        session: SessionId,
        /// Who speaks.
        peer: PeerId,
        /// When the speech was captured, to within some 20 ms; on the clock of
        /// [`MicChunk::captured`](crate::microphone::MicChunk::captured). It is told some 50 ms later, when it is
        /// certain.
        at: UnixMillis,
    },
    /// A viewer has stopped speaking: there was half a second without speech, or it left. Follows each
    /// [`SpeechStarted`](Self::SpeechStarted).
    #[non_exhaustive]
    SpeechEnded {
        /// The session.
        session: SessionId,
        /// Who spoke.
        peer: PeerId,
        /// When the last of it was captured.
        at: UnixMillis,
    },
    /// How loud a viewer is: five of these for each second of sound that comes from it.
    #[non_exhaustive]
    MicrophoneLevel {
        /// The session.
        session: SessionId,
        /// Who it is.
        peer: PeerId,
        /// Root mean square of a fifth of a second, in whole dB: 0 for a square wave of full scale
        /// (dBov, RFC 6464 §3), −127 for silence.
        dbfs: i8,
    },
    /// A viewer has opened a data channel: messages can be sent to it.
    #[non_exhaustive]
    DataChannelOpened {
        /// The session.
        session: SessionId,
        /// Whose it is.
        peer: PeerId,
        /// What the viewer calls it.
        label: Arc<str>,
    },
    /// A data channel is closed, while its viewer stays. Not sent for the channels of a viewer that left.
    #[non_exhaustive]
    DataChannelClosed {
        /// The session.
        session: SessionId,
        /// Whose it was.
        peer: PeerId,
        /// What the viewer called it.
        label: Arc<str>,
    },
    /// A fault was caught, and has cost no more than its domain, such as one viewer or one picture. Told once for each
    /// domain and owner; further ones are counted ([`Faults::total`](crate::faults::Faults::total)).
    #[non_exhaustive]
    Fault {
        /// What it was confined to.
        domain: FaultDomain,
        /// Whose it was: a session, a viewer, or what else the domain has.
        whose: Arc<str>,
        /// What happened.
        why: Arc<str>,
    },
    /// A loop that everybody needs has ended by a fault: the engine serves nobody any more. The process should end, with
    /// a code that is not 0. Also told to who subscribes after it.
    #[non_exhaustive]
    EngineFailed {
        /// The loop.
        domain: FaultDomain,
        /// What ended it.
        why: Arc<str>,
    },
}

/// Why a viewer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It said goodbye, or its signaling connection asked for it.
    Closed,
    /// It did not finish ICE and DTLS in time.
    ConnectTimeout,
    /// It stopped answering: ICE consent expired (RFC 7675).
    Vanished,
    /// Its protocol state broke; only this peer is affected.
    Failed,
    /// It has an RSA certificate, and DTLS takes ECDSA certificates only here.
    RsaCertificate,
    /// The session or the engine was stopped.
    Stopped,
}

impl LeaveReason {
    /// A stable word for logs and protocols.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ConnectTimeout => "connect-timeout",
            Self::Vanished => "vanished",
            Self::Failed => "failed",
            Self::RsaCertificate => "rsa-certificate",
            Self::Stopped => "stopped",
        }
    }
}

/// Somebody who wants events.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) events: Sender<Event>,
    /// Which ones.
    pub(crate) wanted: Arc<dyn Fn(&Event) -> bool + Send + Sync>,
}

impl Subscriber {
    /// Hands an event over; false where the receiver is gone.
    pub(crate) fn send(&self, event: &Event) -> bool {
        if !(self.wanted)(event) {
            return true;
        }
        match self.events.send(event.clone()) {
            Ok(()) => true,
            Err(Refused::Full) => {
                tracing::warn!(
                    ?event,
                    "a subscriber does not read its events; this one is dropped"
                );
                true
            }
            Err(Refused::Closed) => false,
        }
    }
}
