//! Memory that goes back to the application.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crossbeam_queue::SegQueue;

use crate::callback::UserPointer;

/// Buffers that the engine has read, and that their owner is to be told of. Only threads of the application tell.
#[derive(Default)]
pub(crate) struct Releases {
    waiting: SegQueue<UserPointer>,
    /// Nobody will look any more.
    closed: AtomicBool,
}

impl Releases {
    /// Tells of all that wait, on this thread.
    pub(crate) fn tell(&self) {
        while let Some(user) = self.waiting.pop() {
            drop(user);
        }
    }

    /// From now on each is told of at once.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.tell();
    }

    /// One more, by whichever thread.
    pub(crate) fn add(&self, user: UserPointer) {
        self.waiting.push(user);
        if self.closed.load(SeqCst) {
            self.tell();
        }
    }
}
