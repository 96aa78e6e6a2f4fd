use std::borrow::Cow;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::body::{Chunk, Framing};
use super::target;
use crate::config::Limits;
use crate::error::{ErrorCode, RequestError};

/// Header fields of one request; browsers send about twenty.
const MAX_HEADERS: usize = 64;

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The authority, if the target has one.
    pub(crate) authority: Option<String>,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    /// HTTP/1.1; an upgrade needs it.
    pub(crate) is_1_1: bool,
    /// Whether the connection may serve another request after this one.
    pub(crate) keep_alive: bool,
    /// The client sends its body after a `100 Continue` only (RFC 9110 §10.1.1).
    pub(crate) expects_continue: bool,
    /// How its body is framed.
    pub(crate) framing: Framing,
    /// Its content, once that has been read. Empty where it is passed on in pieces.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a query parameter, decoded.
    pub(crate) fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        target::query_value(self.query.as_deref()?, name)
    }

    /// Whether a comma-separated header holds a token, in any case.
    pub(crate) fn has_token(&self, name: HeaderName, token: &str) -> bool {
        has_token(&self.headers, name, token)
    }
}

/// What [`HttpReader::next`] found.
#[derive(Debug)]
pub(crate) enum Step {
    /// More bytes are needed.
    More,
    /// A request's head. Its body is read with [`HttpReader::body`].
    Head(Box<Request>),
    /// Something that cannot be answered but with an error, after which the stream is out of step.
    Reject(RequestError),
}

/// Cuts a byte stream into requests, one at a time; what follows a request (pipelining, or the
/// first WebSocket frames) stays in the buffer.
#[derive(Debug, Default)]
pub(crate) struct HttpReader {
    buffer: Vec<u8>,
    /// How much of the buffer was searched without finding the end of a line.
    scanned: usize,
    /// What is left of a request's body.
    framing: Framing,
}

impl HttpReader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether part of a request has arrived.
    pub(crate) fn is_mid_request(&self) -> bool {
        !self.buffer.is_empty() || self.framing != Framing::Done
    }

    /// Whether anything has arrived that was not read yet.
    pub(crate) fn has_bytes(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// What arrived behind the last request.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    /// The next request's head. The body of the one before has to be read to its end first.
    pub(crate) fn next(&mut self, limits: &Limits) -> Step {
        match self.head(limits) {
            Ok(Some(request)) => {
                self.framing = request.framing;
                Step::Head(Box::new(request))
            }
            Ok(None) => Step::More,
            Err(error) => Step::Reject(error),
        }
    }

    /// Appends what has arrived of the body to `out`, until that has `most` bytes; true at the
    /// body's end.
    pub(crate) fn body(&mut self, out: &mut Vec<u8>, most: usize) -> Result<bool, RequestError> {
        let used = self.framing.decode(&self.buffer, out, most)?;
        self.buffer.drain(..used);
        Ok(self.framing == Framing::Done)
    }

    fn head(&mut self, limits: &Limits) -> Result<Option<Request>, RequestError> {
        // Empty lines before a request are skipped (RFC 9112 §2.2).
        let blank = self.buffer.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
        self.buffer.drain(..blank);
        self.scanned = self.scanned.saturating_sub(blank);
        if self.buffer.is_empty() {
            return Ok(None);
        }
        // A head is parsed only when a line has ended (and once at its very start, to refuse garbage early): parsing it
        // again for each byte would let a slow sender cause much work.
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let worth_it = self.scanned == 0 || unseen.contains(&b'\n');
        self.scanned = self.buffer.len();
        if worth_it {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Request::new(&mut headers);
            match head.parse(&self.buffer).map_err(reject_syntax)? {
                httparse::Status::Complete(length) if length > limits.head_bytes => {
                    return Err(too_large(&self.buffer, limits));
                }
                httparse::Status::Complete(length) => {
                    let request = check(&head, limits)?;
                    self.buffer.drain(..length);
                    self.scanned = 0;
                    return Ok(Some(request));
                }
                httparse::Status::Partial => {}
            }
        }
        if self.buffer.len() > limits.head_bytes || target_bytes(&self.buffer) > limits.target_bytes
        {
            return Err(too_large(&self.buffer, limits));
        }
        Ok(None)
    }
}

fn reject_syntax(error: httparse::Error) -> RequestError {
    match error {
        httparse::Error::TooManyHeaders => TOO_MANY_HEADERS,
        httparse::Error::Version => RequestError::fixed(
            ErrorCode::HttpVersion,
            "unsupported HTTP version; expected 1.0 or 1.1",
        ),
        _ => BAD_REQUEST,
    }
}

const BAD_REQUEST: RequestError =
    RequestError::fixed(ErrorCode::BadRequest, "invalid HTTP request");
const TOO_MANY_HEADERS: RequestError =
    RequestError::fixed(ErrorCode::HeadTooLarge, "the request head is too large");
const TARGET_TOO_LONG: RequestError =
    RequestError::fixed(ErrorCode::TargetTooLong, "the request target is too long");

/// Says which part of an oversized head is to blame.
fn too_large(head: &[u8], limits: &Limits) -> RequestError {
    if target_bytes(head) > limits.target_bytes { TARGET_TOO_LONG } else { TOO_MANY_HEADERS }
}

/// The length of the request target, as far as it has arrived.
fn target_bytes(head: &[u8]) -> usize {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    line.split(|&b| b == b' ').nth(1).map_or(0, <[u8]>::len)
}

/// Makes a request of a syntactically valid head. The error is the rule that it breaks.
fn check(head: &httparse::Request<'_, '_>, limits: &Limits) -> Result<Request, RequestError> {
    let target = head.path.unwrap_or_default();
    if target.len() > limits.target_bytes {
        return Err(TARGET_TOO_LONG);
    }
    let is_1_1 = head.version == Some(1);
    let method =
        Method::from_bytes(head.method.unwrap_or_default().as_bytes()).map_err(|_| BAD_REQUEST)?;
    let uri: Uri = target.parse().map_err(|_| BAD_REQUEST)?;
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    // The whole server (RFC 9112 §3.2.4), origin form or absolute form; a bare host is for proxies.
    let of_all = target == target::ALL && method == Method::OPTIONS;
    let has_form = path.starts_with('/') && (uri.scheme().is_some() || target.starts_with('/'));
    if !of_all && !has_form {
        return Err(BAD_REQUEST);
    }

    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BAD_REQUEST)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| BAD_REQUEST)?;
        headers.append(name, value);
    }
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (is_1_1 && hosts == 0) {
        return Err(BAD_REQUEST);
    }

    let framing = framing(&headers, is_1_1)?;
    let expects_continue = expects_continue(&headers, is_1_1)?;
    let keep_alive = if is_1_1 {
        !has_token(&headers, CONNECTION, "close")
    } else {
        has_token(&headers, CONNECTION, "keep-alive")
    };
    Ok(Request {
        method,
        authority: uri.authority().map(|authority| authority.as_str().to_owned()),
        path: target::path(path),
        query: uri.query().map(str::to_owned),
        headers,
        is_1_1,
        keep_alive,
        expects_continue: expects_continue && framing != Framing::Done,
        framing,
        body: Vec::new(),
    })
}

/// Whether the client waits before it sends its body. HTTP/1.0 has no such thing.
fn expects_continue(headers: &HeaderMap, is_1_1: bool) -> Result<bool, RequestError> {
    match headers.get(EXPECT) {
        Some(value) if is_1_1 => {
            if value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
                return Ok(true);
            }
            Err(RequestError::fixed(
                ErrorCode::Expectation,
                "unsupported expectation; expected 100-continue",
            ))
        }
        _ => Ok(false),
    }
}

/// How the body ends (RFC 9112 §6.3). Two answers to that question are how requests are smuggled,
/// so anything ambiguous is refused.
fn framing(headers: &HeaderMap, is_1_1: bool) -> Result<Framing, RequestError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if first.is_some() || !is_1_1 {
            return Err(BAD_REQUEST);
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            let detail = "unsupported transfer encoding; expected chunked";
            return Err(RequestError::fixed(ErrorCode::TransferEncoding, detail));
        }
        return Ok(Framing::Chunked(Chunk::Size));
    }
    let Some(first) = first else { return Ok(Framing::Done) };
    let text = first.to_str().unwrap_or_default();
    if lengths.next().is_some() || text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BAD_REQUEST);
    }
    // What does not fit is over every limit there is.
    Ok(match text.parse().unwrap_or(u64::MAX) {
        0 => Framing::Done,
        length => Framing::Length(length),
    })
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn read(bytes: &[u8]) -> Step {
        let mut reader = HttpReader::default();
        reader.push(bytes);
        reader.next(&Limits::default())
    }

    fn status(bytes: &[u8]) -> StatusCode {
        match read(bytes) {
            Step::Reject(error) => error.code.http_status().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The next request with its body, if all of it has arrived.
    fn next(reader: &mut HttpReader) -> Option<Request> {
        match reader.next(&Limits::default()) {
            Step::Head(mut request) => {
                let complete = reader.body(&mut request.body, usize::MAX).unwrap();
                complete.then_some(*request)
            }
            Step::More => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pipelined_requests_come_out_one_by_one() {
        let mut reader = HttpReader::default();
        reader.push(
            b"\r\nGET /a?session=x&y=1 HTTP/1.1\r\nHost: h\r\n\r\n\
              POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
              PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
              GET /d HTTP/1.0\r\n\r\nrest",
        );
        let mut next = || next(&mut reader).unwrap();
        let first = next();
        assert_eq!(
            (first.path.as_str(), first.query_value("session").as_deref()),
            ("/a", Some("x"))
        );
        assert!(first.keep_alive);
        let second = next();
        assert_eq!((second.path.as_str(), second.method), ("/b", Method::POST));
        assert_eq!(second.body, b"hello");
        let third = next();
        assert_eq!((third.path.as_str(), third.body.as_slice()), ("/c", &b"hi"[..]));
        let fourth = next();
        assert_eq!((fourth.path.as_str(), fourth.keep_alive), ("/d", false));
        assert_eq!(reader.into_rest(), b"rest");
    }

    #[test]
    fn a_request_may_arrive_byte_by_byte() {
        let mut reader = HttpReader::default();
        let (head, body) =
            (b"PUT http://host:1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", b"abc");
        for (i, byte) in head.iter().enumerate() {
            assert!(matches!(reader.next(&Limits::default()), Step::More), "before byte {i}");
            reader.push(&[*byte]);
        }
        let Step::Head(request) = reader.next(&Limits::default()) else { panic!("no head") };
        assert_eq!(request.path, "/x");
        let mut content = Vec::new();
        for byte in body {
            assert!(!reader.body(&mut content, usize::MAX).unwrap());
            assert!(reader.is_mid_request());
            reader.push(&[*byte]);
        }
        assert!(reader.body(&mut content, usize::MAX).unwrap());
        assert_eq!(content, body);
        assert!(!reader.is_mid_request());
    }

    #[test]
    fn what_is_no_request_is_refused_at_once() {
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00"), StatusCode::BAD_REQUEST);
        assert_eq!(status(b"GET / HTTP/2.0\r\n\r\n"), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), StatusCode::BAD_REQUEST, "no host");
        assert_eq!(status(b"GET x HTTP/1.1\r\nHost: h\r\n\r\n"), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn ambiguous_bodies_are_refused() {
        let post = |version: &str, headers: &str| {
            status(format!("POST / HTTP/{version}\r\nHost: h\r\n{headers}\r\n\r\n").as_bytes())
        };
        let both = "Content-Length: 1\r\nTransfer-Encoding: chunked";
        assert_eq!(post("1.1", both), StatusCode::BAD_REQUEST);
        let twice = "Content-Length: 1\r\nContent-Length: 1";
        assert_eq!(post("1.1", twice), StatusCode::BAD_REQUEST);
        assert_eq!(post("1.1", "Content-Length: +1"), StatusCode::BAD_REQUEST);
        assert_eq!(post("1.0", "Transfer-Encoding: chunked"), StatusCode::BAD_REQUEST);
        let gzip = "Transfer-Encoding: gzip, chunked";
        assert_eq!(post("1.1", gzip), StatusCode::NOT_IMPLEMENTED);
        assert_eq!(post("1.1", "Expect: miracles"), StatusCode::EXPECTATION_FAILED);
    }

    #[test]
    fn only_a_body_can_be_waited_for() {
        let expects = |version: &str, headers: &str| {
            let text = format!(
                "POST / HTTP/{version}\r\nHost: h\r\nExpect: 100-Continue\r\n{headers}\r\n"
            );
            match read(text.as_bytes()) {
                Step::Head(request) => request.expects_continue,
                other => panic!("{other:?}"),
            }
        };
        assert!(expects("1.1", "Content-Length: 1\r\n"));
        assert!(!expects("1.1", ""));
        assert!(!expects("1.0", "Content-Length: 1\r\n"));
    }

    #[test]
    fn oversized_heads_name_the_guilty_part() {
        let long = "x".repeat(17_000);
        assert_eq!(status(format!("GET /{long}").as_bytes()), StatusCode::URI_TOO_LONG);
        let large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: {long}").as_bytes()), large);
        let many = "a: b\r\n".repeat(65);
        assert_eq!(status(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()), large);
        assert!(matches!(read(b"GET / HTTP/1.1\r\nHost:"), Step::More));
    }
}
