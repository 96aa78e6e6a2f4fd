use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::push_outcome::PushOutcome;

/// Whether a session was started or stopped. Written by the application's threads alone, through its
/// [`Session`](crate::Session) or the [`Engine`](crate::Engine); read by everybody.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    started: AtomicBool,
    stopped: AtomicBool,
}

impl Lifecycle {
    pub(crate) fn start(&self) {
        self.started.store(true, Relaxed);
    }

    pub(crate) fn stop(&self) {
        self.started.store(false, Relaxed);
        self.stopped.store(true, Relaxed);
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Relaxed)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// What becomes of a push where nothing is taken.
    pub(crate) fn refusal(&self) -> Option<PushOutcome> {
        match (self.is_started(), self.is_stopped()) {
            (true, _) => None,
            (false, true) => Some(PushOutcome::Stopped),
            (false, false) => Some(PushOutcome::NotStarted),
        }
    }
}
