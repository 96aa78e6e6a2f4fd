use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use visavis_bitstream::BitstreamError;
use visavis_bitstream::opus::OpusPacketError;
use visavis_codec::Mp3Error;
use visavis_core::SdpError;
use visavis_nvenc::NvencError;
use visavis_types::{AudioChunkError, Bitrate, FrameSize, PeerId, SessionId, VideoCodec};

use crate::video::rung_config::RungConfig;

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The UDP socket could not be opened.
    #[error("cannot listen for media on udp {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// None, or so many that there is no port for each.
    #[error("invalid number of media loops {0}; expected 1 at least, and a UDP port for each")]
    MediaLoops(usize),
    /// A poller, waker or thread could not be made.
    #[error("cannot start the media loop: {0}")]
    Io(#[from] io::Error),
    /// The DTLS certificate could not be made; the log says why.
    #[error("cannot make a DTLS certificate")]
    Certificate,
    /// There is no NVENC, and [`EngineConfig::encoder`](crate::EngineConfig::encoder) wants it.
    #[error("NVENC is wanted, and cannot be had: {0}")]
    Nvenc(#[from] NvencError),
}

/// Why a session was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is one of this name.
    #[error("session {0} exists already")]
    Exists(SessionId),
    /// [`SessionConfig::fps`](crate::SessionConfig::fps) is out of range.
    #[error("invalid frame rate {0}; expected 1 to 120")]
    Fps(u32),
    /// [`SessionConfig::video_bitrate`](crate::SessionConfig::video_bitrate) is out of range.
    #[error("invalid video bitrate {0}; expected 50 kbit/s at least")]
    VideoBitrate(Bitrate),
    /// [`SessionConfig::rungs`](crate::SessionConfig::rungs) has more than there may be.
    #[error("{0} rungs; expected 3 at most, beside the whole picture")]
    Rungs(usize),
    /// One of [`SessionConfig::rungs`](crate::SessionConfig::rungs) cannot be used.
    #[error("invalid rung {rung}; expected {expected}")]
    Rung {
        /// The first of them.
        rung: RungConfig,
        /// What is amiss.
        expected: &'static str,
    },
    /// [`SessionConfig::adaptive_encoder`](crate::SessionConfig::adaptive_encoder) in a session that is encoded here, or for
    /// more than one viewer.
    #[error("an adaptive encoder needs a session of encoded pictures for one viewer")]
    AdaptiveEncoder,
    /// [`SessionConfig::audio_bitrate`](crate::SessionConfig::audio_bitrate) is out of range.
    #[error("invalid audio bitrate {0}; expected 6 to 510 kbit/s")]
    AudioBitrate(Bitrate),
    /// One of [`SessionConfig::video_codecs`](crate::SessionConfig::video_codecs) cannot be encoded here.
    #[error("this build has no encoder for {0}")]
    NoEncoder(VideoCodec),
    /// There is no NVENC, and [`SessionConfig::encoder`](crate::SessionConfig::encoder) wants it: why.
    #[error("NVENC is wanted, and cannot be had: {0}")]
    NoNvenc(String),
    /// [`SessionConfig::size`](crate::SessionConfig::size) is larger than one of the codecs can be encoded.
    #[error("invalid size {size} for {codec}; expected 3840x2160 or 2160x3840 at most")]
    Size {
        /// As given.
        size: FrameSize,
        /// The codec.
        codec: VideoCodec,
    },
    /// [`SessionConfig::microphone_rate`](crate::SessionConfig::microphone_rate) is none of those possible.
    #[error("invalid microphone rate {0}; expected 8000, 12000, 16000, 24000 or 48000 Hz")]
    MicrophoneRate(u32),
    /// [`SessionConfig::max_peers`](crate::SessionConfig::max_peers) is 0.
    #[error("a session must take one viewer at least")]
    NoPlace,
    /// The audio encoder could not be made; the log says why.
    #[error("cannot make the audio encoder")]
    AudioEncoder,
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
    /// The system refused a thread.
    #[error("cannot start the encode loop: {0}")]
    Io(#[from] io::Error),
}

/// Why an SDP offer got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// Not SDP, or not SDP that WebRTC can work with.
    #[error("the offer cannot be used: {0}")]
    Sdp(SdpError),
    /// The offer has no codec in common with us.
    #[error("the offer has no codec that this session can send")]
    NoCommonCodec,
    /// A later offer of a peer that is from another connection: its certificate is another one.
    #[error("this offer is from another connection than this peer's")]
    OtherConnection,
    /// No session of this name.
    #[error("there is no session {0}")]
    NoSession(SessionId),
    /// As many viewers as allowed are here already.
    #[error("all {0} places are taken")]
    Full(usize),
    /// The session has as many viewers as it may have.
    #[error("all {viewers} places of this session are taken")]
    SessionFull {
        /// As many.
        viewers: usize,
        /// After this time a place is free if its holder is gone: one that has been silent for five seconds gives it
        /// up. Asking sooner helps where a viewer leaves.
        free_in: Duration,
    },
    /// The peer makes offers faster than they are taken: two a second, sixteen at once.
    #[error("too many offers of this peer; wait a second")]
    TooMany,
    /// A first offer under the id of a peer that is here: what it offers later is a renegotiation.
    #[error("peer {0} is connected already")]
    PeerExists(PeerId),
    /// The peer of a renegotiation has left, or never was here.
    #[error("this peer has left")]
    PeerGone,
    /// The media loop has more commands waiting than it should.
    #[error("the engine is busy; try again")]
    Busy,
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

impl OfferError {
    /// Whether the offer itself is what was wrong.
    pub(crate) const fn is_the_offers(&self) -> bool {
        matches!(self, Self::Sdp(_) | Self::NoCommonCodec | Self::OtherConnection)
    }
}

/// Why an ICE candidate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// The text is no candidate (RFC 8839 §5.1), or one that cannot be used here.
    #[error("this is no ICE candidate that can be used")]
    Syntax,
    /// The media loop has more commands waiting than it should.
    #[error("the engine is busy; try again")]
    Busy,
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

/// Why an encoded picture was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodedFrameError {
    /// Nothing in it.
    #[error("an empty access unit")]
    Empty,
    /// More than [`EncodedFrame::MAX_BYTES`](crate::video::EncodedFrame::MAX_BYTES).
    #[error("invalid length of an access unit {0} bytes; expected at most 4 MiB")]
    TooLarge(usize),
    /// Viewers have agreed with the session on another codec.
    #[error("{given} pushed into a session of {session}")]
    Codec {
        /// What was pushed.
        given: VideoCodec,
        /// [`SessionConfig::encoded`](crate::SessionConfig::encoded).
        session: VideoCodec,
    },
    /// The session's [`SessionConfig::encoded`](crate::SessionConfig::encoded) is `None`.
    #[error("this session's pictures are given raw; it takes no encoded ones")]
    RawSession,
    /// No bitstream of the codec it is said to be.
    #[error(transparent)]
    Bitstream(#[from] BitstreamError),
}

/// Why an Opus packet, or MP3 frames, were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodedAudioError {
    /// No Opus packet.
    #[error(transparent)]
    Packet(#[from] OpusPacketError),
    /// No MP3.
    #[error(transparent)]
    Mp3(#[from] Mp3Error),
    /// MP3 of a rate that cannot be used.
    #[error(transparent)]
    Chunk(#[from] AudioChunkError),
    /// The session's sound is given as PCM or MP3 already.
    #[error("this session's sound is given as PCM; it cannot be mixed with Opus packets")]
    RawSession,
    /// The session's sound is given as Opus packets already.
    #[error("this session's sound is given as Opus packets; it cannot be mixed with MP3")]
    OpusSession,
}
