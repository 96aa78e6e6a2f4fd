//! Which pages of other servers may use this one (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use http::Uri;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};

use super::request::Request;
use super::response::Response;

/// The allowed header fields where a preflight requests none, or one with an invalid name.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match";
/// The longest list of header fields that a preflight may request.
const MAX_ASKED_BYTES: usize = 1 << 10;
/// Header fields that pages may read, besides the CORS-safelisted ones.
const RESPONSE_HEADERS: &str =
    "Accept-Patch, Accept-Post, Allow, ETag, Link, Location, Retry-After";
/// Seconds a browser may remember a preflight's answer.
const MAX_AGE: &str = "600";

/// The origins whose pages may use the server.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    any: bool,
    origins: Vec<String>,
}

impl Cors {
    /// Checks the settings; the error is the one that is no origin.
    pub(crate) fn new(allowed: &[String]) -> Result<Self, String> {
        let mut origins = Vec::new();
        for origin in allowed.iter().filter(|origin| *origin != "*") {
            // Browsers write an origin in lower case, without a trailing slash and without the scheme's default port.
            let uri: Uri = origin.parse().map_err(|_| origin.clone())?;
            let authority = uri.authority().map(|authority| authority.as_str());
            let (Some(scheme), Some(authority)) = (uri.scheme_str(), authority) else {
                return Err(origin.clone());
            };
            if uri.path() != "/" || uri.query().is_some() || authority.contains('@') {
                return Err(origin.clone());
            }
            let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
            let authority = authority.strip_suffix(usual).unwrap_or(authority);
            origins.push(format!("{scheme}://{authority}").to_ascii_lowercase());
        }
        Ok(Self { any: allowed.iter().any(|origin| origin == "*"), origins })
    }

    /// The CORS header fields of every answer to this request.
    pub(crate) fn headers(&self, request: &Request) -> Vec<(HeaderName, String)> {
        if self.any {
            let allow = (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned());
            return vec![allow, (ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS.to_owned())];
        }
        if self.origins.is_empty() {
            return Vec::new();
        }
        // A cache may not give one origin's answer to another.
        let mut headers = vec![(VARY, "Origin".to_owned())];
        if let Some(origin) = origin(request).filter(|origin| self.lists(origin)) {
            headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin.to_owned()));
            headers.push((ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS.to_owned()));
        }
        headers
    }

    /// Adds the header fields for a preflight to the answer to an OPTIONS request.
    pub(crate) fn preflight(&self, request: &Request, allow: &str, response: Response) -> Response {
        let asks = request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !origin(request).is_some_and(|origin| self.any || self.lists(origin)) {
            return response;
        }
        response
            .header(ACCESS_CONTROL_ALLOW_METHODS, allow.to_owned())
            .header(ACCESS_CONTROL_ALLOW_HEADERS, asked_headers(request))
            .header(ACCESS_CONTROL_MAX_AGE, MAX_AGE)
    }

    /// Whether pages of all origins may do everything.
    pub(crate) fn allows_all(&self) -> bool {
        self.any
    }

    pub(crate) fn lists(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }
}

/// The header fields that a page requests. All are allowed, as none of them gives a page with access more power, and
/// tracing tools add fields of their own to each request.
fn asked_headers(request: &Request) -> String {
    let asked = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_name = |name: &str| HeaderName::from_bytes(name.trim().as_bytes()).is_ok();
    match asked.len() <= MAX_ASKED_BYTES && asked.split(',').all(is_name) {
        true => asked.to_owned(),
        false => REQUEST_HEADERS.to_owned(),
    }
}

fn origin(request: &Request) -> Option<&str> {
    request.headers.get(ORIGIN)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::super::request::{HttpReader, Step};
    use super::*;

    fn request(method: &str, headers: &str) -> Request {
        let mut reader = HttpReader::default();
        reader
            .push(format!("{method} / HTTP/1.1\r\nHost: face.example\r\n{headers}\r\n").as_bytes());
        match reader.next(&crate::Limits::default()) {
            Step::Head(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn cors(allowed: &[&str]) -> Cors {
        let allowed: Vec<_> = allowed.iter().map(|text| (*text).to_owned()).collect();
        Cors::new(&allowed).unwrap()
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in ["example.org", "https://a/b", "https://a?b", "https://u@a", "", "null"] {
            assert!(Cors::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
        assert_eq!(cors(&["https://A.example:8443/"]).origins, ["https://a.example:8443"]);
        let usual =
            cors(&["https://a.example:443", "http://a.example:80", "http://a.example:8080"]);
        assert_eq!(
            usual.origins,
            ["https://a.example", "http://a.example", "http://a.example:8080"]
        );
    }

    #[test]
    fn only_allowed_origins_are_told_so() {
        let mine = request("GET", "Origin: https://app.example\r\n");
        let other = request("GET", "Origin: https://app.example.evil\r\n");
        let allows = |cors: &Cors, request| {
            let headers = cors.headers(request);
            headers.into_iter().find(|(name, _)| name == ACCESS_CONTROL_ALLOW_ORIGIN).map(|h| h.1)
        };
        let some = cors(&["https://app.example"]);
        assert_eq!(allows(&some, &mine).as_deref(), Some("https://app.example"));
        assert_eq!(allows(&some, &other), None);
        assert!(some.headers(&other).iter().any(|(name, _)| name == VARY));
        assert_eq!(allows(&cors(&["*"]), &other).as_deref(), Some("*"));
        assert!(cors(&[]).headers(&mine).is_empty());
    }

    #[test]
    fn a_preflight_allows_the_headers_that_are_asked_for() {
        let ask = |allowed: &[&str], headers: &str| {
            let asked = format!(
                "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: {headers}\r\n"
            );
            let response = Response::new(http::StatusCode::NO_CONTENT);
            let response =
                cors(allowed).preflight(&request("OPTIONS", &asked), "POST, OPTIONS", response);
            let text = String::from_utf8(response.to_bytes(false, true)).unwrap();
            let field = "access-control-allow-headers: ";
            text.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned)
        };
        let tracing = "baggage,content-type,sentry-trace,traceparent";
        for allowed in ["*", "https://app.example"] {
            assert_eq!(ask(&[allowed], tracing).as_deref(), Some(tracing), "{allowed}");
        }
        assert_eq!(ask(&["https://other.example"], tracing), None);
        for odd in ["", "a b", "a,,b", &"x,".repeat(1_000)] {
            assert_eq!(ask(&["*"], odd).as_deref(), Some(REQUEST_HEADERS), "{odd}");
        }
    }
}
