//! The page and its files, and what machines ask about the server.

use std::borrow::Cow;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, UPGRADE};

use super::response::Response;
use super::route::{Call, Reply, not_found};
use super::static_files;
use super::status::StatusBody;
use crate::auth::{Permission, Subject};
use crate::context::{Context, no_session};
use crate::error::{ErrorCode, RequestError};
use crate::ws::handshake;

/// What the tests hold to the table of routes.
pub(super) const OPENAPI: &str = include_str!("../../openapi.json");

/// The player page, or the WebSocket if the request is an upgrade.
pub(super) fn page(call: &Call<'_>, context: &mut Context) -> Reply {
    if call.request.has_token(UPGRADE, "websocket") {
        return handshake::open(call, context);
    }
    file_named(static_files::PAGE, call, context)
}

pub(super) fn file(call: &Call<'_>, context: &mut Context) -> Reply {
    file_named(call.param("file"), call, context)
}

fn file_named(name: &str, call: &Call<'_>, context: &Context) -> Reply {
    context.files.respond(name, call.request).ok_or_else(not_found).into()
}

pub(super) fn status(call: &Call<'_>, context: &mut Context) -> Reply {
    try_status(call, context).into()
}

fn try_status(call: &Call<'_>, context: &Context) -> Result<Response, RequestError> {
    let default = || context.config.default_session.clone();
    let session = call.asked_session()?.unwrap_or_else(default);
    call.permit(Permission::SeeStatus, Subject::session(&session), context)?;
    let status = context.engine.status(&session).ok_or_else(|| no_session(&session))?;
    Ok(Response::json(StatusCode::OK, &StatusBody::new(&session, &status, context)))
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

/// The `servers` URL in the document.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained() {
        for code in ErrorCode::ALL.iter().filter(|code| code.http_status().is_some()) {
            assert!(problems_page().contains(&format!("id=\"{}\"", code.code())), "{code:?}");
        }
    }
}
