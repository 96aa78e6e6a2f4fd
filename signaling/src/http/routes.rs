//! Every route there is, and how a request finds its own.

use std::sync::Arc;

use http::header::{ALLOW, HeaderName, LOCATION};
use http::{Method, StatusCode};
use visavis::status::{Refusal, Refusals};

use super::cors::Cors;
use super::request::Request;
use super::response::Response;
use super::route::{Handler, Operation, Params, Route, not_found};
use super::static_files::StaticFiles;
use super::{metrics, pages, peers, sessions, target};
use crate::access::{Access, Via};
use crate::auth::Permission;
use crate::config::{SignalingConfig, SignalingError};
use crate::error::{ErrorCode, RequestError};
use crate::speech::upload as speech;
use crate::whep::handlers as whep;
use crate::ws::handshake;

/// All routes: path, and for each method the permission it needs and the handler.
pub(crate) fn table() -> Vec<Route> {
    use Handler::{Upload, Whole};
    use Permission as P;
    let route = |path, operations: &[(Method, Permission, Handler)]| {
        let operations = operations
            .iter()
            .cloned()
            .map(|(method, permission, handler)| Operation { method, permission, handler });
        Route { path, operations: operations.collect(), accept_post: None }
    };
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let takes = |types, route| Route { accept_post: Some(types), ..route };
    vec![
        // With an upgrade it opens a WebSocket, and asks for what that needs.
        route("/", &[(get.clone(), P::Public, Whole(pages::page))]),
        route("/ws", &[(get.clone(), P::JoinSession, Whole(handshake::open))]),
        route("/status", &[(get.clone(), P::SeeStatus, Whole(pages::status))]),
        route("/healthz", &[(get.clone(), P::Public, Whole(pages::health))]),
        route("/readyz", &[(get.clone(), P::Public, Whole(pages::ready))]),
        route("/metrics", &[(get.clone(), P::SeeStatus, Whole(metrics::metrics))]),
        route("/openapi.json", &[(get.clone(), P::Public, Whole(pages::openapi))]),
        route("/problems", &[(get.clone(), P::Public, Whole(pages::problems))]),
        route("/webrtc/sessions", &[(get.clone(), P::ListSessions, Whole(sessions::list))]),
        takes(
            JSON,
            route(
                "/webrtc/sessions/create",
                &[(post.clone(), P::CreateSession, Whole(sessions::create))],
            ),
        ),
        route(
            "/webrtc/sessions/{id}",
            &[
                (get.clone(), P::InspectSession, Whole(sessions::inspect)),
                (delete.clone(), P::EndSession, Whole(sessions::delete)),
            ],
        ),
        takes(
            JSON,
            route(
                "/webrtc/sessions/{id}/offer",
                &[(post.clone(), P::JoinSession, Whole(peers::offer))],
            ),
        ),
        takes(
            JSON,
            route(
                "/webrtc/sessions/{id}/ice",
                &[(post.clone(), P::SpeakForPeer, Whole(peers::add_candidates))],
            ),
        ),
        route("/webrtc/player/{id}", &[(get.clone(), P::Public, Whole(sessions::player))]),
        takes(
            speech::ACCEPTS,
            route(
                "/webrtc/sessions/{id}/stream",
                &[(post.clone(), P::PlaySpeech, Upload(speech::stream))],
            ),
        ),
        takes(
            whep::ACCEPTS,
            route(
                "/whep/{id}",
                &[
                    (get.clone(), P::JoinSession, Whole(whep::probe)),
                    (post, P::JoinSession, Whole(whep::watch)),
                ],
            ),
        ),
        route(
            "/whep/{id}/{resource}",
            &[
                (get.clone(), P::SpeakForPeer, Whole(whep::probe)),
                (patch, P::SpeakForPeer, Whole(whep::patch)),
                (delete, P::SpeakForPeer, Whole(whep::leave)),
            ],
        ),
        route(FILES, &[(get, P::Public, Whole(pages::file))]),
    ]
}

const JSON: &str = "application/json";

/// All methods that any route has: the `Allow` of `OPTIONS *`.
const ALL_METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";

/// Where every path leads that leads nowhere else.
const FILES: &str = "/{*file}";

/// Finds the route of a request, and whether it may be taken at all.
#[derive(Debug)]
pub(crate) struct Router {
    /// Indices of `routes`.
    paths: matchit::Router<usize>,
    routes: Vec<Route>,
    access: Access,
    cors: Cors,
    files: Arc<StaticFiles>,
}

/// What to do with a request, as far as its head determines it.
#[derive(Debug)]
pub(crate) enum Plan {
    Call(Target),
    /// The response is clear already.
    Respond(Box<Response>),
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) permission: Permission,
    pub(crate) handler: Handler,
    pub(crate) params: Params,
}

impl Router {
    /// Checks the settings; `port` is where the server listens.
    pub(crate) fn new(config: &SignalingConfig, port: u16) -> Result<Self, SignalingError> {
        let (mut paths, routes) = (matchit::Router::new(), table());
        for (index, route) in routes.iter().enumerate() {
            paths.insert(route.path, index).map_err(|_| SignalingError::Routes)?;
        }
        Ok(Self {
            paths,
            routes,
            access: Access::new(config, port)?,
            cors: Cors::new(&config.cors).map_err(SignalingError::Origin)?,
            files: Arc::new(StaticFiles::new(&config.page)?),
        })
    }

    pub(crate) fn files(&self) -> &Arc<StaticFiles> {
        &self.files
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn cors(&self) -> &Cors {
        &self.cors
    }

    /// What to do with a request. A `reserved` connection is one beyond the limit for visitors.
    pub(crate) fn plan(
        &self,
        request: &Request,
        via: &Via,
        reserved: bool,
        refusals: &Refusals,
    ) -> Plan {
        self.find(request, via, reserved, refusals)
            .map_or_else(|response| Plan::Respond(Box::new(response)), Plan::Call)
    }

    fn find(
        &self,
        request: &Request,
        via: &Via,
        reserved: bool,
        refusals: &Refusals,
    ) -> Result<Target, Response> {
        let route = self.paths.at(&request.path).ok();
        let route = route.and_then(|found| self.routes.get(*found.value));
        if !route.is_some_and(Route::is_harmless)
            && let Some(error) = self.access.refuse(request, via, &self.cors)
        {
            refusals.count(match error.code == ErrorCode::WrongHost {
                true => Refusal::WrongHost,
                false => Refusal::CrossOrigin,
            });
            return Err(error.into());
        }
        if reserved && !route.is_some_and(Route::is_vital) {
            refusals.count(Refusal::Connection);
            return Err(FULL.into());
        }
        if request.path == target::ALL {
            return Err(Response::new(StatusCode::NO_CONTENT).header(ALLOW, ALL_METHODS));
        }
        if let Some(place) = player_without_slash(request) {
            return Err(Response::new(StatusCode::PERMANENT_REDIRECT).header(LOCATION, place));
        }
        let Ok(found) = self.paths.at(&request.path) else { return Err(not_found().into()) };
        let Some(route) = self.routes.get(*found.value) else { return Err(not_found().into()) };
        let file = found.params.get("file");
        if route.path == FILES && !file.is_some_and(|file| self.files.has(file)) {
            return Err(not_found().into());
        }
        if request.method == Method::OPTIONS {
            return Err(self.options(route, request));
        }
        let Some(&Operation { permission, handler, .. }) = route.operation(&request.method) else {
            return Err(refuse_method(route, &request.method));
        };
        let params = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Target { permission, handler, params: params.collect() })
    }

    /// What can be done at an address (RFC 9110 §9.3.7), and whether a page of another origin may.
    fn options(&self, route: &Route, request: &Request) -> Response {
        const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
        let allow = route.allow();
        let mut response = Response::new(StatusCode::NO_CONTENT).header(ALLOW, allow.clone());
        if let Some(types) = route.accept_post {
            response = response.header(ACCEPT_POST, types);
        }
        self.cors.preflight(request, &allow, response)
    }
}

/// Beyond all limits of connections.
pub(crate) const FULL: RequestError =
    RequestError::fixed(ErrorCode::Full, "too many connections; try again later");

/// Where a player's page is whose address has a slash behind it: relative to that, so that it holds behind every
/// prefix.
fn player_without_slash(request: &Request) -> Option<String> {
    let id = request.path.strip_prefix(sessions::PLAYER)?.strip_suffix('/')?;
    if id.is_empty() || id.contains('/') || ![Method::GET, Method::HEAD].contains(&request.method) {
        return None;
    }
    let query = request.query.as_deref().map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("../{id}{query}"))
}

/// An unknown method is a 501, one that the route does not have a 405 (RFC 9110 §15.5.6, §15.6.2).
fn refuse_method(route: &Route, method: &Method) -> Response {
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
        return Response::problem(ErrorCode::UnknownMethod, "unknown method");
    }
    let allow = route.allow();
    let detail = format!("{method} is not allowed here; use {allow}");
    Response::problem(ErrorCode::MethodNotAllowed, detail).header(ALLOW, allow)
}

#[cfg(test)]
mod tests {
    use super::super::request::{HttpReader, Step};
    use super::*;
    use crate::config::Limits;

    fn router(cors: &[&str]) -> Router {
        let cors = cors.iter().map(|text| (*text).to_owned()).collect();
        Router::new(&SignalingConfig { cors, ..SignalingConfig::default() }, 8081).unwrap()
    }

    fn plan(router: &Router, line: &str, headers: &str, reserved: bool) -> Plan {
        let mut reader = HttpReader::default();
        reader.push(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes());
        let Step::Head(request) = reader.next(&Limits::default()) else { panic!("{line}") };
        router.plan(&request, &Via::default(), reserved, &Refusals::default())
    }

    fn answer(router: &Router, line: &str, headers: &str) -> (u16, String) {
        match plan(router, line, headers, false) {
            Plan::Respond(response) => {
                let text = String::from_utf8(response.to_bytes(false, true)).unwrap();
                (response.status().as_u16(), text)
            }
            Plan::Call(_) => (0, String::new()),
        }
    }

    #[test]
    fn methods_that_do_not_apply_are_told_which_do() {
        let router = router(&[]);
        assert_eq!(answer(&router, "HEAD /status", "").0, 0);
        let (status, text) = answer(&router, "POST /status", "");
        assert!(status == 405 && text.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"), "{text}");
        assert_eq!(answer(&router, "BREW /status", "").0, 501);
        assert_eq!(answer(&router, "POST /nothing", "").0, 404);
        let (status, text) = answer(&router, "OPTIONS /status", "");
        assert!(status == 204 && text.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"), "{text}");
        assert!(!text.contains("access-control"), "{text}");
    }

    #[test]
    fn a_preflight_is_answered_for_those_who_may() {
        let router = router(&["https://app.example"]);
        let preflight = |origin: &str| {
            let headers = format!("Origin: {origin}\r\nAccess-Control-Request-Method: GET\r\n");
            answer(&router, "OPTIONS /status", &headers).1
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
        let router = router(&[]);
        for line in ["GET /%68ealthz", "GET http://localhost/healthz", "GET /webrtc/player/%61"] {
            assert_eq!(answer(&router, line, "").0, 0, "{line}");
        }
        let (status, text) = answer(&router, "OPTIONS *", "");
        let allow = "\r\nallow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n";
        assert!(status == 204 && text.contains(allow), "{text}");
        let (status, text) = answer(&router, "GET /webrtc/player/anna/?codec=VP8", "");
        assert!(status == 308 && text.contains("\r\nlocation: ../anna?codec=VP8\r\n"), "{text}");
        for nothing in ["GET /webrtc/player/", "GET /webrtc/player/a/b/", "GET /webrtc/player//"] {
            assert_eq!(answer(&router, nothing, "").0, 404, "{nothing}");
        }
    }

    #[test]
    fn the_last_places_are_for_those_who_keep_the_server_running() {
        let router = router(&[]);
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
            let status = match plan(&router, line, "", true) {
                Plan::Call(_) => 0,
                Plan::Respond(response) => response.status().as_u16(),
            };
            assert_eq!(status, if served { 0 } else { 503 }, "{line}");
        }
    }

    #[test]
    fn health_is_told_under_every_name() {
        let router = router(&[]);
        for (line, status) in [("GET /healthz", 0), ("GET /readyz", 0), ("GET /status", 421)] {
            let mut reader = HttpReader::default();
            reader.push(format!("{line} HTTP/1.1\r\nHost: visavis-0.pods\r\n\r\n").as_bytes());
            let Step::Head(request) = reader.next(&Limits::default()) else { panic!() };
            let got = match router.plan(&request, &Via::default(), false, &Refusals::default()) {
                Plan::Call(_) => 0,
                Plan::Respond(response) => response.status().as_u16(),
            };
            assert_eq!(got, status, "{line}");
        }
    }

    #[test]
    fn every_method_has_a_handler_of_its_own() {
        for route in table() {
            let mut methods: Vec<_> = route.operations.iter().map(|o| o.method.as_str()).collect();
            methods.sort_unstable();
            methods.dedup();
            assert_eq!(methods.len(), route.operations.len(), "{}", route.path);
            assert!(!methods.contains(&"HEAD") && !methods.contains(&"OPTIONS"));
        }
    }
}
