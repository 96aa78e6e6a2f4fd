//! The table of error codes for HTTP, WebSocket and WHEP.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use visavis::event::LeaveReason;
use visavis::peer::{CandidateError, OfferError};

use crate::sessions::registry::CreateError;

/// The longest sentence about what is wrong, in characters.
const MAX_DETAIL_CHARS: usize = 300;

/// Close codes of WebSockets (RFC 6455 §7.4.1, and 1013 of the IANA registry).
const PROTOCOL_ERROR: u16 = 1002;
const INVALID_PAYLOAD: u16 = 1007;
const POLICY_VIOLATION: u16 = 1008;
const MESSAGE_TOO_BIG: u16 = 1009;
const TRY_AGAIN_LATER: u16 = 1013;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The stable code.
    code: &'static str,
    /// The HTTP status; `None`: sent over the WebSocket only.
    status: Option<StatusCode>,
    /// The same sentence for every occurrence.
    title: &'static str,
    /// The code in the WebSocket's `error` messages; `None`: sent over HTTP only.
    websocket: Option<&'static str>,
    /// Seconds after which asking again makes sense, in `Retry-After`.
    retry_after: Option<u32>,
    /// The same in `retryAfter` of the WebSocket.
    websocket_retry_after: Option<u32>,
    /// How the WebSocket is closed; `None`: the error leaves it open.
    close: Option<u16>,
}

impl Entry {
    const fn new(code: &'static str, title: &'static str) -> Self {
        Self {
            code,
            status: None,
            title,
            websocket: None,
            retry_after: None,
            websocket_retry_after: None,
            close: None,
        }
    }

    const fn http(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status: Some(status), ..Self::new(code, title) }
    }

    const fn websocket(code: &'static str, title: &'static str) -> Self {
        Self { websocket: Some(code), ..Self::new(code, title) }
    }

    /// Sent over the WebSocket too, with this code.
    const fn and_websocket(self, word: &'static str) -> Self {
        Self { websocket: Some(word), ..self }
    }

    const fn retry(self, http_seconds: u32) -> Self {
        Self { retry_after: Some(http_seconds), ..self }
    }

    const fn websocket_retry(self, seconds: u32) -> Self {
        Self { websocket_retry_after: Some(seconds), ..self }
    }

    const fn close(self, close: u16) -> Self {
        Self { close: Some(close), ..self }
    }
}

macro_rules! error_codes {
    ($($name:ident => $entry:expr;)*) => {
        /// What is wrong, for programs: the problem type of RFC 9457, and the `code` of the WebSocket's `error` messages.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ErrorCode {
            $($name),*
        }

        impl ErrorCode {
            /// Every one there is.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            const fn entry(self) -> Entry {
                match self {
                    $(Self::$name => $entry,)*
                }
            }
        }
    };
}

use Entry as E;
use StatusCode as S;

#[rustfmt::skip]
error_codes! {
    BadRequest => E::http(S::BAD_REQUEST, "bad-request", "The request is not valid HTTP");
    BadJson => E::http(S::BAD_REQUEST, "bad-json", "The body is not valid JSON").and_websocket("bad-json");
    BadSession => E::http(S::BAD_REQUEST, "bad-session", "The session id is invalid");
    BadFragment => E::http(S::BAD_REQUEST, "bad-fragment", "The SDP fragment is invalid");
    NotAllowed => E::http(S::FORBIDDEN, "not-allowed", "This server does not allow that");
    CrossOrigin => E::http(S::FORBIDDEN, "cross-origin", "Pages of this origin are not allowed to do that");
    NotManaged => E::http(S::FORBIDDEN, "not-managed", "The session was not created over HTTP");
    NotFound => E::http(S::NOT_FOUND, "not-found", "There is nothing at this address");
    NoSession => E::http(S::NOT_FOUND, "no-session", "There is no such session").and_websocket("no-session");
    NoPeer => E::http(S::NOT_FOUND, "no-peer", "There is no such peer").and_websocket("peer-gone");
    MethodNotAllowed => E::http(S::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here");
    Timeout => E::http(S::REQUEST_TIMEOUT, "timeout", "The request took too long");
    SessionExists => E::http(S::CONFLICT, "session-exists", "A session with this id exists already");
    SessionFull => E::http(S::CONFLICT, "session-full", "The session has as many viewers as it may have").and_websocket("full").close(TRY_AGAIN_LATER);
    OtherConnection => E::http(S::CONFLICT, "other-connection", "The offer is not from this peer's connection").and_websocket("other-connection");
    NotStarted => E::http(S::CONFLICT, "not-started", "The session is not started");
    EncodedSession => E::http(S::CONFLICT, "encoded-session", "The session takes encoded audio only");
    RsaCertificate => E::http(S::GONE, "rsa-certificate", "The viewer's certificate is RSA").and_websocket("rsa-certificate");
    PreconditionFailed => E::http(S::PRECONDITION_FAILED, "precondition-failed", "The ICE session has changed since");
    BodyTooLarge => E::http(S::PAYLOAD_TOO_LARGE, "body-too-large", "The request body is too large");
    TargetTooLong => E::http(S::URI_TOO_LONG, "target-too-long", "The request target is too long");
    MediaType => E::http(S::UNSUPPORTED_MEDIA_TYPE, "media-type", "The media type of the body is not supported here");
    Expectation => E::http(S::EXPECTATION_FAILED, "expectation", "The expectation is not supported");
    WrongHost => E::http(S::MISDIRECTED_REQUEST, "wrong-host", "The host name is not one of this server's");
    BadValue => E::http(S::UNPROCESSABLE_ENTITY, "bad-value", "A value in the body is invalid");
    BadSdp => E::http(S::UNPROCESSABLE_ENTITY, "bad-sdp", "The offer cannot be used").and_websocket("bad-sdp");
    NoCommonCodec => E::http(S::UNPROCESSABLE_ENTITY, "no-common-codec", "The offer has no codec in common with the session").and_websocket("no-common-codec");
    BadAudio => E::http(S::UNPROCESSABLE_ENTITY, "bad-audio", "The upload is not audio that can be played");
    BadCandidate => E::http(S::UNPROCESSABLE_ENTITY, "bad-candidate", "The ICE candidate is invalid").and_websocket("bad-candidate");
    UpgradeRequired => E::http(S::UPGRADE_REQUIRED, "upgrade-required", "This address is for WebSockets only");
    PreconditionRequired => E::http(S::PRECONDITION_REQUIRED, "precondition-required", "If-Match is missing");
    RateLimited => E::http(S::TOO_MANY_REQUESTS, "rate-limited", "Too many requests of this kind in a short time").retry(10).and_websocket("rate-limited").websocket_retry(10);
    HeadTooLarge => E::http(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "The request head is too large");
    Internal => E::http(S::INTERNAL_SERVER_ERROR, "internal", "Internal server error");
    UnknownMethod => E::http(S::NOT_IMPLEMENTED, "unknown-method", "The method is unknown");
    TransferEncoding => E::http(S::NOT_IMPLEMENTED, "transfer-encoding", "The transfer encoding is not supported");
    Full => E::http(S::SERVICE_UNAVAILABLE, "full", "The server has no capacity left").retry(5).and_websocket("full").websocket_retry(5).close(TRY_AGAIN_LATER);
    Busy => E::http(S::SERVICE_UNAVAILABLE, "busy", "The server is busy").retry(5).and_websocket("busy").websocket_retry(1);
    NotReady => E::http(S::SERVICE_UNAVAILABLE, "not-ready", "Visitors cannot be served now").retry(5);
    Refused => E::http(S::SERVICE_UNAVAILABLE, "refused", "The application refused the session").retry(5);
    Stopped => E::http(S::SERVICE_UNAVAILABLE, "stopped", "The engine has stopped").retry(5).and_websocket("stopped").close(TRY_AGAIN_LATER);
    HttpVersion => E::http(S::HTTP_VERSION_NOT_SUPPORTED, "http-version", "The HTTP version is not supported");
    // Of the WebSocket alone. The first three are one code, and differ in how the connection is closed.
    BadMessage => E::websocket("bad-message", "The message is not one of the protocol");
    BadText => E::websocket("bad-message", "The text frame is not UTF-8").close(INVALID_PAYLOAD);
    BadFrame => E::websocket("bad-message", "The bytes are not WebSocket frames").close(PROTOCOL_ERROR);
    OfferPending => E::websocket("busy", "The offer before this one is not answered yet");
    TooLarge => E::websocket("too-large", "The message is too large").close(MESSAGE_TOO_BIG);
    Abuse => E::websocket("abuse", "Too many messages, or too many unusable ones").close(POLICY_VIOLATION);
    OfferTimeout => E::websocket("offer-timeout", "No offer came that could be answered").close(POLICY_VIOLATION);
    Closed => E::websocket("closed", "The viewer closed its media connection");
    ConnectTimeout => E::websocket("connect-timeout", "The media connection was not established in time");
    Vanished => E::websocket("vanished", "The media connection stopped answering");
    Failed => E::websocket("failed", "The media connection failed");
}

impl ErrorCode {
    /// The stable code: over HTTP and, where it is the same, over the WebSocket.
    pub(crate) const fn code(self) -> &'static str {
        self.entry().code
    }

    /// The sentence that is the same for every occurrence.
    pub(crate) const fn title(self) -> &'static str {
        self.entry().title
    }

    /// The status of an HTTP response; codes of the WebSocket alone have none.
    pub(crate) const fn http_status(self) -> Option<StatusCode> {
        self.entry().status
    }

    /// The code in an `error` message of the WebSocket; `None` for errors of HTTP only.
    #[cfg(test)]
    pub(crate) const fn sent_over_websocket(self) -> Option<&'static str> {
        self.entry().websocket
    }

    /// The code in an `error` message of the WebSocket.
    pub(crate) const fn websocket_code(self) -> &'static str {
        match self.entry().websocket {
            Some(word) => word,
            None => self.entry().code,
        }
    }

    /// How a WebSocket is closed that this error ends.
    pub(crate) const fn close_code(self) -> u16 {
        match self.entry().close {
            Some(close) => close,
            None => POLICY_VIOLATION,
        }
    }
}

/// A request or a message that cannot be served, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestError {
    pub(crate) code: ErrorCode,
    /// A sentence about this occurrence.
    pub(crate) detail: Cow<'static, str>,
    /// After which a retry makes sense, if this occurrence has its own value.
    retry_after: Option<Duration>,
}

impl RequestError {
    /// `detail` is a sentence about this occurrence.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), retry_after: None }
    }

    pub(crate) const fn fixed(code: ErrorCode, detail: &'static str) -> Self {
        Self { code, detail: Cow::Borrowed(detail), retry_after: None }
    }

    /// The same, with a time after which asking again makes sense.
    fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// `Retry-After`, in whole seconds.
    pub(crate) fn http_retry_after(&self) -> Option<u64> {
        let own = || self.retry_after.map(|time| time.as_secs_f32().ceil().max(1.0) as u64);
        self.code.entry().retry_after.map(u64::from).or_else(own)
    }

    /// `retryAfter` of an `error` message.
    pub(crate) fn websocket_retry_after(&self) -> Option<Duration> {
        let usual = || self.code.entry().websocket_retry_after;
        self.retry_after.or_else(|| Some(Duration::from_secs(usual()?.into())))
    }

    /// The sentence, no longer than fits into a message: some repeat what the client sent.
    pub(crate) fn short_detail(&self) -> Cow<'static, str> {
        match self.detail.char_indices().nth(MAX_DETAIL_CHARS) {
            Some((end, _)) => {
                let start = self.detail.get(..end).unwrap_or_default();
                format!("{start}…").into()
            }
            None => self.detail.clone(),
        }
    }
}

/// The error for a viewer whose media connection has ended.
impl From<LeaveReason> for RequestError {
    fn from(reason: LeaveReason) -> Self {
        let (code, detail) = match reason {
            LeaveReason::Closed => (ErrorCode::Closed, "the media connection was closed"),
            LeaveReason::ConnectTimeout => {
                (ErrorCode::ConnectTimeout, "the media connection was not established in time")
            }
            LeaveReason::Vanished => {
                (ErrorCode::Vanished, "the media connection stopped answering")
            }
            LeaveReason::Stopped => (ErrorCode::Stopped, "the session was stopped"),
            LeaveReason::RsaCertificate => (
                ErrorCode::RsaCertificate,
                "this viewer's DTLS certificate is RSA, and the server takes ECDSA certificates only",
            ),
            _ => (ErrorCode::Failed, "the media connection failed"),
        };
        Self::fixed(code, detail)
    }
}

impl From<OfferError> for RequestError {
    fn from(error: OfferError) -> Self {
        let code = match error {
            OfferError::Sdp(_) => ErrorCode::BadSdp,
            OfferError::NoCommonCodec => ErrorCode::NoCommonCodec,
            OfferError::OtherConnection => ErrorCode::OtherConnection,
            OfferError::NoSession(_) => ErrorCode::NoSession,
            OfferError::Full(_) => ErrorCode::Full,
            OfferError::SessionFull { .. } => ErrorCode::SessionFull,
            OfferError::TooMany => ErrorCode::RateLimited,
            OfferError::PeerGone => ErrorCode::NoPeer,
            OfferError::PeerExists(_) | OfferError::Busy => ErrorCode::Busy,
            OfferError::Stopped => ErrorCode::Stopped,
            _ => ErrorCode::Internal,
        };
        let told = Self::new(code, error.to_string());
        match error {
            OfferError::SessionFull { free_in, .. } => told.retry_after(free_in),
            // Two offers a second are taken.
            OfferError::TooMany => told.retry_after(Duration::from_secs(1)),
            _ => told,
        }
    }
}

impl From<CreateError> for RequestError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Invalid(detail) => Self::new(ErrorCode::BadValue, detail),
            CreateError::Full(sessions) => {
                Self::new(ErrorCode::Full, format!("there are {sessions} sessions already"))
            }
            CreateError::Exists(detail) => Self::new(ErrorCode::SessionExists, detail),
            CreateError::Refused(detail) => Self::new(ErrorCode::Refused, detail),
            CreateError::Stopped(detail) => Self::new(ErrorCode::Stopped, detail),
            CreateError::Failed(detail) => Self::new(ErrorCode::Internal, detail),
        }
    }
}

impl From<CandidateError> for RequestError {
    fn from(error: CandidateError) -> Self {
        let code = match error {
            CandidateError::Syntax => ErrorCode::BadCandidate,
            CandidateError::Busy => ErrorCode::Busy,
            CandidateError::Stopped => ErrorCode::Stopped,
            _ => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// What the documents have for a code: its row in a table, `| `code` | …`.
    fn rows(document: &str) -> Vec<Vec<&str>> {
        document
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect()
    }

    #[test]
    fn codes_are_words_and_every_status_has_its_own() {
        let mut words = BTreeSet::new();
        for code in ErrorCode::ALL {
            let both = [Some(code.code()), code.sent_over_websocket()];
            for word in both.into_iter().flatten() {
                assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word}");
            }
            assert!(code.http_status().is_some() || code.sent_over_websocket().is_some());
            if code.http_status().is_some() {
                assert!(words.insert(code.code()), "{code:?} is there twice");
            }
            assert!(!code.title().ends_with('.'), "{}", code.title());
        }
    }

    #[test]
    fn what_may_go_well_later_says_when_over_http() {
        for code in ErrorCode::ALL {
            let status = code.http_status();
            let passing = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
            let retry = RequestError::fixed(*code, "").http_retry_after();
            assert_eq!(status.is_some_and(|status| passing.contains(&status)), retry.is_some());
        }
        let free_in = Duration::from_micros(3_214_001);
        let full = RequestError::from(OfferError::SessionFull { viewers: 1, free_in });
        assert_eq!(
            (full.http_retry_after(), full.websocket_retry_after()),
            (Some(4), Some(free_in))
        );
        let busy = RequestError::from(OfferError::Busy);
        assert_eq!(busy.http_retry_after(), Some(5));
        assert_eq!(busy.websocket_retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(RequestError::fixed(ErrorCode::OfferPending, "").websocket_retry_after(), None);
    }

    #[test]
    fn the_documents_have_the_same_table() {
        let http = include_str!("../../docs/http.md");
        let listed: BTreeSet<_> = rows(http)
            .into_iter()
            .filter(|cells| cells.len() == 3 && cells[1].parse::<u16>().is_ok())
            .map(|cells| {
                (cells[0].trim_matches('`').to_owned(), cells[1].to_owned(), cells[2].to_owned())
            })
            .collect();
        let known = ErrorCode::ALL.iter().filter_map(|code| {
            let status = code.http_status()?.as_str().to_owned();
            Some((code.code().to_owned(), status, code.title().to_owned()))
        });
        assert_eq!(listed, known.collect());

        let websocket = include_str!("../../docs/signaling.md");
        let listed: BTreeMap<_, BTreeSet<u16>> = rows(websocket)
            .into_iter()
            .map(|cells| {
                let closes = cells[1].split(", ").filter_map(|text| text.parse().ok());
                (cells[0].trim_matches('`').to_owned(), closes.collect())
            })
            .collect();
        let mut known: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
        for code in ErrorCode::ALL {
            if let Some(word) = code.sent_over_websocket() {
                known.entry(word.to_owned()).or_default().extend(code.entry().close);
            }
        }
        assert_eq!(listed, known);
    }
}
