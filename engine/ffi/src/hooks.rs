//! What the server tells of the sessions that are made over HTTP, and of what is uploaded into sessions.

use std::sync::Arc;

use visavis::Session;
use visavis::session::SessionId;
use visavis::utterance::Utterance;
use visavis_signaling::{CreateRequest, EndReason, SessionHooks, SpeechChunk};

use crate::arrivals::Arrivals;
use crate::status::Result;
use crate::uploads::Uploads;

/// Each in a queue of its own.
pub(crate) struct Hooks {
    pub(crate) arrivals: Arrivals,
    pub(crate) uploads: Arc<Uploads>,
}

impl Hooks {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let (arrivals, uploads) = (Arrivals::new()?, Arc::new(Uploads::new()?));
        Ok(Arc::new(Self { arrivals, uploads }))
    }
}

impl SessionHooks for Hooks {
    fn created(
        &self,
        session: &Arc<Session>,
        request: &CreateRequest,
    ) -> std::result::Result<(), String> {
        self.arrivals.add(session, request);
        Ok(())
    }

    fn ended(&self, session: &SessionId, reason: EndReason) {
        self.arrivals.end(session, reason);
    }

    fn speech(&self, chunk: &SpeechChunk<'_>) {
        self.uploads.add(chunk);
    }

    fn speech_ended(&self, session: &SessionId, utterance: &Arc<Utterance>) {
        self.uploads.end(session, utterance);
    }
}
