//! The server's half of a WebSocket's opening handshake.

use std::borrow::Cow;

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};

use crate::auth::{Permission, Subject};
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::response::Response;
use crate::http::route::{Call, Reply, WebSocketRequest};

/// Opens a WebSocket.
pub(crate) fn open(call: &Call<'_>, context: &mut Context) -> Reply {
    try_open(call, context).into()
}

fn try_open(call: &Call<'_>, context: &Context) -> Result<Reply, Response> {
    let (accepted, request) = accept(call)?;
    let subject = Subject { session: request.session.as_ref(), peer: None };
    call.permit(Permission::JoinSession, subject, context)?;
    Ok(Reply::Upgrade(accepted, request))
}

/// Accepts the handshake (RFC 6455 §4.2).
fn accept(call: &Call<'_>) -> Result<(Response, WebSocketRequest), Response> {
    let request = call.request;
    let upgrades = request.method == Method::GET
        && request.is_1_1
        && request.has_token(UPGRADE, "websocket")
        && request.has_token(CONNECTION, "upgrade");
    let version = request.headers.get(SEC_WEBSOCKET_VERSION).map(|v| v.as_bytes());
    if !upgrades || version != Some(b"13") {
        let error = "this address is for WebSockets, version 13";
        return Err(Response::problem(ErrorCode::UpgradeRequired, error)
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13"));
    }
    let key = request.headers.get(SEC_WEBSOCKET_KEY).map(|v| v.as_bytes()).unwrap_or_default();
    // 16 bytes in base64.
    if key.len() != 24 || !key.ends_with(b"==") {
        let error = "invalid Sec-WebSocket-Key; expected 16 bytes in base64";
        return Err(RequestError::fixed(ErrorCode::BadRequest, error).into());
    }
    let response = Response::new(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_ACCEPT, tungstenite::handshake::derive_accept_key(key));
    let opened = WebSocketRequest {
        session: call.asked_session()?,
        resume: request.query_value("resume").map(Cow::into_owned),
        events: request.query_value("events").as_deref() == Some("1"),
        source: call.via.source,
        principal: call.principal.clone(),
    };
    Ok((response, opened))
}

#[cfg(test)]
mod tests {
    use visavis::session::SessionId;

    use super::*;
    use crate::access::Via;
    use crate::auth::Principal;
    use crate::config::Limits;
    use crate::http::request::{HttpReader, Request, Step};
    use crate::mailbox::Ticket;

    fn request(text: &str) -> Request {
        let mut reader = HttpReader::default();
        reader.push(text.as_bytes());
        match reader.next(&Limits::default()) {
            Step::Head(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn ask(
        target: &str,
        key: &str,
        version: &str,
    ) -> Result<(Response, WebSocketRequest), Response> {
        let request = request(&format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: {version}\r\n\r\n"
        ));
        let (params, via, principal) = (Vec::new(), Via::default(), Principal::Anyone);
        accept(&Call {
            request: &request,
            params: &params,
            via: &via,
            principal: &principal,
            ticket: Ticket::default(),
        })
    }

    #[test]
    fn the_opening_handshake_is_that_of_the_rfc() {
        let (response, opened) =
            ask("/?session=anna&resume=5eC&events=1", "dGhlIHNhbXBsZSBub25jZQ==", "13")
                .unwrap_or_else(|r| panic!("{r:?}"));
        let text = String::from_utf8(response.to_bytes(false, true)).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
        assert!(text.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!text.contains("content-length"), "{text}");
        let session = SessionId::new("anna").ok();
        let resume = Some("5eC".to_owned());
        let principal = Principal::Anyone;
        let expected = WebSocketRequest { session, resume, events: true, source: None, principal };
        assert_eq!(opened, expected);
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
