use std::fmt;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use visavis_types::{FrameSize, PixelFormat, Stamps};

/// Frames under way at once: one waits, one is being encoded, and two callers may be writing.
const SLOTS: usize = 4;

/// Where raw video waits for the encoder: the newest frame wins. Lock-free on both sides, and after
/// the first frames of a size nothing is allocated.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: ArrayQueue<Slot>,
    free: ArrayQueue<Slot>,
}

/// A frame's memory and what is known of the frame in it.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) pixels: Vec<u8>,
    /// Where the frame is, if it is not in `pixels`.
    pub(crate) buffer: Option<Buffer>,
    pub(crate) frame: Option<FrameInfo>,
}

impl Slot {
    /// The frame.
    pub(crate) fn data(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&self.pixels, |buffer| (*buffer.0).as_ref())
    }
}

/// Memory of the application's that a frame is in.
pub(crate) struct Buffer(pub(crate) Box<dyn AsRef<[u8]> + Send + Sync>);

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameInfo {
    pub(crate) size: FrameSize,
    pub(crate) format: PixelFormat,
    pub(crate) captured: Instant,
    pub(crate) stamps: Stamps,
}

impl Default for Mailbox {
    fn default() -> Self {
        let free = ArrayQueue::new(SLOTS);
        for _ in 0..SLOTS {
            let _ = free.push(Slot::default());
        }
        Self { waiting: ArrayQueue::new(1), free }
    }
}

impl Mailbox {
    /// Memory for a frame, to be [posted](Self::post) or [given back](Self::give_back). `None` where more
    /// callers are writing at once than there are slots.
    pub(crate) fn free_slot(&self) -> Option<Slot> {
        self.free.pop()
    }

    /// Puts a frame in. False where an older one that nobody had taken made way.
    pub(crate) fn post(&self, slot: Slot) -> bool {
        let older = self.waiting.force_push(slot);
        let first = older.is_none();
        older.into_iter().for_each(|older| self.give_back(older));
        first
    }

    /// Whether there is a frame.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the newest frame, if there is one.
    pub(crate) fn take(&self) -> Option<Taken<'_>> {
        Some(Taken { slot: self.waiting.pop()?, mailbox: self })
    }

    pub(crate) fn give_back(&self, mut slot: Slot) {
        slot.buffer = None;
        // There are never more slots than places.
        let _ = self.free.push(slot);
    }
}

/// A frame that was taken. Its memory goes back when this is dropped, whatever happens to the encoder.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    slot: Slot,
    mailbox: &'a Mailbox,
}

impl std::ops::Deref for Taken<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.mailbox.give_back(std::mem::take(&mut self.slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> FrameInfo {
        let now = Instant::now();
        FrameInfo {
            size: FrameSize::new(16, 16).unwrap(),
            format: PixelFormat::I420,
            captured: now,
            stamps: Stamps::pushed(now),
        }
    }

    fn put(mailbox: &Mailbox, pixels: &[u8]) -> bool {
        let mut slot = mailbox.free_slot().unwrap();
        slot.pixels.clear();
        slot.pixels.extend_from_slice(pixels);
        slot.frame = Some(info());
        mailbox.post(slot)
    }

    #[test]
    fn the_newest_frame_wins() {
        let mailbox = Mailbox::default();
        assert!(put(&mailbox, &[1]));
        assert!(!put(&mailbox, &[2]));
        assert_eq!(mailbox.take().unwrap().pixels, [2]);
        assert!(mailbox.take().is_none());
    }

    #[test]
    fn slots_go_round_without_new_memory() {
        let mailbox = Mailbox::default();
        let mut addresses = std::collections::HashSet::new();
        for _ in 0..100 {
            put(&mailbox, &[7; 384]);
            let slot = mailbox.take().unwrap();
            addresses.insert(slot.pixels.as_ptr());
        }
        assert!(addresses.len() <= SLOTS);
    }

    #[test]
    fn writers_beyond_the_slots_are_told() {
        let mailbox = Mailbox::default();
        let held: Vec<Slot> = (0..SLOTS).map(|_| mailbox.free_slot().unwrap()).collect();
        assert!(mailbox.free_slot().is_none());
        held.into_iter().for_each(|slot| mailbox.give_back(slot));
        assert!(put(&mailbox, &[1]));
    }
}
