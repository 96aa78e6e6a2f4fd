//! What a route consists of: the permission it needs, its handler, and the handler's arguments and result. Handlers do
//! not depend on connections.

use http::Method;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};
use visavis::session::SessionId;

use super::request::Request;
use super::response::Response;
use super::upload::UploadReader;
use crate::access::{Source, Via};
use crate::auth::{Permission, Principal, Subject};
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::mailbox::{Responder, Ticket};
use crate::sessions::registry::{CreateError, Created};

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A response.
    Response(Response),
    /// A WebSocket, after this 101.
    Upgrade(Response, WebSocketRequest),
    /// The response comes from the request's [`Responder`].
    Later,
    /// The response is made when the session is there that is being created ([`Call::on_created`]).
    OnceCreated(CreatedHandler),
}

/// Makes the response to a request for a session, once it was created or could not be.
pub(crate) type CreatedHandler = fn(Result<SessionId, CreateError>, &Via, &Context) -> Response;

impl From<Result<Response, Response>> for Reply {
    fn from(result: Result<Response, Response>) -> Self {
        let (Ok(response) | Err(response)) = result;
        Self::Response(response)
    }
}

impl From<Result<Response, RequestError>> for Reply {
    fn from(result: Result<Response, RequestError>) -> Self {
        Self::Response(result.unwrap_or_else(Response::from))
    }
}

impl From<Result<Self, Response>> for Reply {
    fn from(result: Result<Self, Response>) -> Self {
        result.unwrap_or_else(Self::Response)
    }
}

/// What a WebSocket is opened for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WebSocketRequest {
    /// The one that is named, if one is.
    pub(crate) session: Option<SessionId>,
    /// The token of a peer to come back to (`?resume=`).
    pub(crate) resume: Option<String>,
    /// Whether it gets the events of the session (`?events=1`).
    pub(crate) events: bool,
    /// Whom it counts for.
    pub(crate) source: Option<Source>,
    /// On whose behalf all its messages are.
    pub(crate) principal: Principal,
}

/// What serves a method of a route. It runs on the loop's thread and never waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    /// Called when the whole body is there, of [`Limits::body_bytes`](crate::Limits) at most.
    Whole(fn(&Call<'_>, &mut Context) -> Reply),
    /// Called when the head is there. The body, however long, comes out of the reader, which belongs
    /// on another thread: reading waits. Respond at the body's end, or before, to refuse the rest.
    Upload(fn(&Call<'_>, UploadReader, &mut Context) -> Reply),
}

/// A method of a route.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// Checked before the handler runs.
    pub(crate) permission: Permission,
    pub(crate) handler: Handler,
}

/// An address and what can be done there. What serves GET serves HEAD too, and OPTIONS is answered
/// everywhere.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) operations: Vec<Operation>,
    /// The media types of bodies that it accepts, for `Accept-Post` in the answer to OPTIONS.
    pub(crate) accept_post: Option<&'static str>,
}

impl Route {
    pub(super) fn operation(&self, method: &Method) -> Option<&Operation> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.operations.iter().find(|operation| operation.method == method)
    }

    /// Whether it is served beyond the connections that visitors may have: who keeps the server running must be able
    /// to ask how it is, and to end sessions, when it is overrun.
    pub(super) fn is_vital(&self) -> bool {
        let machines = ["/healthz", "/readyz", "/metrics", "/status"];
        machines.contains(&self.path) || self.path.starts_with("/webrtc/sessions")
    }

    /// Whether it is open to every `Host`, since it reveals nothing: load balancers and orchestrators use names or
    /// addresses of their own.
    pub(super) fn is_harmless(&self) -> bool {
        ["/healthz", "/readyz"].contains(&self.path)
    }

    /// The methods, as `Allow` has them.
    pub(super) fn allow(&self) -> String {
        let mut names = Vec::new();
        for Operation { method, .. } in &self.operations {
            names.push(method.as_str());
            if method == Method::GET {
                names.push("HEAD");
            }
        }
        names.push("OPTIONS");
        names.join(", ")
    }
}

/// What stands in the path where the route has a name in braces.
pub(crate) type Params = Vec<(String, String)>;

/// A request on its way through its handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) params: &'a Params,
    pub(crate) via: &'a Via,
    /// Who makes it.
    pub(crate) principal: &'a Principal,
    pub(crate) ticket: Ticket,
}

impl Call<'_> {
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The session that the path names as `{id}`, whether or not there is one.
    pub(crate) fn session(&self) -> Result<SessionId, RequestError> {
        session_id(self.param("id"))
    }

    /// The session that the path names, which there is.
    pub(crate) fn existing_session(&self, context: &Context) -> Result<SessionId, RequestError> {
        context.existing_session(self.session()?)
    }

    /// The session that the query names, if it names one.
    pub(crate) fn asked_session(&self) -> Result<Option<SessionId>, RequestError> {
        match self.request.query_value("session").as_deref() {
            None | Some("") => Ok(None),
            Some(name) => session_id(name).map(Some),
        }
    }

    /// Checks the permission of the route, with the ids in the path.
    pub(crate) fn permit_route(
        &self,
        permission: Permission,
        context: &Context,
    ) -> Result<(), RequestError> {
        let session = self.session().ok();
        self.permit(permission, Subject { session: session.as_ref(), peer: None }, context)
    }

    /// Asks whether the one who makes this request may do something.
    pub(crate) fn permit(
        &self,
        permission: Permission,
        subject: Subject<'_>,
        context: &Context,
    ) -> Result<(), RequestError> {
        context.authority.permit(self.principal, permission, subject)
    }

    /// Where something of this server is, as the client sees it: behind the prefix that a proxy took off.
    pub(crate) fn public_path(&self, path: &str) -> String {
        format!("{}{path}", self.via.prefix)
    }

    /// The right to respond later; return [`Reply::Later`] with it.
    pub(crate) fn responder(&self, context: &Context) -> Responder {
        Responder::new(context.mailbox.clone(), self.ticket)
    }

    /// To be called when a session was created or could not be; return [`Reply::OnceCreated`] with it.
    pub(crate) fn on_created(&self, context: &Context) -> impl FnOnce(Created) + Send + use<> {
        context.mailbox.on_created(self.ticket)
    }

    /// Whether `Content-Type` is this type.
    pub(crate) fn is_of_type(&self, media_type: &str) -> bool {
        let value = self.request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.and_then(|value| value.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
    }

    /// The body as a JSON object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        use serde_json::error::Category;
        if !self.is_of_type("application/json") {
            return Err(RequestError::fixed(ErrorCode::MediaType, "send application/json"));
        }
        let body = &self.request.body;
        // Serde would take a list for an object with its members in order.
        if body.trim_ascii_start().starts_with(b"[") {
            let code = match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => ErrorCode::BadValue,
                Err(_) => ErrorCode::BadJson,
            };
            return Err(RequestError::fixed(code, "send a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| {
            let code = match error.classify() {
                Category::Data => ErrorCode::BadValue,
                _ => ErrorCode::BadJson,
            };
            RequestError::new(code, error.to_string())
        })
    }
}

/// Reads a session's id.
fn session_id(text: &str) -> Result<SessionId, RequestError> {
    SessionId::new(text).map_err(|e| RequestError::new(ErrorCode::BadSession, e.to_string()))
}

pub(super) fn not_found() -> RequestError {
    RequestError::fixed(ErrorCode::NotFound, "there is nothing at this address")
}
