//! What is known of a session's sound on its way from callers to the audio loop, the ring apart.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

use super::block::max_samples;
use crate::budget::{Reservation, Room, Waiting};

/// How the sound of a session is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum AudioKind {
    Pcm = 1,
    Opus = 2,
}

/// Counts of the sound that waits. Callers write what they push and that they interrupt, the audio loop what it takes
/// in and sends; each reads what the other wrote.
#[derive(Debug)]
pub(crate) struct AudioQueue {
    /// 0, or an [`AudioKind`]; the first push sets it.
    kind: AtomicU8,
    /// For the sound of utterances.
    room: Room,
    interruptions: AtomicU64,
    /// Live sound on its way to the audio loop, in samples at 48 kHz.
    arriving: AtomicU64,
    /// Likewise, what waits there. Written by the audio loop.
    waiting: AtomicU64,
    /// How much of what is played live was sent, in µs. Written by the audio loop.
    played: AtomicU64,
}

impl AudioQueue {
    /// With room for so much of the sound of utterances.
    pub(crate) fn new(utterances: Duration, pushers: &Arc<Waiting>) -> Self {
        Self {
            kind: AtomicU8::new(0),
            room: Room::new(max_samples(utterances), pushers),
            interruptions: AtomicU64::new(0),
            arriving: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            played: AtomicU64::new(0),
        }
    }

    // --- Callers ---

    /// Sets how the session's sound is given. False where it was given otherwise before.
    pub(crate) fn claim(&self, kind: AudioKind) -> bool {
        let kind = kind as u8;
        match self.kind.compare_exchange(0, kind, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(before) => before == kind,
        }
    }

    /// Room for samples of an utterance; `None` where there is none.
    pub(super) fn reserve(&self, is_first: bool, samples: usize) -> Option<Reservation> {
        self.room.reserve(is_first, samples)
    }

    /// Samples pushed live are put into the ring; returns how many there are of them on the whole way.
    pub(super) fn add_live(&self, samples: u64) -> u64 {
        self.arriving.fetch_add(samples, Relaxed) + samples + self.waiting.load(Relaxed)
    }

    /// Samples pushed live on the whole way.
    pub(super) fn live(&self) -> u64 {
        // In this order: what has just been taken out of the ring is seen to wait.
        self.arriving.load(Acquire) + self.waiting.load(Relaxed)
    }

    /// Sound that is pushed live, and waits, is to be dropped.
    pub(crate) fn interrupt(&self) {
        self.interruptions.fetch_add(1, Relaxed);
    }

    /// How much of what is played live was sent.
    pub(crate) fn played(&self) -> Duration {
        Duration::from_micros(self.played.load(Relaxed))
    }

    /// How often sound that is pushed live was interrupted.
    pub(super) fn interruptions(&self) -> u64 {
        self.interruptions.load(Relaxed)
    }

    // --- The audio loop ---

    /// Samples pushed live were taken out of the ring, and count in [`set_waiting`](Self::set_waiting) already: a moment of
    /// neither would look as if all were sent.
    pub(super) fn take_live(&self, samples: u64) {
        self.arriving.fetch_sub(samples, Release);
    }

    pub(super) fn set_waiting(&self, samples: u64) {
        self.waiting.store(samples, Relaxed);
    }

    pub(super) fn set_played(&self, played: Duration) {
        self.played.store(played.as_micros() as u64, Relaxed);
    }
}
