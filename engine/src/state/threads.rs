use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use crate::budget::Waiting;

/// A thread that parks while it has nothing to do, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Sleeper(OnceLock<Thread>);

impl Sleeper {
    /// Sets which thread it is; the first time counts.
    pub(crate) fn set(&self, thread: &Thread) {
        let _ = self.0.set(thread.clone());
    }

    /// The thread, once there is one.
    pub(crate) fn get(&self) -> Option<&Thread> {
        self.0.get()
    }

    pub(crate) fn wake(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

/// The threads that wait for something of one session, media loops apart: whoever gives them something to do wakes
/// them. Written when they are made, woken by everybody.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    /// There is none where pictures come encoded.
    pub(crate) encode: Sleeper,
    /// That of all sessions.
    pub(crate) audio: Sleeper,
    /// Callers that wait for room for more of an utterance.
    pub(crate) pushers: Arc<Waiting>,
}

impl Threads {
    /// Everybody who may have something to do now, or need not wait any longer.
    pub(crate) fn wake_all(&self) {
        self.audio.wake();
        self.encode.wake();
        self.pushers.wake();
    }
}
