use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};
use matchit::Router;
use visavis::{EngineHandle, SessionId};

use super::static_files::StaticFiles;
use super::status::StatusBody;
use super::{Request, Response};
use crate::SignalingError;

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer.
    Response(Response),
    /// A WebSocket to a session, after this 101.
    Upgrade(Response, SessionId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Page,
    WebSocket,
    Status,
    Health,
    File,
}

/// The routes, and what lies behind them.
#[derive(Debug)]
pub(crate) struct Routes {
    router: Router<Route>,
    files: StaticFiles,
    default_session: SessionId,
}

impl Routes {
    pub(crate) fn new(default_session: SessionId) -> Result<Self, SignalingError> {
        let mut router = Router::new();
        let routes = [
            ("/", Route::Page),
            ("/ws", Route::WebSocket),
            ("/status", Route::Status),
            ("/healthz", Route::Health),
            ("/{*file}", Route::File),
        ];
        for (path, route) in routes {
            router.insert(path, route).map_err(|e| SignalingError::Routes(e.to_string()))?;
        }
        Ok(Self { router, files: StaticFiles::new(), default_session })
    }

    pub(crate) fn reply(&self, request: &Request, engine: &EngineHandle) -> Reply {
        let Ok(found) = self.router.at(&request.path) else {
            return Reply::Response(not_found());
        };
        let route = *found.value;
        let file = found.params.get("file").unwrap_or_default();
        if route == Route::File && !self.files.has(file) {
            return Reply::Response(not_found());
        }
        if let Some(response) = refuse_method(&request.method) {
            return Reply::Response(response);
        }
        let wants_websocket = request.has_token(UPGRADE, "websocket");
        Reply::Response(match route {
            Route::Page if !wants_websocket => self.file("index.html", request),
            Route::Page | Route::WebSocket => match self.upgrade(request) {
                Ok((response, session)) => return Reply::Upgrade(response, session),
                Err(response) => response,
            },
            Route::Status => self.status(request, engine),
            Route::Health => Response::new(StatusCode::OK)
                .header(CONTENT_TYPE, "text/plain; charset=utf-8")
                .header(CACHE_CONTROL, "no-store")
                .body(&b"ok\n"[..]),
            Route::File => self.file(file, request),
        })
    }

    fn file(&self, name: &str, request: &Request) -> Response {
        self.files.respond(name, request).unwrap_or_else(not_found)
    }

    fn status(&self, request: &Request, engine: &EngineHandle) -> Response {
        let session = match self.session(request) {
            Ok(session) => session,
            Err(response) => return response,
        };
        match engine.status(&session) {
            Some(status) => Response::json(StatusCode::OK, &StatusBody::new(&session, &status)),
            None => Response::error(
                StatusCode::NOT_FOUND,
                "no-session",
                &format!("there is no session {session}"),
            ),
        }
    }

    /// The session the query names, or the default one.
    fn session(&self, request: &Request) -> Result<SessionId, Response> {
        match request.query_value("session") {
            None | Some("") => Ok(self.default_session.clone()),
            Some(name) => SessionId::new(name).map_err(|e| {
                Response::error(StatusCode::BAD_REQUEST, "bad-session", &e.to_string())
            }),
        }
    }

    /// The server's half of the opening handshake (RFC 6455 §4.2).
    fn upgrade(&self, request: &Request) -> Result<(Response, SessionId), Response> {
        let upgrades = request.method == Method::GET
            && request.is_1_1
            && request.has_token(UPGRADE, "websocket")
            && request.has_token(CONNECTION, "upgrade");
        let version = request.headers.get(SEC_WEBSOCKET_VERSION).map(|v| v.as_bytes());
        if !upgrades || version != Some(b"13") {
            let error = "this address speaks WebSocket, version 13";
            return Err(Response::error(StatusCode::UPGRADE_REQUIRED, "upgrade-required", error)
                .header(UPGRADE, "websocket")
                .header(SEC_WEBSOCKET_VERSION, "13"));
        }
        let key = request.headers.get(SEC_WEBSOCKET_KEY).map(|v| v.as_bytes()).unwrap_or_default();
        // 16 bytes in base64.
        if key.len() != 24 || !key.ends_with(b"==") {
            let error = "the Sec-WebSocket-Key is not 16 bytes in base64";
            return Err(Response::error(StatusCode::BAD_REQUEST, "bad-request", error));
        }
        let session = self.session(request)?;
        let response = Response::new(StatusCode::SWITCHING_PROTOCOLS)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "Upgrade")
            .header(SEC_WEBSOCKET_ACCEPT, tungstenite::handshake::derive_accept_key(key));
        Ok((response, session))
    }
}

fn not_found() -> Response {
    Response::error(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address")
}

/// Everything here is read only. A method nobody defined is a 501, one that does not apply a 405
/// (RFC 9110 §15.5.6, §15.6.2).
fn refuse_method(method: &Method) -> Option<Response> {
    let known = [
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    if [Method::GET, Method::HEAD].contains(method) {
        return None;
    }
    if !known.contains(method) {
        let error = "this method is not known here";
        return Some(Response::error(StatusCode::NOT_IMPLEMENTED, "unknown-method", error));
    }
    let error = "this address can only be read";
    let response = Response::error(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", error);
    Some(response.header(ALLOW, "GET, HEAD"))
}

#[cfg(test)]
mod tests {
    use super::super::{HttpReader, Step};
    use super::*;

    fn request(text: &str) -> Request {
        let mut reader = HttpReader::default();
        reader.push(text.as_bytes());
        match reader.next(&crate::Limits::default()) {
            Step::Request(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn upgrade(target: &str, key: &str, version: &str) -> Result<(Response, SessionId), Response> {
        let routes = Routes::new(SessionId::default()).unwrap();
        routes.upgrade(&request(&format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: {version}\r\n\r\n"
        )))
    }

    #[test]
    fn the_opening_handshake_is_that_of_the_rfc() {
        let (response, session) = upgrade("/?session=anna", "dGhlIHNhbXBsZSBub25jZQ==", "13")
            .unwrap_or_else(|r| panic!("{r:?}"));
        let text = String::from_utf8(response.to_bytes(false, true)).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
        assert!(text.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!text.contains("content-length"), "{text}");
        assert_eq!(session.as_str(), "anna");
    }

    #[test]
    fn unusable_handshakes_are_refused() {
        let status = |target, key, version| upgrade(target, key, version).unwrap_err().status();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(status("/", key, "8"), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(status("/", "short", "13"), StatusCode::BAD_REQUEST);
        assert_eq!(status("/?session=a%20b", key, "13"), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn methods_that_do_not_apply_are_named() {
        assert!(refuse_method(&Method::HEAD).is_none());
        assert_eq!(refuse_method(&Method::POST).unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
        let unknown = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(refuse_method(&unknown).unwrap().status(), StatusCode::NOT_IMPLEMENTED);
    }
}
