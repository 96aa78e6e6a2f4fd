use http::StatusCode;
use serde::Serialize;

/// What can go wrong, as clients tell one from the other: RFC 9457's problem type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable word.
    pub(crate) code: &'static str,
    /// The same for every occurrence.
    pub(crate) title: &'static str,
}

macro_rules! problems {
    ($($name:ident: $status:ident $code:literal, $title:literal;)*) => {
        $(pub(crate) const $name: Problem =
            Problem { status: StatusCode::$status, code: $code, title: $title };)*
        /// Every one there is; the OpenAPI document and `/problems` list the same.
        pub(crate) const ALL: &[Problem] = &[$($name),*];
    };
}

problems! {
    BAD_REQUEST: BAD_REQUEST "bad-request", "No HTTP request";
    BAD_JSON: BAD_REQUEST "bad-json", "The body is no JSON";
    BAD_SESSION: BAD_REQUEST "bad-session", "This is no session id";
    NOT_ALLOWED: FORBIDDEN "not-allowed", "This server does not allow that";
    CROSS_ORIGIN: FORBIDDEN "cross-origin", "Pages of this origin may not do that";
    WRONG_HOST: MISDIRECTED_REQUEST "wrong-host", "The server does not go by this name";
    NOT_MANAGED: FORBIDDEN "not-managed", "The session was not made over HTTP";
    NOT_FOUND: NOT_FOUND "not-found", "Nothing is at this address";
    NO_SESSION: NOT_FOUND "no-session", "There is no such session";
    BAD_FRAGMENT: BAD_REQUEST "bad-fragment", "The body is no SDP fragment";
    NO_PEER: NOT_FOUND "no-peer", "There is no such peer";
    METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED "method-not-allowed", "The method does not apply here";
    TIMEOUT: REQUEST_TIMEOUT "timeout", "The request took too long";
    SESSION_EXISTS: CONFLICT "session-exists", "The session's id is taken";
    SESSION_FULL: CONFLICT "session-full", "The session has all the viewers it may have";
    OTHER_CONNECTION: CONFLICT "other-connection", "The offer is not from this peer's connection";
    NOT_STARTED: CONFLICT "not-started", "The session is not started";
    ENCODED_SESSION: CONFLICT "encoded-session", "The session's sound comes encoded";
    RSA_CERTIFICATE: GONE "rsa-certificate", "The viewer's certificate is RSA";
    PRECONDITION_FAILED: PRECONDITION_FAILED "precondition-failed", "Things have changed since";
    BODY_TOO_LARGE: PAYLOAD_TOO_LARGE "body-too-large", "The request's body is too large";
    TARGET_TOO_LONG: URI_TOO_LONG "target-too-long", "The request's target is too long";
    MEDIA_TYPE: UNSUPPORTED_MEDIA_TYPE "media-type", "The body's type is not taken here";
    EXPECTATION: EXPECTATION_FAILED "expectation", "The expectation is not known";
    BAD_VALUE: UNPROCESSABLE_ENTITY "bad-value", "A member of the body cannot be used";
    BAD_SDP: UNPROCESSABLE_ENTITY "bad-sdp", "The offer cannot be used";
    NO_COMMON_CODEC: UNPROCESSABLE_ENTITY "no-common-codec", "The offer has no codec of the session's";
    BAD_AUDIO: UNPROCESSABLE_ENTITY "bad-audio", "The upload is no sound that can be played";
    BAD_CANDIDATE: UNPROCESSABLE_ENTITY "bad-candidate", "The ICE candidate cannot be used";
    UPGRADE_REQUIRED: UPGRADE_REQUIRED "upgrade-required", "Only WebSocket is spoken here";
    PRECONDITION_REQUIRED: PRECONDITION_REQUIRED "precondition-required", "If-Match is missing";
    RATE_LIMITED: TOO_MANY_REQUESTS "rate-limited", "Too many requests of this kind in a short time";
    HEAD_TOO_LARGE: REQUEST_HEADER_FIELDS_TOO_LARGE "head-too-large", "The request's head is too large";
    INTERNAL: INTERNAL_SERVER_ERROR "internal", "The server failed";
    UNKNOWN_METHOD: NOT_IMPLEMENTED "unknown-method", "The method is not known";
    TRANSFER_ENCODING: NOT_IMPLEMENTED "transfer-encoding", "The transfer encoding is not known";
    FULL: SERVICE_UNAVAILABLE "full", "All places are taken";
    BUSY: SERVICE_UNAVAILABLE "busy", "The engine has too much to do";
    NOT_READY: SERVICE_UNAVAILABLE "not-ready", "Visitors cannot be served now";
    REFUSED: SERVICE_UNAVAILABLE "refused", "The application refused the session";
    STOPPED: SERVICE_UNAVAILABLE "stopped", "The engine has stopped";
    HTTP_VERSION: HTTP_VERSION_NOT_SUPPORTED "http-version", "The HTTP version is not spoken here";
}

/// The body of an `application/problem+json` (RFC 9457 §3).
#[derive(Serialize)]
pub(super) struct ProblemBody<'a> {
    /// A relative reference: the page `/problems`, behind the prefix that a proxy takes off, explains each code.
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    /// As `detail`, under the name it has in the WebSocket's `error` messages.
    error: &'a str,
}

impl<'a> ProblemBody<'a> {
    pub(super) fn new(problem: &'a Problem, detail: &'a str, prefix: &str) -> Self {
        Self {
            kind: format!("{prefix}/problems#{}", problem.code),
            title: problem.title,
            status: problem.status.as_u16(),
            detail,
            code: problem.code,
            error: detail,
        }
    }
}

/// The page that explains each code.
pub(super) fn page() -> String {
    use std::fmt::Write as _;
    let mut html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <title>Problems</title>\n<h1>Problems</h1>\n<dl>\n"
        .to_owned();
    for Problem { status, code, title } in ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<dt id=\"{code}\"><code>{code}</code> ({status})\n<dd>{title}.");
    }
    html + "</dl>\n</html>\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_words_and_none_is_there_twice() {
        let codes: BTreeSet<_> = ALL.iter().map(|problem| problem.code).collect();
        assert_eq!(codes.len(), ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!(page().contains(&format!("id=\"{code}\"")), "{code}");
        }
    }
}
