//! Which pages of other servers may use this one (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    HeaderName, ORIGIN, VARY,
};
use http::{Method, Uri};

use super::{Request, Response};

/// Header fields a page may send beside those that need no leave.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match";
/// Header fields a page may read beside those that need no leave.
const RESPONSE_HEADERS: &str =
    "Accept-Patch, Accept-Post, Allow, ETag, Link, Location, Retry-After";
/// Seconds a browser may remember a preflight's answer.
const MAX_AGE: &str = "600";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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
            // Browsers write an origin in lower case and without a slash behind it.
            let uri: Uri = origin.parse().map_err(|_| origin.clone())?;
            let authority = uri.authority().map(|authority| authority.as_str());
            let (Some(scheme), Some(authority)) = (uri.scheme_str(), authority) else {
                return Err(origin.clone());
            };
            if uri.path() != "/" || uri.query().is_some() || authority.contains('@') {
                return Err(origin.clone());
            }
            origins.push(format!("{scheme}://{authority}").to_ascii_lowercase());
        }
        Ok(Self { any: allowed.iter().any(|origin| origin == "*"), origins })
    }

    /// What every answer to this request says about who may read it.
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

    /// Adds to the answer to an OPTIONS request what a preflight wants to know.
    pub(crate) fn preflight(&self, request: &Request, allow: &str, response: Response) -> Response {
        let asks = request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !origin(request).is_some_and(|origin| self.any || self.lists(origin)) {
            return response;
        }
        response
            .header(ACCESS_CONTROL_ALLOW_METHODS, allow.to_owned())
            .header(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
            .header(ACCESS_CONTROL_MAX_AGE, MAX_AGE)
    }

    /// Whether a request changes something on behalf of a page that may not. Not every such request
    /// needs a preflight, so that the browser's own check is not enough. What tells is Sec-Fetch-Site,
    /// which a proxy in between leaves as it is; browsers leave it out on plain HTTP, where Origin
    /// and Host have to agree. Programs that are no browsers send neither.
    pub(crate) fn forbids(&self, request: &Request) -> bool {
        if [Method::GET, Method::HEAD, Method::OPTIONS].contains(&request.method) || self.any {
            return false;
        }
        let origin = origin(request);
        if origin.is_some_and(|origin| self.lists(origin)) {
            return false;
        }
        match request.headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes()) {
            Some(b"same-origin" | b"none") => false,
            Some(_) => true,
            None => origin.is_some_and(|origin| {
                let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
                let place = origin.split_once("://").map(|(_, place)| place);
                !place.zip(host).is_some_and(|(place, host)| place.eq_ignore_ascii_case(host))
            }),
        }
    }

    fn lists(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }
}

fn origin(request: &Request) -> Option<&str> {
    request.headers.get(ORIGIN)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::super::{HttpReader, Step};
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
    fn pages_of_strangers_change_nothing() {
        let none = cors(&[]);
        let forbids = |headers| none.forbids(&request("POST", headers));
        assert!(!forbids(""), "no browser");
        assert!(!forbids("Origin: http://face.example\r\n"));
        assert!(forbids("Origin: http://face.example:8080\r\n"));
        assert!(forbids("Origin: null\r\n"));
        assert!(!forbids("Origin: https://behind.a.proxy\r\nSec-Fetch-Site: same-origin\r\n"));
        assert!(forbids("Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n"));
        assert!(!none.forbids(&request("GET", "Origin: https://evil.example\r\n")));
        let some = cors(&["https://app.example"]);
        let post = |origin| {
            request("POST", &format!("Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\n"))
        };
        assert!(!some.forbids(&post("https://app.example")));
        assert!(some.forbids(&post("https://evil.example")));
    }
}
