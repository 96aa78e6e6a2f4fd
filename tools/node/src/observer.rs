//! Negotiations of viewers, for whoever listens in JavaScript.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use visavis::peer::PeerId;
use visavis::session::SessionId;
use visavis_signaling::NegotiationObserver;

use crate::inbox::Inbox;
use crate::items::Item;

/// Notes what passes, from the first wish on.
pub(crate) struct Observer {
    inbox: Arc<Inbox>,
    wanted: AtomicBool,
}

impl Observer {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, wanted: AtomicBool::new(false) }
    }

    /// From now on there are notes.
    pub(crate) fn begin(&self) {
        self.wanted.store(true, Relaxed);
    }

    fn note(&self, kind: &'static str, session: &str, peer: PeerId, text: &str) {
        if self.wanted.load(Relaxed) {
            self.inbox.note(Item {
                kind,
                session: session.to_owned(),
                peer: Some(peer.to_string()),
                detail: Some(text.to_owned()),
                ..Item::default()
            });
        }
    }
}

impl NegotiationObserver for Observer {
    fn offer(&self, session: &SessionId, peer: PeerId, sdp: &str) {
        self.note("offer", session.as_str(), peer, sdp);
    }

    fn answer(&self, peer: PeerId, sdp: &str) {
        self.note("answer", "", peer, sdp);
    }

    fn candidate(&self, peer: PeerId, candidate: &str) {
        self.note("ice-candidate", "", peer, candidate);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}
