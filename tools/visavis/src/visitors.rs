//! A face for each visitor (`visavis serve --per-visitor`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::bounded;
use visavis::{EngineHandle, Session, SessionId};
use visavis_signaling::{CreateRequest, EndReason, SessionHooks};

use crate::echo::Echo;
use crate::serve::{demo_fps, open_source};
use crate::settings::Settings;
use crate::source::pacer::{Pacer, SessionSink};

/// Starts what the settings say for each session that is made for a visitor, and ends it with the session.
/// Sessions made over HTTP show their idle loop: whoever made them pushes.
pub struct Visitors {
    settings: Settings,
    engine: EngineHandle,
    faces: Mutex<HashMap<SessionId, Face>>,
}

/// What keeps one visitor's session in pictures, and the session while it does.
struct Face {
    _feed: Feed,
    _session: Arc<Session>,
}

enum Feed {
    Source(#[expect(dead_code, reason = "held for its threads")] Pacer),
    Echo(#[expect(dead_code, reason = "held for its threads")] Echo),
}

impl Visitors {
    /// For sessions of this engine.
    pub fn new(settings: Settings, engine: EngineHandle) -> Self {
        Self { settings, engine, faces: Mutex::default() }
    }

    fn start(&self, session: &Session) -> Result<Feed, String> {
        // A source that fails says so in the log; its visitor sees the idle loop from then on.
        let (failed, _) = bounded(1);
        let Settings { echo, timecode, .. } = self.settings;
        if echo {
            let fps = demo_fps(&self.settings);
            let echo = Echo::start(session, &self.engine, fps, timecode, failed);
            return Ok(Feed::Echo(echo.map_err(|error| error.to_string())?));
        }
        let source = open_source(&self.settings).map_err(|error| error.to_string())?;
        let source = source.ok_or("there is nothing to show")?;
        let sink = SessionSink { video: session.video(), audio: session.audio() };
        let pacer = Pacer::start(source, sink, timecode, failed).map_err(|e| e.to_string())?;
        Ok(Feed::Source(pacer))
    }
}

impl SessionHooks for Visitors {
    fn created(&self, session: &Arc<Session>, request: &CreateRequest) -> Result<(), String> {
        if !request.for_visitor {
            return Ok(());
        }
        let feed = self.start(session).inspect_err(|error| {
            tracing::error!(session = %session.id(), error, "no face for a visitor");
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
