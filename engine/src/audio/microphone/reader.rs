use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::chunk::{Callback, MicChunk};
use crate::receiver::Receiver;
use crate::state::interest::Interest;

/// Where the application asks for what viewers send.
pub(crate) struct MicReader {
    chunks: Receiver<MicChunk>,
    callbacks: Sender<Callback>,
    interest: Arc<Interest>,
}

impl MicReader {
    pub(super) fn new(
        chunks: Receiver<MicChunk>,
        callbacks: Sender<Callback>,
        interest: Arc<Interest>,
    ) -> Self {
        Self { chunks, callbacks, interest }
    }

    /// From now on chunks wait to be read.
    pub(crate) fn open(&self) -> Receiver<MicChunk> {
        self.interest.read_microphones();
        self.chunks.clone()
    }

    /// From now on `callback` is called with each chunk, and none that was given before.
    pub(crate) fn call(&self, callback: impl FnMut(&MicChunk) + Send + 'static) {
        let _ = self.callbacks.send(Box::new(callback));
        self.interest.want_microphones();
    }
}

impl fmt::Debug for MicReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicReader").finish_non_exhaustive()
    }
}
