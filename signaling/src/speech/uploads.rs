//! How many uploads are played at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::turns::Queues;

/// The uploads that are being played. Dropping it ends them.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    playing: AtomicUsize,
    pub(super) stop: AtomicBool,
    pub(super) queues: Arc<Queues>,
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

/// One of the uploads that may be played at a time.
pub(super) struct UploadSlot(pub(super) Arc<Shared>);

impl Uploads {
    pub(super) fn reserve(&self, most: usize) -> Option<UploadSlot> {
        let more = |playing| (playing < most).then_some(playing + 1);
        self.shared.playing.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(UploadSlot(Arc::clone(&self.shared)))
    }
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        self.0.playing.fetch_sub(1, Relaxed);
    }
}
