//! Sessions over HTTP: make, list, inspect, end.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use serde::Serialize;
use visavis::session::SessionId;

use super::response::Response;
use super::route::{Call, Reply};
use super::status::StatusBody;
use crate::access::Via;
use crate::config::IceServer;
use crate::context::{Context, no_session};
use crate::error::{ErrorCode, RequestError};
use crate::ice_servers;
use crate::sessions::registry::{CreateError, Managed};
use crate::sessions::request_body::RequestBody;
use crate::sessions::settings::Settings;

/// What stands in front of a session's id in the address of its page.
pub(super) const PLAYER: &str = "/webrtc/player/";

/// A session in the answer to `GET /webrtc/sessions`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    id: &'a str,
    /// Relative to this server's origin.
    player_url: String,
    /// Whether it was made over HTTP, and can be ended so.
    managed: bool,
    private: bool,
    peer_count: usize,
    is_streaming: bool,
    /// Unix milliseconds, of managed sessions.
    created_at: Option<u64>,
    expires_at: Option<u64>,
}

impl<'a> Summary<'a> {
    fn new(id: &'a SessionId, prefix: &str, context: &Context) -> Option<Self> {
        let status = context.engine.status(id)?;
        let managed = context.sessions.get(id);
        Some(Self {
            id: id.as_str(),
            player_url: format!("{prefix}{PLAYER}{id}"),
            managed: managed.is_some(),
            private: managed.is_some_and(|managed| managed.settings.private),
            peer_count: status.peer_count,
            is_streaming: status.metrics.is_streaming,
            created_at: managed.and_then(|managed| unix_ms(managed.created)),
            expires_at: managed.and_then(Managed::expires_at).and_then(unix_ms),
        })
    }
}

/// The answer to `GET /webrtc/sessions/{id}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// What it came out as, of managed sessions.
    settings: Option<&'a Settings>,
    #[serde(serialize_with = "ice_servers::serialize")]
    ice_servers: &'a [IceServer],
    status: StatusBody<'a>,
}

pub(super) fn list(call: &Call<'_>, context: &mut Context) -> Reply {
    #[derive(Serialize)]
    struct List<'a> {
        sessions: Vec<Summary<'a>>,
    }
    let ids = context.engine.session_ids();
    let prefix = &call.via.prefix;
    let sessions = ids.iter().filter_map(|id| Summary::new(id, prefix, context)).collect();
    Reply::Response(Response::json(StatusCode::OK, &List { sessions }))
}

pub(super) fn inspect(call: &Call<'_>, context: &mut Context) -> Reply {
    let prefix = &call.via.prefix;
    call.session().and_then(|id| detail(StatusCode::OK, &id, prefix, context)).into()
}

/// Describes a session.
fn detail(
    status_code: StatusCode,
    id: &SessionId,
    prefix: &str,
    context: &Context,
) -> Result<Response, RequestError> {
    let found = Summary::new(id, prefix, context).zip(context.engine.status(id));
    let (summary, status) = found.ok_or_else(|| no_session(id))?;
    let body = Detail {
        summary,
        settings: context.sessions.get(id).map(|managed| &managed.settings),
        ice_servers: &context.config.ice_servers,
        status: StatusBody::new(id, &status, context),
    };
    Ok(Response::json(status_code, &body))
}

pub(super) fn create(call: &Call<'_>, context: &mut Context) -> Reply {
    match start_creating(call, context) {
        Ok(()) => Reply::OnceCreated(created),
        Err(error) => Reply::Response(error.into()),
    }
}

fn start_creating(call: &Call<'_>, context: &mut Context) -> Result<(), RequestError> {
    // Nothing at all is a request for a session as sessions are.
    let nothing = call.request.body.is_empty() && !call.request.headers.contains_key(CONTENT_TYPE);
    let body: RequestBody = if nothing { RequestBody::default() } else { call.json()? };
    context.count_session(call.via.source)?;
    let request = body.into_request().map_err(CreateError::Invalid)?;
    let on_created = call.on_created(context);
    Ok(context.sessions.create(request, &context.engine, on_created)?)
}

/// The response to a request for a session.
fn created(made: Result<SessionId, CreateError>, via: &Via, context: &Context) -> Response {
    let response = made.map_err(RequestError::from).and_then(|id| {
        let response = detail(StatusCode::CREATED, &id, &via.prefix, context)?;
        Ok(response.header(LOCATION, format!("{}/webrtc/sessions/{id}", via.prefix)))
    });
    response.unwrap_or_else(Response::from)
}

pub(super) fn delete(call: &Call<'_>, context: &mut Context) -> Reply {
    try_delete(call, context).unwrap_or_else(|error| Reply::Response(error.into()))
}

fn try_delete(call: &Call<'_>, context: &mut Context) -> Result<Reply, RequestError> {
    let id = call.session()?;
    if context.sessions.get(&id).is_none() {
        // The application's own, or one whose creation is not over yet.
        let detail = format!("session {id} was created by the application, which alone can end it");
        return Err(match context.engine.has_session(&id) {
            true => RequestError::new(ErrorCode::NotManaged, detail),
            false => no_session(&id),
        });
    }
    let responder = call.responder(context);
    context.sessions.delete(&id, move || responder.respond(Response::new(StatusCode::NO_CONTENT)));
    Ok(Reply::Later)
}

/// The player page; it finds its session in its own address.
pub(super) fn player(call: &Call<'_>, context: &mut Context) -> Reply {
    call.existing_session(context).map(|_| context.files.player(call.request)).into()
}

fn unix_ms(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}
