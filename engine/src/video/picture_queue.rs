use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::{ArrayQueue, SegQueue};
use visavis_types::{FrameSize, I420Buffer};

use crate::budget::{Reservation, Room, Waiting};
use crate::utterance::state::UtteranceState;

/// Memory of shown pictures that is kept for those to come.
const SPARE_PICTURES: usize = 8;

/// A picture that waits for its time.
#[derive(Debug)]
pub(crate) struct PreparedPicture {
    pub(crate) picture: I420Buffer,
    pub(crate) utterance: Arc<UtteranceState>,
    /// Its time inside the utterance.
    pub(crate) time: Duration,
    pub(crate) reservation: Reservation,
}

/// The pictures of utterances on their way from callers, who put them in, to the encode loop, which takes them and
/// gives their memory back.
#[derive(Debug)]
pub(crate) struct PictureQueue {
    waiting: SegQueue<PreparedPicture>,
    spare: ArrayQueue<I420Buffer>,
    room: Room,
}

impl PictureQueue {
    /// With room for so many bytes of pictures.
    pub(crate) fn new(bytes: usize, pushers: &Arc<Waiting>) -> Self {
        let spare = ArrayQueue::new(SPARE_PICTURES);
        Self { waiting: SegQueue::new(), spare, room: Room::new(bytes, pushers) }
    }

    // --- Callers ---

    /// `None` where there is no room.
    pub(super) fn reserve(&self, is_first: bool, bytes: usize) -> Option<Reservation> {
        self.room.reserve(is_first, bytes)
    }

    /// Memory for a picture that will wait.
    pub(super) fn spare_picture(&self, size: FrameSize) -> I420Buffer {
        let mut picture = self.spare.pop().unwrap_or_else(|| I420Buffer::new(size));
        picture.resize(size);
        picture
    }

    pub(super) fn push(&self, picture: PreparedPicture) {
        self.waiting.push(picture);
    }

    // --- The encode loop ---

    pub(super) fn pop(&self) -> Option<PreparedPicture> {
        self.waiting.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn give_back(&self, picture: I420Buffer) {
        let _ = self.spare.push(picture);
    }
}
