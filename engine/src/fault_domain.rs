//! The domains of faults.

use std::fmt::{self, Display};

/// What a fault is confined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum FaultDomain {
    /// One viewer's connection, which is closed.
    Peer,
    /// An offer or a candidate, which is refused.
    Offer,
    /// What came at the media socket, before it was known whose it is.
    Datagram,
    /// A command to a media loop: a join, a renegotiation.
    Command,
    /// One session's turn on a media loop: what was to be sent in it is not.
    Session,
    /// A session's video encoder, which is made anew.
    Encoder,
    /// An idle loop's pictures or their encoder.
    Idle,
    /// A session's sound, or one of its microphones.
    Audio,
    /// A function of the application that the engine calls.
    Callback,
    /// What an encoder outside sends as RTP.
    RtpInput,
    /// One connection to the signaling server, which is closed.
    Connection,
    /// One file or speech that is uploaded.
    Upload,
    /// Following this machine's addresses.
    Addresses,
    /// A media loop, and with it the engine.
    MediaLoop,
    /// The audio loop, and with it the engine.
    AudioLoop,
    /// The loop that encodes idle loops, and with it the engine.
    IdleLoop,
    /// The signaling loop, and with it the engine.
    SignalingLoop,
    /// A line of the log that could not be written.
    Log,
}

impl FaultDomain {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Peer,
        Self::Offer,
        Self::Datagram,
        Self::Command,
        Self::Session,
        Self::Encoder,
        Self::Idle,
        Self::Audio,
        Self::Callback,
        Self::RtpInput,
        Self::Connection,
        Self::Upload,
        Self::Addresses,
        Self::MediaLoop,
        Self::AudioLoop,
        Self::IdleLoop,
        Self::SignalingLoop,
        Self::Log,
    ];

    /// A stable word for logs and figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Offer => "offer",
            Self::Datagram => "datagram",
            Self::Command => "command",
            Self::Session => "session",
            Self::Encoder => "encoder",
            Self::Idle => "idle",
            Self::Audio => "audio",
            Self::Callback => "callback",
            Self::RtpInput => "rtp-input",
            Self::Connection => "connection",
            Self::Upload => "upload",
            Self::Addresses => "addresses",
            Self::MediaLoop => "media-loop",
            Self::AudioLoop => "audio-loop",
            Self::IdleLoop => "idle-loop",
            Self::SignalingLoop => "signaling-loop",
            Self::Log => "log",
        }
    }
}

impl Display for FaultDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
