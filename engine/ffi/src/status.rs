//! What calls return, and the sentence that goes with it.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::fmt::Display;
use std::io;

use visavis::audio::{AudioChunkError, EncodedAudioError};
use visavis::data::DataError;
use visavis::engine::StartError;
use visavis::peer::{CandidateError, OfferError};
use visavis::session::{PushOutcome, SessionError};
use visavis::utterance::UtteranceError;
use visavis::video::{EncodedFrameError, VideoFrameError};
use visavis_film::SourceError;
use visavis_film::idle::IdleFileError;
use visavis_signaling::SignalingError;

use self::visavis_status::*;

/// What a call returns. 0: done. Above 0: nothing is wrong, but something else came of it. Below 0: an error, and
/// visavis_last_error() has the sentence. Numbers keep their meaning; new ones may be added.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_status {
    /// Done; of media: it is on its way.
    VISAVIS_OK = 0,
    /// The session is not started yet: media was counted, otherwise ignored.
    VISAVIS_NOT_STARTED = 1,
    /// The session was stopped: media was counted, otherwise ignored. Nothing will be taken any more.
    VISAVIS_STOPPED = 2,
    /// Dropped: the engine does not keep up, or what it belongs to was interrupted. Encoded pictures are dropped from
    /// here to the next keyframe, which is asked for.
    VISAVIS_DROPPED = 3,
    /// It is on its way, and the oldest sound that waited was dropped for it.
    VISAVIS_DROPPED_OLDEST = 4,
    /// Not taken, because so much waits already: try again later.
    VISAVIS_FULL = 5,
    /// Nothing came in time.
    VISAVIS_TIMEOUT = 6,
    /// Nothing more will come.
    VISAVIS_END = 7,

    /// An argument is NULL, out of range, or no text in UTF-8.
    VISAVIS_INVALID_ARGUMENT = -1,
    /// A handle is NULL, was freed, or is of another kind.
    VISAVIS_INVALID_HANDLE = -2,
    /// A setting is out of range, unknown, or contradicts another.
    VISAVIS_INVALID_CONFIG = -3,
    /// A frame, chunk or message cannot be used. What was pushed before is unaffected.
    VISAVIS_INVALID_MEDIA = -4,
    /// The session takes media of another kind: raw and encoded cannot be mixed.
    VISAVIS_WRONG_SESSION = -5,
    /// This build or this machine cannot do it.
    VISAVIS_UNSUPPORTED = -6,
    /// The engine has stopped.
    VISAVIS_ENGINE_STOPPED = -7,
    /// The engine does not keep up with what was asked before: try again.
    VISAVIS_BUSY = -8,
    /// The operating system refused a socket, a thread, a file.
    VISAVIS_SYSTEM = -9,
    /// There is one of this name.
    VISAVIS_EXISTS = -10,
    /// There is none of this name.
    VISAVIS_NOT_FOUND = -11,
    /// All places for viewers are taken.
    VISAVIS_NO_PLACE = -12,
    /// An SDP offer, or an ICE candidate, cannot be used.
    VISAVIS_OFFER_REFUSED = -13,
    /// There are 65,536 handles: free some.
    VISAVIS_TOO_MANY_HANDLES = -14,
    /// The process was forked after it had used the library. The child cannot use it; start another program in it.
    VISAVIS_FORKED = -15,
    /// A bug in the library. What the call was for is in an unknown state, everything else goes on.
    VISAVIS_PANIC = -16,
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) status: visavis_status,
    pub(crate) text: String,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(status: visavis_status, text: impl Display) -> Self {
        Self { status, text: text.to_string() }
    }

    pub(crate) fn argument(text: impl Display) -> Self {
        Self::new(VISAVIS_INVALID_ARGUMENT, text)
    }

    pub(crate) fn config(text: impl Display) -> Self {
        Self::new(VISAVIS_INVALID_CONFIG, text)
    }
}

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Keeps the sentence for [`visavis_last_error`].
pub(crate) fn remember(text: &str) {
    let text = CString::new(text.replace('\0', "?")).unwrap_or_default();
    // A thread that is about to end has no place for it any more.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some(text);
        }
    });
}

/// The sentence of the last call on this thread that returned an error: what is wrong, and what is expected. Empty
/// before the first. It is good until the next error on this thread; never NULL, and not to be freed. Never fails, also
/// after fork().
#[unsafe(no_mangle)]
pub extern "C" fn visavis_last_error() -> *const c_char {
    let text = LAST.try_with(|last| {
        let last = last.try_borrow().ok()?;
        last.as_ref().map(|text| text.as_ptr())
    });
    text.ok().flatten().unwrap_or(c"".as_ptr())
}

/// The name of a status, such as "VISAVIS_OK"; "VISAVIS_?" for a number that is none. Static text, not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn visavis_status_name(status: i32) -> *const c_char {
    let all = NAMES.iter().find(|(known, _)| *known as i32 == status);
    all.map_or(c"VISAVIS_?", |(_, name)| name).as_ptr()
}

const NAMES: [(visavis_status, &CStr); 24] = [
    (VISAVIS_OK, c"VISAVIS_OK"),
    (VISAVIS_NOT_STARTED, c"VISAVIS_NOT_STARTED"),
    (VISAVIS_STOPPED, c"VISAVIS_STOPPED"),
    (VISAVIS_DROPPED, c"VISAVIS_DROPPED"),
    (VISAVIS_DROPPED_OLDEST, c"VISAVIS_DROPPED_OLDEST"),
    (VISAVIS_FULL, c"VISAVIS_FULL"),
    (VISAVIS_TIMEOUT, c"VISAVIS_TIMEOUT"),
    (VISAVIS_END, c"VISAVIS_END"),
    (VISAVIS_INVALID_ARGUMENT, c"VISAVIS_INVALID_ARGUMENT"),
    (VISAVIS_INVALID_HANDLE, c"VISAVIS_INVALID_HANDLE"),
    (VISAVIS_INVALID_CONFIG, c"VISAVIS_INVALID_CONFIG"),
    (VISAVIS_INVALID_MEDIA, c"VISAVIS_INVALID_MEDIA"),
    (VISAVIS_WRONG_SESSION, c"VISAVIS_WRONG_SESSION"),
    (VISAVIS_UNSUPPORTED, c"VISAVIS_UNSUPPORTED"),
    (VISAVIS_ENGINE_STOPPED, c"VISAVIS_ENGINE_STOPPED"),
    (VISAVIS_BUSY, c"VISAVIS_BUSY"),
    (VISAVIS_SYSTEM, c"VISAVIS_SYSTEM"),
    (VISAVIS_EXISTS, c"VISAVIS_EXISTS"),
    (VISAVIS_NOT_FOUND, c"VISAVIS_NOT_FOUND"),
    (VISAVIS_NO_PLACE, c"VISAVIS_NO_PLACE"),
    (VISAVIS_OFFER_REFUSED, c"VISAVIS_OFFER_REFUSED"),
    (VISAVIS_TOO_MANY_HANDLES, c"VISAVIS_TOO_MANY_HANDLES"),
    (VISAVIS_FORKED, c"VISAVIS_FORKED"),
    (VISAVIS_PANIC, c"VISAVIS_PANIC"),
];

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(VISAVIS_SYSTEM, error)
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        let status = match &error {
            StartError::MediaLoops(_) => VISAVIS_INVALID_CONFIG,
            StartError::Nvenc(_) => VISAVIS_UNSUPPORTED,
            _ => VISAVIS_SYSTEM,
        };
        Self::new(status, error)
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        let status = match &error {
            SessionError::Exists(_) => VISAVIS_EXISTS,
            SessionError::NoEncoder(_) | SessionError::NoNvenc(_) => VISAVIS_UNSUPPORTED,
            SessionError::Stopped => VISAVIS_ENGINE_STOPPED,
            SessionError::AudioEncoder | SessionError::Io(_) => VISAVIS_SYSTEM,
            _ => VISAVIS_INVALID_CONFIG,
        };
        Self::new(status, error)
    }
}

impl From<SignalingError> for Error {
    fn from(error: SignalingError) -> Self {
        let status = match &error {
            SignalingError::Bind { .. } | SignalingError::Io(_) | SignalingError::Routes => {
                VISAVIS_SYSTEM
            }
            _ => VISAVIS_INVALID_CONFIG,
        };
        Self::new(status, error)
    }
}

impl From<VideoFrameError> for Error {
    fn from(error: VideoFrameError) -> Self {
        let status = match &error {
            VideoFrameError::EncodedSession => VISAVIS_WRONG_SESSION,
            VideoFrameError::NotBuilt { .. } => VISAVIS_UNSUPPORTED,
            _ => VISAVIS_INVALID_MEDIA,
        };
        Self::new(status, error)
    }
}

impl From<IdleFileError> for Error {
    fn from(error: IdleFileError) -> Self {
        let status = match &error {
            IdleFileError::Read { .. } | IdleFileError::Film(SourceError::File { .. }) => {
                VISAVIS_SYSTEM
            }
            IdleFileError::Kind { .. } => VISAVIS_UNSUPPORTED,
            IdleFileError::Content { .. } | IdleFileError::Film(_) => VISAVIS_INVALID_MEDIA,
        };
        Self::new(status, error)
    }
}

impl From<AudioChunkError> for Error {
    fn from(error: AudioChunkError) -> Self {
        let status = match &error {
            AudioChunkError::EncodedSession => VISAVIS_WRONG_SESSION,
            AudioChunkError::NoOpusEncoder => VISAVIS_UNSUPPORTED,
            _ => VISAVIS_INVALID_MEDIA,
        };
        Self::new(status, error)
    }
}

impl From<EncodedAudioError> for Error {
    fn from(error: EncodedAudioError) -> Self {
        let status = match &error {
            EncodedAudioError::RawSession | EncodedAudioError::OpusSession => VISAVIS_WRONG_SESSION,
            EncodedAudioError::Chunk(error) => return (*error).into(),
            _ => VISAVIS_INVALID_MEDIA,
        };
        Self::new(status, error)
    }
}

impl From<EncodedFrameError> for Error {
    fn from(error: EncodedFrameError) -> Self {
        let status = match &error {
            EncodedFrameError::Codec { .. } | EncodedFrameError::RawSession => {
                VISAVIS_WRONG_SESSION
            }
            _ => VISAVIS_INVALID_MEDIA,
        };
        Self::new(status, error)
    }
}

impl From<UtteranceError> for Error {
    fn from(error: UtteranceError) -> Self {
        let status = match &error {
            UtteranceError::Busy => VISAVIS_BUSY,
            UtteranceError::EncodedSession => VISAVIS_WRONG_SESSION,
            _ => VISAVIS_NOT_FOUND,
        };
        Self::new(status, error)
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        let status = match &error {
            DataError::Empty | DataError::TooLarge { .. } => VISAVIS_INVALID_MEDIA,
            DataError::Stopped => VISAVIS_ENGINE_STOPPED,
            _ => VISAVIS_NOT_FOUND,
        };
        Self::new(status, error)
    }
}

impl From<OfferError> for Error {
    fn from(error: OfferError) -> Self {
        let status = match &error {
            OfferError::NoSession(_) | OfferError::PeerGone => VISAVIS_NOT_FOUND,
            OfferError::Full(_) | OfferError::SessionFull { .. } => VISAVIS_NO_PLACE,
            OfferError::TooMany | OfferError::Busy => VISAVIS_BUSY,
            OfferError::PeerExists(_) => VISAVIS_EXISTS,
            OfferError::Stopped => VISAVIS_ENGINE_STOPPED,
            _ => VISAVIS_OFFER_REFUSED,
        };
        Self::new(status, error)
    }
}

impl From<CandidateError> for Error {
    fn from(error: CandidateError) -> Self {
        let status = match &error {
            CandidateError::Busy => VISAVIS_BUSY,
            CandidateError::Stopped => VISAVIS_ENGINE_STOPPED,
            _ => VISAVIS_OFFER_REFUSED,
        };
        Self::new(status, error)
    }
}

impl From<PushOutcome> for visavis_status {
    fn from(outcome: PushOutcome) -> Self {
        match outcome {
            PushOutcome::Accepted => VISAVIS_OK,
            PushOutcome::NotStarted => VISAVIS_NOT_STARTED,
            PushOutcome::Stopped => VISAVIS_STOPPED,
            PushOutcome::DroppedOldest(_) => VISAVIS_DROPPED_OLDEST,
            PushOutcome::Full => VISAVIS_FULL,
            // Of a kind that is new: it was not taken.
            _ => VISAVIS_DROPPED,
        }
    }
}
