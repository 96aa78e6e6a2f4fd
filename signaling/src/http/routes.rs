use http::header::{ALLOW, CONTENT_TYPE, HeaderName, LOCATION};
use http::{Method, StatusCode};
use matchit::Router;
use serde::de::{DeserializeOwned, IgnoredAny};
use visavis::{Refusal, Refusals, SessionId};

use super::cors::Cors;
use super::static_files::StaticFiles;
use super::{Request, Response, UploadReader, Visit, metrics, pages, peers, sessions, target};
use crate::access::{Access, Via};
use crate::connection::Context;
use crate::error::ErrorCode;
use crate::mailbox::{Answerer, Ticket};
use crate::{SignalingConfig, SignalingError, speech, whep};

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer.
    Response(Response),
    /// A WebSocket, after this 101.
    Upgrade(Response, Visit),
    /// Somebody has the request's [`Answerer`].
    Later,
}

impl From<Result<Response, Response>> for Reply {
    fn from(result: Result<Response, Response>) -> Self {
        let (Ok(response) | Err(response)) = result;
        Self::Response(response)
    }
}

/// What serves a method of a route. It runs on the loop's thread and never waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    /// Called when the whole body is there, of [`Limits::body_bytes`](crate::Limits) at most.
    Whole(fn(&Call<'_>, &mut Context) -> Reply),
    /// Called when the head is there. The body, however long, comes out of the reader, which belongs
    /// on another thread: reading waits. Answer at the body's end, or before, to refuse the rest.
    Upload(fn(&Call<'_>, UploadReader, &mut Context) -> Reply),
}

/// A request on its way through its handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) params: &'a Params,
    pub(crate) via: &'a Via,
    pub(crate) ticket: Ticket,
}

/// What stands in the path where the route has a name in braces.
pub(crate) type Params = Vec<(String, String)>;

impl Call<'_> {
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The session that the path names as `{id}`, whether or not there is one.
    pub(crate) fn session(&self) -> Result<SessionId, Response> {
        session_id(self.param("id"))
    }

    /// Where something of this server is, as the client sees it: behind the prefix that a proxy took off.
    pub(crate) fn public_path(&self, path: &str) -> String {
        format!("{}{path}", self.via.prefix)
    }

    /// The right to answer later; return [`Reply::Later`] with it.
    pub(crate) fn answerer(&self, context: &Context) -> Answerer {
        Answerer::new(context.mailbox.clone(), self.ticket)
    }

    /// Whether the body is said to be of this type.
    pub(crate) fn is_of_type(&self, media_type: &str) -> bool {
        let value = self.request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.and_then(|value| value.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
    }

    /// The body as a JSON object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Response> {
        use serde_json::error::Category;
        if !self.is_of_type("application/json") {
            let detail = "send application/json";
            return Err(Response::problem(ErrorCode::MediaType, detail));
        }
        let body = &self.request.body;
        // Serde would take a list for an object with its members in order.
        if body.trim_ascii_start().starts_with(b"[") {
            let code = match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => ErrorCode::BadValue,
                Err(_) => ErrorCode::BadJson,
            };
            return Err(Response::problem(code, "send a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| {
            let code = match error.classify() {
                Category::Data => ErrorCode::BadValue,
                _ => ErrorCode::BadJson,
            };
            Response::problem(code, error.to_string())
        })
    }
}

/// Reads a session's id.
pub(super) fn session_id(text: &str) -> Result<SessionId, Response> {
    SessionId::new(text).map_err(|e| Response::problem(ErrorCode::BadSession, e.to_string()))
}

/// The answer where there is no such session.
pub(super) fn no_session(session: &SessionId) -> Response {
    Response::problem(ErrorCode::NoSession, format!("there is no session {session}"))
}

pub(super) fn not_found() -> Response {
    Response::problem(ErrorCode::NotFound, "there is nothing at this address")
}

/// An address and what can be done there. What serves GET serves HEAD too, and OPTIONS is answered
/// everywhere.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) path: &'static str,
    pub(crate) methods: Vec<(Method, Handler)>,
    /// The media types of bodies it takes, as OPTIONS tells them (`Accept-Post`).
    pub(crate) accept_post: Option<&'static str>,
}

impl Endpoint {
    fn new(path: &'static str, methods: impl Into<Vec<(Method, Handler)>>) -> Self {
        Self { path, methods: methods.into(), accept_post: None }
    }

    /// Names the media types of bodies that POST takes.
    fn takes(self, types: &'static str) -> Self {
        Self { accept_post: Some(types), ..self }
    }

    fn handler(&self, method: &Method) -> Option<Handler> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.iter().find(|(own, _)| own == method).map(|&(_, handler)| handler)
    }

    /// Whether it is served beyond the places that visitors take: who keeps the server running must be able to ask
    /// how it is, and to end sessions, when it is overrun.
    fn is_vital(&self) -> bool {
        let machines = ["/healthz", "/readyz", "/metrics", "/status"];
        machines.contains(&self.path) || self.path.starts_with("/webrtc/sessions")
    }

    /// Whether it tells nothing, and to whatever name it is addressed: load balancers and orchestrators ask under
    /// names of their own.
    fn is_harmless(&self) -> bool {
        ["/healthz", "/readyz"].contains(&self.path)
    }

    /// The methods, as `Allow` has them.
    fn allow(&self) -> String {
        let mut names = Vec::new();
        for (method, _) in &self.methods {
            names.push(method.as_str());
            if method == Method::GET {
                names.push("HEAD");
            }
        }
        names.push("OPTIONS");
        names.join(", ")
    }
}

/// Every route there is.
pub(crate) fn table() -> Vec<Endpoint> {
    use Handler::Whole;
    let get = |handler| [(Method::GET, Whole(handler))];
    let post = |handler| [(Method::POST, Whole(handler))];
    vec![
        Endpoint::new("/", get(pages::page)),
        Endpoint::new("/ws", get(pages::websocket)),
        Endpoint::new("/status", get(pages::status)),
        Endpoint::new("/healthz", get(pages::health)),
        Endpoint::new("/readyz", get(pages::ready)),
        Endpoint::new("/metrics", get(metrics::metrics)),
        Endpoint::new("/openapi.json", get(pages::openapi)),
        Endpoint::new("/problems", get(pages::problems)),
        Endpoint::new("/webrtc/sessions", get(sessions::list)),
        Endpoint::new("/webrtc/sessions/create", post(sessions::create)).takes(JSON),
        Endpoint::new(
            "/webrtc/sessions/{id}",
            [(Method::GET, Whole(sessions::inspect)), (Method::DELETE, Whole(sessions::delete))],
        ),
        Endpoint::new("/webrtc/sessions/{id}/offer", post(peers::offer)).takes(JSON),
        Endpoint::new("/webrtc/sessions/{id}/ice", post(peers::ice)).takes(JSON),
        Endpoint::new("/webrtc/player/{id}", get(sessions::player)),
        Endpoint::new(
            "/webrtc/sessions/{id}/stream",
            [(Method::POST, Handler::Upload(speech::stream))],
        )
        .takes(speech::ACCEPTS),
        Endpoint::new(
            "/whep/{id}",
            [(Method::GET, Whole(whep::nothing)), (Method::POST, Whole(whep::watch))],
        )
        .takes(whep::ACCEPTS),
        Endpoint::new(
            "/whep/{id}/{resource}",
            [
                (Method::GET, Whole(whep::nothing)),
                (Method::PATCH, Whole(whep::patch)),
                (Method::DELETE, Whole(whep::leave)),
            ],
        ),
        Endpoint::new(FILES, get(pages::file)),
    ]
}

const JSON: &str = "application/json";

/// What stands in front of a session's id in the address of its page.
pub(super) const PLAYER: &str = "/webrtc/player/";

/// The methods that something here knows, as an `OPTIONS` about the whole server is told.
const ALL_METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";

/// Where every path leads that leads nowhere else.
const FILES: &str = "/{*file}";

/// The routes, and what lies behind them.
#[derive(Debug)]
pub(crate) struct Routes {
    /// Places in `endpoints`.
    router: Router<usize>,
    endpoints: Vec<Endpoint>,
    access: Access,
    cors: Cors,
    pub(crate) files: StaticFiles,
    pub(super) default_session: SessionId,
}

/// What is to be done with a request, as far as its head tells.
#[derive(Debug)]
pub(crate) enum Plan {
    Call(Target),
    /// The answer is clear already.
    Answer(Box<Response>),
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) handler: Handler,
    pub(crate) params: Params,
}

impl Routes {
    /// Checks the settings; `port` is where the server listens.
    pub(crate) fn new(config: &SignalingConfig, port: u16) -> Result<Self, SignalingError> {
        let (mut router, endpoints) = (Router::new(), table());
        for (index, endpoint) in endpoints.iter().enumerate() {
            router
                .insert(endpoint.path, index)
                .map_err(|e| SignalingError::Routes(e.to_string()))?;
        }
        Ok(Self {
            router,
            endpoints,
            access: Access::new(config, port)?,
            cors: Cors::new(&config.cors).map_err(SignalingError::Origin)?,
            files: StaticFiles::new(&config.page)?,
            default_session: config.default_session.clone(),
        })
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn cors(&self) -> &Cors {
        &self.cors
    }

    /// What is to be done with a request. A `reserved` connection has a place beyond those of visitors.
    pub(crate) fn plan(
        &self,
        request: &Request,
        via: &Via,
        reserved: bool,
        refusals: &Refusals,
    ) -> Plan {
        self.find(request, via, reserved, refusals)
            .map_or_else(|response| Plan::Answer(Box::new(response)), Plan::Call)
    }

    fn find(
        &self,
        request: &Request,
        via: &Via,
        reserved: bool,
        refusals: &Refusals,
    ) -> Result<Target, Response> {
        let endpoint = self.router.at(&request.path).ok();
        let endpoint = endpoint.and_then(|found| self.endpoints.get(*found.value));
        if !endpoint.is_some_and(Endpoint::is_harmless)
            && let Some(error) = self.access.refuse(request, via, &self.cors)
        {
            refusals.count(match error.code == ErrorCode::WrongHost {
                true => Refusal::WrongHost,
                false => Refusal::CrossOrigin,
            });
            return Err(error.into());
        }
        if reserved && !endpoint.is_some_and(Endpoint::is_vital) {
            refusals.count(Refusal::Connection);
            let detail = "too many connections; try again later";
            return Err(Response::problem(ErrorCode::Full, detail));
        }
        if request.path == target::ALL {
            return Err(Response::new(StatusCode::NO_CONTENT).header(ALLOW, ALL_METHODS));
        }
        if let Some(place) = player_without_slash(request) {
            return Err(Response::new(StatusCode::PERMANENT_REDIRECT).header(LOCATION, place));
        }
        let Ok(found) = self.router.at(&request.path) else { return Err(not_found()) };
        let Some(endpoint) = self.endpoints.get(*found.value) else { return Err(not_found()) };
        let file = found.params.get("file");
        if endpoint.path == FILES && !file.is_some_and(|file| self.files.has(file)) {
            return Err(not_found());
        }
        if request.method == Method::OPTIONS {
            return Err(self.options(endpoint, request));
        }
        let Some(handler) = endpoint.handler(&request.method) else {
            return Err(refuse_method(endpoint, &request.method));
        };
        let params = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Target { handler, params: params.collect() })
    }

    /// What can be done at an address (RFC 9110 §9.3.7), and whether a page of another origin may.
    fn options(&self, endpoint: &Endpoint, request: &Request) -> Response {
        const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
        let allow = endpoint.allow();
        let mut response = Response::new(StatusCode::NO_CONTENT).header(ALLOW, allow.clone());
        if let Some(types) = endpoint.accept_post {
            response = response.header(ACCEPT_POST, types);
        }
        self.cors.preflight(request, &allow, response)
    }
}

/// Where a player's page is whose address has a slash behind it: relative to that, so that it holds behind every
/// prefix.
fn player_without_slash(request: &Request) -> Option<String> {
    let id = request.path.strip_prefix(PLAYER)?.strip_suffix('/')?;
    if id.is_empty() || id.contains('/') || ![Method::GET, Method::HEAD].contains(&request.method) {
        return None;
    }
    let query = request.query.as_deref().map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("../{id}{query}"))
}

/// A method nobody defined is a 501, one that does not apply a 405 (RFC 9110 §15.5.6, §15.6.2).
fn refuse_method(endpoint: &Endpoint, method: &Method) -> Response {
    // RFC 9110's, PATCH (RFC 5789) and QUERY.
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::TRACE,
        Method::CONNECT,
    ];
    if !known.contains(method) && method.as_str() != "QUERY" {
        return Response::problem(ErrorCode::UnknownMethod, "this method is not known here");
    }
    let allow = endpoint.allow();
    let detail = format!("{method} does not apply here; {allow} do");
    Response::problem(ErrorCode::MethodNotAllowed, detail).header(ALLOW, allow)
}

#[cfg(test)]
mod tests {
    use super::super::{HttpReader, Step};
    use super::*;

    fn routes(cors: &[&str]) -> Routes {
        let cors = cors.iter().map(|text| (*text).to_owned()).collect();
        Routes::new(&SignalingConfig { cors, ..SignalingConfig::default() }, 8081).unwrap()
    }

    fn plan(routes: &Routes, line: &str, headers: &str, reserved: bool) -> Plan {
        let mut reader = HttpReader::default();
        reader.push(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes());
        let Step::Head(request) = reader.next(&crate::Limits::default()) else { panic!("{line}") };
        routes.plan(&request, &Via::default(), reserved, &Refusals::default())
    }

    fn answer(routes: &Routes, line: &str, headers: &str) -> (u16, String) {
        match plan(routes, line, headers, false) {
            Plan::Answer(response) => {
                let text = String::from_utf8(response.to_bytes(false, true)).unwrap();
                (response.status().as_u16(), text)
            }
            Plan::Call(_) => (0, String::new()),
        }
    }

    #[test]
    fn methods_that_do_not_apply_are_told_which_do() {
        let routes = routes(&[]);
        assert_eq!(answer(&routes, "HEAD /status", "").0, 0);
        let (status, text) = answer(&routes, "POST /status", "");
        assert!(status == 405 && text.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"), "{text}");
        assert_eq!(answer(&routes, "BREW /status", "").0, 501);
        assert_eq!(answer(&routes, "POST /nothing", "").0, 404);
        let (status, text) = answer(&routes, "OPTIONS /status", "");
        assert!(status == 204 && text.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"), "{text}");
        assert!(!text.contains("access-control"), "{text}");
    }

    #[test]
    fn a_preflight_is_answered_for_those_who_may() {
        let routes = routes(&["https://app.example"]);
        let preflight = |origin: &str| {
            let headers = format!("Origin: {origin}\r\nAccess-Control-Request-Method: GET\r\n");
            answer(&routes, "OPTIONS /status", &headers).1
        };
        let text = preflight("https://app.example");
        assert!(
            text.contains("\r\naccess-control-allow-methods: GET, HEAD, OPTIONS\r\n"),
            "{text}"
        );
        assert!(!preflight("https://other.example").contains("access-control"));
    }

    #[test]
    fn addresses_mean_the_same_however_they_are_written() {
        let routes = routes(&[]);
        for line in ["GET /%68ealthz", "GET http://localhost/healthz", "GET /webrtc/player/%61"] {
            assert_eq!(answer(&routes, line, "").0, 0, "{line}");
        }
        let (status, text) = answer(&routes, "OPTIONS *", "");
        let allow = "\r\nallow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n";
        assert!(status == 204 && text.contains(allow), "{text}");
        let (status, text) = answer(&routes, "GET /webrtc/player/anna/?codec=VP8", "");
        assert!(status == 308 && text.contains("\r\nlocation: ../anna?codec=VP8\r\n"), "{text}");
        for nothing in ["GET /webrtc/player/", "GET /webrtc/player/a/b/", "GET /webrtc/player//"] {
            assert_eq!(answer(&routes, nothing, "").0, 404, "{nothing}");
        }
    }

    #[test]
    fn the_last_places_are_for_those_who_keep_the_server_running() {
        let routes = routes(&[]);
        for (line, served) in [
            ("GET /healthz", true),
            ("GET /readyz", true),
            ("GET /metrics", true),
            ("GET /status", true),
            ("POST /webrtc/sessions/create", true),
            ("DELETE /webrtc/sessions/anna", true),
            ("GET /", false),
            ("GET /ws", false),
            ("GET /player.js", false),
            ("POST /whep/anna", false),
            ("GET /nothing", false),
        ] {
            let status = match plan(&routes, line, "", true) {
                Plan::Call(_) => 0,
                Plan::Answer(response) => response.status().as_u16(),
            };
            assert_eq!(status, if served { 0 } else { 503 }, "{line}");
        }
    }

    #[test]
    fn health_is_told_under_every_name() {
        let routes = routes(&[]);
        for (line, status) in [("GET /healthz", 0), ("GET /readyz", 0), ("GET /status", 421)] {
            let mut reader = HttpReader::default();
            reader.push(format!("{line} HTTP/1.1\r\nHost: visavis-0.pods\r\n\r\n").as_bytes());
            let Step::Head(request) = reader.next(&crate::Limits::default()) else { panic!() };
            let got = match routes.plan(&request, &Via::default(), false, &Refusals::default()) {
                Plan::Call(_) => 0,
                Plan::Answer(response) => response.status().as_u16(),
            };
            assert_eq!(got, status, "{line}");
        }
    }

    #[test]
    fn every_method_has_a_handler_of_its_own() {
        for endpoint in table() {
            let mut methods: Vec<_> = endpoint.methods.iter().map(|(m, _)| m.as_str()).collect();
            methods.sort_unstable();
            methods.dedup();
            assert_eq!(methods.len(), endpoint.methods.len(), "{}", endpoint.path);
            assert!(!methods.contains(&"HEAD") && !methods.contains(&"OPTIONS"));
        }
    }
}
