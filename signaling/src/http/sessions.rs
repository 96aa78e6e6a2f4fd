//! Sessions over HTTP: make, list, inspect, end.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use serde::Serialize;
use visavis::{PeerId, Refusal, SessionId};

use super::Response;
use super::routes::{Call, PLAYER, Reply, no_session};
use super::status::StatusBody;
use crate::IceServer;
use crate::connection::Context;
use crate::error::ErrorCode;
use crate::sessions::{CreateRequest, Managed, Settings};

/// What `GET /webrtc/sessions` tells of a session.
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

/// What is told of one session alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// What it came out as, of managed sessions.
    settings: Option<&'a Settings>,
    ice_servers: &'a [IceServer],
    status: StatusBody<'a>,
}

pub(super) fn list(call: &Call<'_>, context: &mut Context) -> Reply {
    #[derive(Serialize)]
    struct List<'a> {
        sessions: Vec<Summary<'a>>,
    }
    if let Err(response) = may_manage(context) {
        return Reply::Response(response);
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
pub(crate) fn detail(
    code: StatusCode,
    id: &SessionId,
    prefix: &str,
    context: &Context,
) -> Result<Response, Response> {
    let found = Summary::new(id, prefix, context).zip(context.engine.status(id));
    let (summary, status) = found.ok_or_else(|| no_session(id))?;
    let body = Detail {
        summary,
        settings: context.sessions.get(id).map(|managed| &managed.settings),
        ice_servers: &context.config.ice_servers,
        status: StatusBody::new(id, &status, context),
    };
    Ok(Response::json(code, &body))
}

pub(super) fn create(call: &Call<'_>, context: &mut Context) -> Reply {
    match start_creating(call, context) {
        Ok(()) => Reply::Later,
        Err(response) => Reply::Response(response),
    }
}

fn start_creating(call: &Call<'_>, context: &mut Context) -> Result<(), Response> {
    may_manage(context)?;
    // Nothing at all is a request for a session as sessions are.
    let nothing = call.request.body.is_empty() && !call.request.headers.contains_key(CONTENT_TYPE);
    let request: CreateRequest = if nothing { CreateRequest::default() } else { call.json()? };
    if !context.budgets.may_make(call.via.source, Instant::now()) {
        context.refuse(Refusal::SessionRate);
        let detail = "too many sessions were asked for from this address; try again later";
        return Err(Response::problem(ErrorCode::RateLimited, detail));
    }
    context.sessions.create(request, call.ticket, &context.engine)
}

/// The answer to who asked for a session that is there now.
pub(crate) fn created(id: &SessionId, prefix: &str, context: &Context) -> Response {
    let (Ok(response) | Err(response)) = detail(StatusCode::CREATED, id, prefix, context);
    response.header(LOCATION, format!("{prefix}/webrtc/sessions/{id}"))
}

pub(super) fn delete(call: &Call<'_>, context: &mut Context) -> Reply {
    let id = match may_manage(context).and_then(|()| call.session()) {
        Ok(id) => id,
        Err(response) => return Reply::Response(response),
    };
    let answerer = call.answerer(context);
    let Err(answerer) = context.sessions.delete(&id, answerer) else { return Reply::Later };
    answerer.answer(match context.engine.has_session(&id) {
        true => {
            let detail = format!("session {id} is the application's own to end");
            Response::problem(ErrorCode::NotManaged, detail)
        }
        false => no_session(&id),
    });
    Reply::Later
}

/// The player page; it finds its session in its own address.
pub(super) fn player(call: &Call<'_>, context: &mut Context) -> Reply {
    let id = match call.session() {
        Ok(id) => id,
        Err(response) => return Reply::Response(response),
    };
    Reply::Response(match context.engine.has_session(&id) {
        true => context.routes.files.player(call.request),
        false => no_session(&id),
    })
}

pub(crate) fn may_manage(context: &Context) -> Result<(), Response> {
    if context.sessions.is_managed() {
        return Ok(());
    }
    let detail = "this server lets nobody manage sessions over HTTP; \
        `visavis serve --api` or SessionApi::manage allows it";
    Err(Response::problem(ErrorCode::NotAllowed, detail))
}

fn unix_ms(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// A peer's id as it stands in a body.
pub(super) fn peer_id(text: &str) -> Result<PeerId, Response> {
    text.parse().map_err(|_| {
        let detail = "`peerId` is not one that this server gives out";
        Response::problem(ErrorCode::BadValue, detail)
    })
}
