use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What the application wants to have of what viewers send; the rest is dropped where it comes in. Written by the
/// application's threads, read by the media loops and the audio loop.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    microphones: AtomicBool,
    microphone_queue: AtomicBool,
    messages: AtomicBool,
}

impl Interest {
    /// From now on microphones are decoded.
    pub(crate) fn want_microphones(&self) {
        self.microphones.store(true, Relaxed);
    }

    pub(crate) fn wants_microphones(&self) -> bool {
        self.microphones.load(Relaxed)
    }

    /// From now on they are decoded, and what comes of it waits to be read.
    pub(crate) fn read_microphones(&self) {
        self.microphone_queue.store(true, Relaxed);
        self.want_microphones();
    }

    pub(crate) fn reads_microphones(&self) -> bool {
        self.microphone_queue.load(Relaxed)
    }

    /// From now on messages are kept.
    pub(crate) fn want_messages(&self) {
        self.messages.store(true, Relaxed);
    }

    pub(crate) fn wants_messages(&self) -> bool {
        self.messages.load(Relaxed)
    }
}
