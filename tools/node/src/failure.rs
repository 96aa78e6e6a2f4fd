//! Errors as JavaScript gets them: a sentence, and a code that does not change.

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use visavis::audio::{AudioChunkError, EncodedAudioError};
use visavis::data::DataError;
use visavis::engine::StartError;
use visavis::idle::IdleError;
use visavis::peer::{CandidateError, OfferError};
use visavis::session::SessionError;
use visavis::utterance::UtteranceError;
use visavis::video::{EncodedFrameError, VideoFrameError};
use visavis_film::SourceError;
use visavis_film::idle::IdleFileError;
use visavis_signaling::SignalingError;

/// What is thrown: its status is the error's `code`.
pub(crate) type Failure = napi::Error<&'static str>;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// An error that has a code.
pub(crate) trait Coded: Display {
    fn code(&self) -> &'static str;
}

/// An error of the engine as it is thrown.
pub(crate) fn failure(error: impl Coded) -> Failure {
    Failure::new(error.code(), error.to_string())
}

/// A value that JavaScript should not have given.
pub(crate) fn invalid(text: impl Display) -> Failure {
    Failure::new("invalid-value", text.to_string())
}

/// What there is until it is [released](release): Node frees an object long after it is of no use any more.
pub(crate) fn held<T: Clone>(slot: &Mutex<Option<T>>) -> Result<T> {
    let held = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
    held.ok_or_else(|| Failure::new("stopped", "it was stopped"))
}

/// Drops it.
pub(crate) fn release<T>(slot: &Mutex<Option<T>>) {
    let held = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(held);
}

/// Runs what Node calls. A panic becomes an error: it must not unwind into Node.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(Failure::new("fault", "a fault in the engine; the log says where")))
}

impl Coded for VideoFrameError {
    fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "invalid-size",
            Self::Length { .. } => "invalid-length",
            Self::Undecodable { .. } => "undecodable",
            Self::NotBuilt { .. } => "not-built",
            Self::OtherSize { .. } => "other-size",
            Self::EncodedSession => "encoded-session",
            Self::TooLarge { .. } => "too-large",
            Self::Timestamp(_) => "invalid-timestamp",
            _ => "invalid-frame",
        }
    }
}

impl Coded for AudioChunkError {
    fn code(&self) -> &'static str {
        match self {
            Self::SampleRate(_) => "invalid-sample-rate",
            Self::Channels(_) => "invalid-channels",
            Self::Length { .. } => "invalid-length",
            Self::EncodedSession => "encoded-session",
            Self::NoOpusEncoder => "not-built",
            Self::Timestamp(_) => "invalid-timestamp",
            _ => "invalid-chunk",
        }
    }
}

impl Coded for EncodedAudioError {
    fn code(&self) -> &'static str {
        match self {
            Self::Packet(_) | Self::Mp3(_) => "undecodable",
            Self::Chunk(error) => error.code(),
            Self::RawSession | Self::OpusSession => "encoded-session",
            _ => "invalid-chunk",
        }
    }
}

impl Coded for EncodedFrameError {
    fn code(&self) -> &'static str {
        match self {
            Self::Codec { .. } => "other-codec",
            Self::RawSession => "raw-session",
            Self::Empty | Self::TooLarge(_) => "invalid-length",
            _ => "undecodable",
        }
    }
}

impl Coded for IdleFileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { source, .. } | Self::Film(SourceError::File { source, .. }) => {
                system_code(source)
            }
            Self::Kind { .. } => "not-built",
            Self::Content { source, .. } => source.code(),
            Self::Film(_) => "undecodable",
        }
    }
}

impl Coded for StartError {
    fn code(&self) -> &'static str {
        match self {
            Self::Bind { source, .. } | Self::Io(source) => system_code(source),
            _ => "start",
        }
    }
}

impl Coded for SessionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "session-exists",
            Self::NoEncoder(_) => "not-built",
            Self::Stopped => "stopped",
            Self::Io(source) => system_code(source),
            Self::AudioEncoder => "start",
            _ => "invalid-value",
        }
    }
}

impl Coded for UtteranceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::EncodedSession => "encoded-session",
            Self::NoSession => "stopped",
            _ => "utterance",
        }
    }
}

impl Coded for IdleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Picture(error) => error.code(),
            _ => "undecodable",
        }
    }
}

impl Coded for DataError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::TooLarge { .. } => "invalid-length",
            Self::NoPeer(_) => "no-peer",
            Self::NoChannel(_) => "no-channel",
            Self::Stopped => "stopped",
            _ => "data",
        }
    }
}

impl Coded for OfferError {
    fn code(&self) -> &'static str {
        match self {
            Self::Sdp(_) => "bad-sdp",
            Self::NoCommonCodec => "no-common-codec",
            Self::OtherConnection => "other-connection",
            Self::NoSession(_) => "no-session",
            Self::Full(_) => "full",
            Self::SessionFull { .. } => "session-full",
            Self::TooMany => "rate-limited",
            Self::PeerGone => "no-peer",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            _ => "offer",
        }
    }
}

impl Coded for CandidateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax => "bad-candidate",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            _ => "candidate",
        }
    }
}

impl Coded for SignalingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Bind { source, .. } | Self::Io(source) => system_code(source),
            Self::TlsFile { .. } | Self::Tls(_) => "tls",
            Self::Routes => "start",
            _ => "invalid-value",
        }
    }
}

/// As Node calls errors of the system.
fn system_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::NotFound => "ENOENT",
        _ => "system",
    }
}
