//! Callbacks to the application for sessions that are created over HTTP.

use std::sync::Arc;

use visavis::Session;
use visavis::session::SessionId;
use visavis::utterance::Utterance;

use super::request::CreateRequest;
use crate::speech::player::SpeechChunk;

/// Callbacks to the application for sessions that are created over HTTP.
///
/// Called on threads of the server's own, one for sessions that begin, one for those that end and one for
/// each upload: a hook may take its time, but the next session, or that upload, waits for it. A panic in it
/// is caught and logged.
pub trait SessionHooks: Send + Sync {
    /// A session was created. It is started, and the HTTP request answered, when this returns. The server decides when
    /// the session ends; keep the `Arc` as long as media is pushed.
    ///
    /// # Errors
    ///
    /// A sentence for the client, where the application has no use for the session (no renderer is
    /// free): the session ends at once, and the client gets a 503 with the code `refused`.
    fn created(&self, session: &Arc<Session>, request: &CreateRequest) -> Result<(), String>;

    /// A session was ended by the server: its viewers are disconnected, and pushing does nothing any more. Not called for
    /// one that the application has stopped by itself.
    fn ended(&self, session: &SessionId, reason: EndReason) {
        let _ = (session, reason);
    }

    /// A piece of speech was uploaded into a session, for a renderer that makes pictures of it. It is pushed when this
    /// returns. After a panic the upload is played without further calls.
    fn speech(&self, chunk: &SpeechChunk<'_>) {
        let _ = chunk;
    }

    /// No more comes of an upload, all of it or because it was cut off: once for each of which there was a piece. A
    /// renderer that looks ahead makes its last pictures now; while this runs, or a clone of `utterance` is kept, they
    /// can be pushed.
    fn speech_ended(&self, session: &SessionId, utterance: &Arc<Utterance>) {
        let _ = (session, utterance);
    }
}

/// Why a session that was made over HTTP has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// By a DELETE request.
    Deleted,
    /// Its lifetime was over.
    Expired,
    /// Nobody watched it for as long as its idle time-out.
    Unwatched,
    /// The server stops.
    ServerStopped,
}

impl EndReason {
    /// A stable code for logs and protocols.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Unwatched => "unwatched",
            Self::ServerStopped => "server-stopped",
        }
    }
}
