//! A face for each visitor (`visavis serve --per-visitor`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::bounded;
use visavis::session::SessionId;
use visavis::{EngineHandle, Session};
use visavis_signaling::{CreateRequest, EndReason, SessionHooks};

use super::error::ServeError;
use super::feed::{Feed, Opened};
use crate::settings::Settings;

/// Starts the configured source for each session created for a visitor, and ends it with the session. Sessions created
/// over HTTP get none: the program that created them pushes their media.
pub(super) struct Visitors {
    settings: Settings,
    engine: EngineHandle,
    faces: Mutex<HashMap<SessionId, Face>>,
}

/// What keeps one visitor's session in pictures, and the session while it does.
struct Face {
    _feed: Feed,
    _session: Arc<Session>,
}

impl Visitors {
    /// For sessions of this engine.
    pub(super) fn new(settings: Settings, engine: EngineHandle) -> Self {
        Self { settings, engine, faces: Mutex::default() }
    }

    fn start(&self, session: &Session) -> Result<Feed, ServeError> {
        // A source that fails logs its reason; its visitor sees the idle loop from then on.
        let (failed, _) = bounded(1);
        let source = Opened::open(&self.settings)?;
        source.start(&self.settings, session, &self.engine, failed)
    }
}

impl SessionHooks for Visitors {
    fn created(&self, session: &Arc<Session>, request: &CreateRequest) -> Result<(), String> {
        if !request.for_visitor {
            return Ok(());
        }
        let feed = self.start(session).map_err(|error| {
            tracing::error!(session = %session.id(), %error, "no face for a visitor");
            error.to_string()
        })?;
        let face = Face { _feed: feed, _session: Arc::clone(session) };
        let mut faces = self.faces.lock().unwrap_or_else(PoisonError::into_inner);
        faces.insert(session.id().clone(), face);
        Ok(())
    }

    fn ended(&self, session: &SessionId, _reason: EndReason) {
        let face = self.faces.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
        // Its threads are waited for without the lock.
        drop(face);
    }
}
