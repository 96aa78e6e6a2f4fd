//! Sessions that are made over HTTP.

mod registry;
mod request;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use visavis::{IdleLoop, Session, SessionConfig, SessionId};

use crate::SpeechChunk;

pub(crate) use registry::{Created, Managed, Registry};
pub(crate) use request::Settings;
pub use request::{CreateRequest, OneOrMore, Size};

/// Settings of the HTTP API that makes sessions.
#[derive(Clone)]
pub struct SessionApi {
    /// Whether sessions can be made, listed and ended over HTTP. There is no authentication: whoever
    /// reaches the port may do so. Off by default; watching needs none of it.
    pub manage: bool,
    /// Whether each visitor who names no session gets one of its own, made as others are and ended
    /// half a minute after its visitor has left. Otherwise all of them watch
    /// [`SignalingConfig::default_session`](crate::SignalingConfig::default_session).
    pub per_visitor: bool,
    /// Sessions made over HTTP and for visitors at once; one more is answered 503 with the code `full`.
    pub max_sessions: usize,
    /// What a request leaves open is as it is here. The id is not taken from it.
    pub template: SessionConfig,
    /// Idle loops that requests may ask for, by name.
    pub idle_loops: BTreeMap<String, IdleLoop>,
    /// Told of sessions, so that somebody pushes media into them.
    pub hooks: Option<Arc<dyn SessionHooks>>,
}

impl Default for SessionApi {
    fn default() -> Self {
        Self {
            manage: false,
            per_visitor: false,
            max_sessions: 100,
            template: SessionConfig::default(),
            idle_loops: BTreeMap::new(),
            hooks: None,
        }
    }
}

impl fmt::Debug for SessionApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionApi")
            .field("manage", &self.manage)
            .field("per_visitor", &self.per_visitor)
            .field("max_sessions", &self.max_sessions)
            .field("template", &self.template)
            .field("idle_loops", &self.idle_loops.keys())
            .field("hooks", &self.hooks.is_some())
            .finish()
    }
}

/// What an application wants to know of sessions that are made over HTTP.
///
/// Called on threads of the server's own, one for sessions that begin, one for those that end and one for
/// each upload: a hook may take its time, but the next session, or that upload, waits for it. A panic in it
/// is caught and logged.
pub trait SessionHooks: Send + Sync {
    /// A session was made. It is started, and its maker told, when this returns. The session ends when
    /// the server says so; keep the `Arc` as long as media is pushed.
    ///
    /// # Errors
    ///
    /// A sentence for the client, where the application has no use for the session (no renderer is
    /// free): the session ends at once, and the client gets a 503 with the code `refused`.
    fn created(&self, session: &Arc<Session>, request: &CreateRequest) -> Result<(), String>;

    /// A session has ended: its viewers are disconnected, and pushing does nothing any more.
    fn ended(&self, session: &SessionId, reason: EndReason) {
        let _ = (session, reason);
    }

    /// A piece of speech was uploaded, into whatever session: a renderer makes pictures of it. It is pushed
    /// when this returns. After a panic its upload is played without telling of the rest.
    fn speech(&self, chunk: &SpeechChunk<'_>) {
        let _ = chunk;
    }
}

/// Why a session that was made over HTTP has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// A DELETE asked for it.
    Deleted,
    /// Its lifetime was over.
    Expired,
    /// Nobody watched it for as long as its idle time-out.
    Unwatched,
    /// The server stops.
    ServerStopped,
}

impl EndReason {
    /// A stable word for logs and protocols.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Unwatched => "unwatched",
            Self::ServerStopped => "server-stopped",
        }
    }
}
