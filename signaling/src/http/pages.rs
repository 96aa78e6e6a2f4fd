//! The page and its files, the WebSocket's handshake, and what machines ask about the server.

use std::borrow::Cow;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};
use visavis::SessionId;

use super::routes::{Call, Reply, no_session, not_found, session_id};
use super::status::StatusBody;
use super::{Request, Response, static_files};
use crate::access::Source;
use crate::connection::Context;
use crate::error::ErrorCode;

/// What the tests hold to the table of routes.
pub(super) const OPENAPI: &str = include_str!("../../openapi.json");

/// The player page; or, to whom asks for it, the WebSocket.
pub(super) fn page(call: &Call<'_>, context: &mut Context) -> Reply {
    if call.request.has_token(UPGRADE, "websocket") {
        return websocket(call, context);
    }
    Reply::Response(file_of(call, context, static_files::PAGE))
}

pub(super) fn websocket(call: &Call<'_>, _: &mut Context) -> Reply {
    match upgrade(call.request) {
        Ok((response, visit)) => {
            Reply::Upgrade(response, Visit { source: call.via.source, ..visit })
        }
        Err(response) => Reply::Response(response),
    }
}

pub(super) fn file(call: &Call<'_>, context: &mut Context) -> Reply {
    Reply::Response(file_of(call, context, call.param("file")))
}

pub(super) fn file_of(call: &Call<'_>, context: &Context, name: &str) -> Response {
    context.routes.files.respond(name, call.request).unwrap_or_else(not_found)
}

pub(super) fn status(call: &Call<'_>, context: &mut Context) -> Reply {
    let session = match asked_session(call.request, &context.routes.default_session) {
        Ok(session) => session,
        Err(response) => return Reply::Response(response),
    };
    Reply::Response(match context.engine.status(&session) {
        Some(status) => {
            Response::json(StatusCode::OK, &StatusBody::new(&session, &status, context))
        }
        None => no_session(&session),
    })
}

pub(super) fn health(_: &Call<'_>, _: &mut Context) -> Reply {
    Reply::Response(text("ok\n"))
}

/// Whether visitors can be sent here.
pub(super) fn ready(_: &Call<'_>, context: &mut Context) -> Reply {
    let health = context.engine.health();
    Reply::Response(match health.fatal {
        Some(fault) => Response::problem(ErrorCode::Stopped, fault.to_string()),
        None if !context.engine.is_running() => {
            Response::problem(ErrorCode::Stopped, "the engine has stopped")
        }
        None if health.wrong.is_empty() => text("ready\n"),
        None => Response::problem(ErrorCode::NotReady, health.wrong.join("; ")),
    })
}

/// Where the document says that everything is.
pub(super) const SERVERS: &str = r#""servers": [{"url": "/"}]"#;

/// The document that describes all this (OpenAPI 3.1). Behind a proxy that takes a prefix off, all is behind that
/// prefix; it has no characters that JSON would escape.
pub(super) fn openapi(call: &Call<'_>, _: &mut Context) -> Reply {
    let document: Cow<'static, [u8]> = match call.via.prefix.as_str() {
        "" => OPENAPI.as_bytes().into(),
        prefix => {
            let servers = SERVERS.replacen("\"/\"", &format!("\"{prefix}\""), 1);
            OPENAPI.replacen(SERVERS, &servers, 1).into_bytes().into()
        }
    };
    let response = Response::new(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-cache");
    Reply::Response(response.body(document))
}

pub(super) fn problems(_: &Call<'_>, _: &mut Context) -> Reply {
    let response = Response::new(StatusCode::OK)
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .header(CACHE_CONTROL, "no-cache");
    Reply::Response(response.body(problems_page().into_bytes()))
}

/// The page that explains each code.
fn problems_page() -> String {
    use std::fmt::Write as _;
    let mut html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <title>Problems</title>\n<h1>Problems</h1>\n<dl>\n"
        .to_owned();
    for code in ErrorCode::ALL {
        let Some(status) = code.http_status() else { continue };
        let (code, title) = (code.code(), code.title());
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<dt id=\"{code}\"><code>{code}</code> ({status})\n<dd>{title}.");
    }
    html + "</dl>\n</html>\n"
}

fn text(body: &'static str) -> Response {
    Response::new(StatusCode::OK)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(CACHE_CONTROL, "no-store")
        .body(body.as_bytes())
}

/// The session the query names, or the default one.
fn asked_session(request: &Request, default: &SessionId) -> Result<SessionId, Response> {
    match request.query_value("session").as_deref() {
        None | Some("") => Ok(default.clone()),
        Some(name) => session_id(name),
    }
}

/// What a WebSocket is opened for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The one that is named, if one is.
    pub(crate) session: Option<SessionId>,
    /// The token of a peer to come back to (`?resume=`).
    pub(crate) resume: Option<String>,
    /// Whether it is to be told what happens in the session (`?events=1`).
    pub(crate) events: bool,
    /// Whom it counts for.
    pub(crate) source: Option<Source>,
}

/// The server's half of the opening handshake (RFC 6455 §4.2).
fn upgrade(request: &Request) -> Result<(Response, Visit), Response> {
    let upgrades = request.method == Method::GET
        && request.is_1_1
        && request.has_token(UPGRADE, "websocket")
        && request.has_token(CONNECTION, "upgrade");
    let version = request.headers.get(SEC_WEBSOCKET_VERSION).map(|v| v.as_bytes());
    if !upgrades || version != Some(b"13") {
        let error = "this address speaks WebSocket, version 13";
        return Err(Response::problem(ErrorCode::UpgradeRequired, error)
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13"));
    }
    let key = request.headers.get(SEC_WEBSOCKET_KEY).map(|v| v.as_bytes()).unwrap_or_default();
    // 16 bytes in base64.
    if key.len() != 24 || !key.ends_with(b"==") {
        let error = "the Sec-WebSocket-Key is not 16 bytes in base64";
        return Err(Response::problem(ErrorCode::BadRequest, error));
    }
    let session = match request.query_value("session").as_deref() {
        None | Some("") => None,
        Some(name) => Some(session_id(name)?),
    };
    let resume = request.query_value("resume").map(Cow::into_owned);
    let events = request.query_value("events").as_deref() == Some("1");
    let response = Response::new(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_ACCEPT, tungstenite::handshake::derive_accept_key(key));
    Ok((response, Visit { session, resume, events, source: None }))
}

#[cfg(test)]
mod tests {
    use super::super::{HttpReader, Step};
    use super::*;

    fn request(text: &str) -> Request {
        let mut reader = HttpReader::default();
        reader.push(text.as_bytes());
        match reader.next(&crate::Limits::default()) {
            Step::Head(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn ask(target: &str, key: &str, version: &str) -> Result<(Response, Visit), Response> {
        let request = request(&format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: {version}\r\n\r\n"
        ));
        upgrade(&request)
    }

    #[test]
    fn every_code_is_explained() {
        for code in ErrorCode::ALL.iter().filter(|code| code.http_status().is_some()) {
            assert!(problems_page().contains(&format!("id=\"{}\"", code.code())), "{code:?}");
        }
    }

    #[test]
    fn the_opening_handshake_is_that_of_the_rfc() {
        let (response, visit) =
            ask("/?session=anna&resume=5eC&events=1", "dGhlIHNhbXBsZSBub25jZQ==", "13")
                .unwrap_or_else(|r| panic!("{r:?}"));
        let text = String::from_utf8(response.to_bytes(false, true)).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
        assert!(text.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!text.contains("content-length"), "{text}");
        let session = SessionId::new("anna").ok();
        let resume = Some("5eC".to_owned());
        assert_eq!(visit, Visit { session, resume, events: true, source: None });
    }

    #[test]
    fn unusable_handshakes_are_refused() {
        let status = |target, key, version| ask(target, key, version).unwrap_err().status();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(status("/", key, "8"), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(status("/", "short", "13"), StatusCode::BAD_REQUEST);
        assert_eq!(status("/?session=a%20b", key, "13"), StatusCode::BAD_REQUEST);
    }
}
