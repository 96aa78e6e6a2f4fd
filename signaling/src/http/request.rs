use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::Response;
use crate::Limits;

/// Header fields of one request; browsers send about twenty.
const MAX_HEADERS: usize = 64;

/// One request's head. Its body, if it has one, has been read past: no route takes one.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    /// HTTP/1.1; an upgrade needs it.
    pub(crate) is_1_1: bool,
    /// Whether the connection may serve another request after this one.
    pub(crate) keep_alive: bool,
    body_bytes: usize,
}

impl Request {
    /// The value of a query parameter, as it stands there.
    pub(crate) fn query_value(&self, name: &str) -> Option<&str> {
        let pairs = self.query.as_deref()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|&(key, _)| key == name).map(|(_, v)| v)
    }

    /// Whether a comma-separated header holds a token, in any case.
    pub(crate) fn has_token(&self, name: HeaderName, token: &str) -> bool {
        has_token(&self.headers, name, token)
    }
}

/// Why a request gets no further than its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) error: &'static str,
}

impl Rejection {
    const fn new(status: StatusCode, code: &'static str, error: &'static str) -> Self {
        Self { status, code, error }
    }

    /// The answer to it.
    pub(crate) fn response(self) -> Response {
        Response::error(self.status, self.code, self.error)
    }
}

/// What [`HttpReader::next`] found.
#[derive(Debug)]
pub(crate) enum Step {
    /// More bytes are needed.
    More,
    /// A whole request.
    Request(Box<Request>),
    /// Something that cannot be answered but with an error, after which the stream is out of step.
    Reject(Rejection),
}

/// Cuts a byte stream into requests, one at a time; what follows a request (pipelining, or the
/// first WebSocket frames) stays in the buffer.
#[derive(Debug, Default)]
pub(crate) struct HttpReader {
    buffer: Vec<u8>,
    /// How much of the buffer was looked at without finding a line's end.
    scanned: usize,
    /// A request whose body is still arriving.
    pending: Option<Box<Request>>,
}

impl HttpReader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether part of a request has arrived.
    pub(crate) fn is_mid_request(&self) -> bool {
        !self.buffer.is_empty() || self.pending.is_some()
    }

    /// What arrived behind the last request.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    pub(crate) fn next(&mut self, limits: &Limits) -> Step {
        let mut request = match self.pending.take() {
            Some(request) => request,
            None => match self.head(limits) {
                Ok(Some(request)) => Box::new(request),
                Ok(None) => return Step::More,
                Err(rejection) => return Step::Reject(rejection),
            },
        };
        let past = request.body_bytes.min(self.buffer.len());
        self.buffer.drain(..past);
        request.body_bytes -= past;
        if request.body_bytes > 0 {
            self.pending = Some(request);
            return Step::More;
        }
        Step::Request(request)
    }

    fn head(&mut self, limits: &Limits) -> Result<Option<Request>, Rejection> {
        // Empty lines before a request are to be skipped (RFC 9112 §2.2).
        let blank = self.buffer.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
        self.buffer.drain(..blank);
        self.scanned = self.scanned.saturating_sub(blank);
        if self.buffer.is_empty() {
            return Ok(None);
        }
        // A head is parsed only when a line has ended (and once at its very start, to turn garbage
        // away early): parsing it anew for each byte would let a slow sender buy much work.
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

fn reject_syntax(error: httparse::Error) -> Rejection {
    match error {
        httparse::Error::TooManyHeaders => TOO_MANY_HEADERS,
        httparse::Error::Version => Rejection::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http-version",
            "only HTTP/1.0 and HTTP/1.1 are spoken here",
        ),
        _ => BAD_REQUEST,
    }
}

const BAD_REQUEST: Rejection =
    Rejection::new(StatusCode::BAD_REQUEST, "bad-request", "this is no HTTP request");
const TOO_MANY_HEADERS: Rejection = Rejection::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head-too-large",
    "the request's head is too large",
);
const TARGET_TOO_LONG: Rejection =
    Rejection::new(StatusCode::URI_TOO_LONG, "target-too-long", "the request's target is too long");

/// Says which part of an oversized head is to blame.
fn too_large(head: &[u8], limits: &Limits) -> Rejection {
    if target_bytes(head) > limits.target_bytes { TARGET_TOO_LONG } else { TOO_MANY_HEADERS }
}

/// The length of the request target, as far as it has arrived.
fn target_bytes(head: &[u8]) -> usize {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    line.split(|&b| b == b' ').nth(1).map_or(0, <[u8]>::len)
}

/// Makes a request of a syntactically sound head, or says what rule it breaks.
fn check(head: &httparse::Request<'_, '_>, limits: &Limits) -> Result<Request, Rejection> {
    let target = head.path.unwrap_or_default();
    if target.len() > limits.target_bytes {
        return Err(TARGET_TOO_LONG);
    }
    let is_1_1 = head.version == Some(1);
    let method =
        Method::from_bytes(head.method.unwrap_or_default().as_bytes()).map_err(|_| BAD_REQUEST)?;
    let uri: Uri = target.parse().map_err(|_| BAD_REQUEST)?;
    let path = uri.path();
    let path = if path.is_empty() { "/" } else { path };
    // Origin form or absolute form (RFC 9112 §3.2); a bare host is for proxies.
    if !path.starts_with('/') || (uri.scheme().is_none() && !target.starts_with('/')) {
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

    let body_bytes = body_bytes(&headers)?;
    if body_bytes > limits.body_bytes {
        return Err(Rejection::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "the request's body is too large",
        ));
    }
    // A client that waits for `100 Continue` may or may not send its body after another answer:
    // where the next request starts cannot be known.
    let waits = headers.contains_key(EXPECT);
    let keep_alive = !waits
        && if is_1_1 {
            !has_token(&headers, CONNECTION, "close")
        } else {
            has_token(&headers, CONNECTION, "keep-alive")
        };
    Ok(Request {
        method,
        path: path.to_owned(),
        query: uri.query().map(str::to_owned),
        headers,
        is_1_1,
        keep_alive,
        body_bytes: if waits { 0 } else { body_bytes },
    })
}

/// The body's length (RFC 9112 §6.3). Two answers to that question are how requests are smuggled,
/// so anything ambiguous is refused.
fn body_bytes(headers: &HeaderMap) -> Result<usize, Rejection> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(match first {
            Some(_) => BAD_REQUEST,
            None => Rejection::new(
                StatusCode::NOT_IMPLEMENTED,
                "transfer-encoding",
                "send a Content-Length instead of a Transfer-Encoding",
            ),
        });
    }
    let Some(first) = first else { return Ok(0) };
    let text = first.to_str().unwrap_or_default();
    if lengths.next().is_some() || text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BAD_REQUEST);
    }
    // What does not fit is certainly over the limit.
    Ok(text.parse().unwrap_or(usize::MAX))
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Step {
        let mut reader = HttpReader::default();
        reader.push(bytes);
        reader.next(&Limits::default())
    }

    fn status(bytes: &[u8]) -> StatusCode {
        match read(bytes) {
            Step::Reject(rejection) => rejection.status,
            other => panic!("{other:?}"),
        }
    }

    fn request(step: Step) -> Request {
        match step {
            Step::Request(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pipelined_requests_come_out_one_by_one() {
        let mut reader = HttpReader::default();
        let limits = Limits::default();
        reader.push(
            b"\r\nGET /a?session=x&y=1 HTTP/1.1\r\nHost: h\r\n\r\n\
              POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /c HTTP/1.0\r\n\r\nrest",
        );
        let first = request(reader.next(&limits));
        assert_eq!((first.path.as_str(), first.query_value("session")), ("/a", Some("x")));
        assert!(first.keep_alive);
        let second = request(reader.next(&limits));
        assert_eq!((second.path.as_str(), second.method), ("/b", Method::POST));
        let third = request(reader.next(&limits));
        assert_eq!((third.path.as_str(), third.keep_alive), ("/c", false));
        assert_eq!(reader.into_rest(), b"rest");
    }

    #[test]
    fn a_request_may_arrive_byte_by_byte() {
        let mut reader = HttpReader::default();
        let text = b"PUT http://host:1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
        for (i, byte) in text.iter().enumerate() {
            assert!(matches!(reader.next(&Limits::default()), Step::More), "before byte {i}");
            reader.push(&[*byte]);
        }
        assert_eq!(request(reader.next(&Limits::default())).path, "/x");
    }

    #[test]
    fn what_is_no_request_is_refused_at_once() {
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00"), StatusCode::BAD_REQUEST);
        assert_eq!(status(b"GET / HTTP/2.0\r\n\r\n"), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), StatusCode::BAD_REQUEST, "no host");
        assert_eq!(status(b"GET x HTTP/1.1\r\nHost: h\r\n\r\n"), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn ambiguous_and_large_bodies_are_refused() {
        let post = |headers: &str| {
            status(format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n").as_bytes())
        };
        assert_eq!(post("Content-Length: 1\r\nContent-Length: 1"), StatusCode::BAD_REQUEST);
        assert_eq!(post("Content-Length: +1"), StatusCode::BAD_REQUEST);
        assert_eq!(
            post("Content-Length: 1\r\nTransfer-Encoding: chunked"),
            StatusCode::BAD_REQUEST
        );
        assert_eq!(post("Transfer-Encoding: chunked"), StatusCode::NOT_IMPLEMENTED);
        assert_eq!(post("Content-Length: 65537"), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(post("Content-Length: 99999999999999999999999"), StatusCode::PAYLOAD_TOO_LARGE);
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
