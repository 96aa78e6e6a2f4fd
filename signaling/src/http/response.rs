use std::borrow::Cow;
use std::time::SystemTime;

use http::StatusCode;
use http::header::HeaderName;
use serde::Serialize;

use crate::error::{ErrorCode, RequestError};

/// Headers of every response. The policy lets the page use its own scripts and styles (and the one script
/// written into index.html, by its SHA-256), any WebSocket of its host and the microphone, and nothing else.
const COMMON: &str = "\
    Server: visavis\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: same-origin\r\n\
    Permissions-Policy: microphone=(self), camera=(), geolocation=()\r\n\
    Content-Security-Policy: default-src 'self'; \
    script-src 'self' 'sha256-Rzsi3rHmZsHYOCSNKhirNGyTtafdLp8kADpQSeV19zs='; \
    connect-src 'self' ws: wss:; \
    img-src 'self' data:; media-src 'self' blob:; object-src 'none'; base-uri 'self'\r\n";

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    status: StatusCode,
    headers: Vec<(HeaderName, Cow<'static, str>)>,
    body: Cow<'static, [u8]>,
    /// The error that the body describes.
    error: Option<RequestError>,
}

impl Response {
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Cow::Borrowed(b""), error: None }
    }

    /// A JSON body. What cannot be written as JSON becomes a 500.
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status)
                .header(http::header::CONTENT_TYPE, "application/json")
                .header(http::header::CACHE_CONTROL, "no-store")
                .body(body),
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// An error (RFC 9457); `detail` is a sentence about this occurrence.
    pub(crate) fn problem(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        RequestError::new(code, detail).into()
    }

    /// What is wrong.
    pub(super) fn error(&self) -> Option<&RequestError> {
        self.error.as_ref()
    }

    /// As it is seen behind a proxy that takes a prefix off the path: what an error points to is there too.
    #[must_use]
    pub(crate) fn behind(mut self, prefix: &str) -> Self {
        if let Some(error) = self.error().filter(|_| !prefix.is_empty())
            && let Ok(body) = serde_json::to_vec(&ProblemBody::new(error, prefix))
        {
            self.body = body.into();
        }
        self
    }

    /// The same with a page as its body.
    #[must_use]
    pub(super) fn into_html(mut self, page: String) -> Self {
        self.set_content_type("text/html; charset=utf-8");
        self.error = None;
        self.body(page.into_bytes())
    }

    fn set_content_type(&mut self, content_type: &'static str) {
        for (name, value) in &mut self.headers {
            if *name == http::header::CONTENT_TYPE {
                *value = Cow::Borrowed(content_type);
            }
        }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Self {
        self.body = body.into();
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The bytes on the wire. The answer to a HEAD request has the length of a body that is not
    /// sent (RFC 9110 §9.3.2).
    pub(crate) fn to_bytes(&self, head_only: bool, keep_alive: bool) -> Vec<u8> {
        use std::fmt::Write as _;
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16());
        // Writing to a String cannot fail.
        let _ = write!(head, "Date: {}\r\n", httpdate::fmt_http_date(SystemTime::now()));
        head.push_str(COMMON);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let switching = self.status == StatusCode::SWITCHING_PROTOCOLS;
        if !switching {
            // Neither has a body, and a 204 must not have Content-Length (RFC 9110 §8.6).
            if ![StatusCode::NOT_MODIFIED, StatusCode::NO_CONTENT].contains(&self.status) {
                let _ = write!(head, "content-length: {}\r\n", self.body.len());
            }
            let connection = if keep_alive { "keep-alive" } else { "close" };
            let _ = write!(head, "connection: {connection}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// A problem document (RFC 9457).
impl From<RequestError> for Response {
    fn from(error: RequestError) -> Self {
        // Errors of the WebSocket only never become HTTP responses.
        let status = error.code.http_status().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Self::json(status, &ProblemBody::new(&error, ""));
        response.set_content_type("application/problem+json");
        if let Some(seconds) = error.http_retry_after() {
            response = response.header(http::header::RETRY_AFTER, seconds.to_string());
        }
        response.error = Some(error);
        response
    }
}

/// The body of an `application/problem+json` (RFC 9457 §3).
#[derive(Serialize)]
struct ProblemBody<'a> {
    /// A relative reference: the page `/problems`, behind the prefix that a proxy takes off, explains each code.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    /// As `detail`, under the name it has in the WebSocket's `error` messages.
    error: &'a str,
}

impl<'a> ProblemBody<'a> {
    fn new(error: &'a RequestError, prefix: &str) -> Self {
        let code = error.code;
        Self {
            kind: format!("{prefix}/problems#{}", code.code()),
            title: code.title(),
            status: code.http_status().map_or(500, |status| status.as_u16()),
            detail: &error.detail,
            code: code.code(),
            error: &error.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_json_object_with_its_length() {
        let bytes =
            Response::problem(ErrorCode::NotFound, "nothing \"here\"").to_bytes(false, true);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\nDate: "), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(head.ends_with("connection: keep-alive"), "{head}");
        assert!(head.contains("\r\nPermissions-Policy: microphone=(self)"), "{head}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/problems#not-found", "title": "There is nothing at this address",
                "status": 404, "detail": "nothing \"here\"",
                "error": "nothing \"here\"", "code": "not-found",
            })
        );
        assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
    }

    #[test]
    fn what_an_error_points_to_is_behind_the_prefix_too() {
        let type_of = |prefix| {
            let response = Response::problem(ErrorCode::NotFound, "nothing").behind(prefix);
            let json: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            (json["type"].as_str().unwrap().to_owned(), json["detail"].clone())
        };
        assert_eq!(type_of(""), ("/problems#not-found".to_owned(), "nothing".into()));
        assert_eq!(type_of("/avatar"), ("/avatar/problems#not-found".to_owned(), "nothing".into()));
    }

    #[test]
    fn the_answer_to_head_has_the_length_but_no_body() {
        let response = Response::new(StatusCode::OK).body(&b"12345"[..]);
        let text = String::from_utf8(response.to_bytes(true, false)).unwrap();
        assert!(
            text.contains("content-length: 5\r\n") && text.ends_with("close\r\n\r\n"),
            "{text}"
        );
    }
}
