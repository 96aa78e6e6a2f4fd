use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use rtrb::{Producer, PushError};
use visavis_types::{AudioChunk, AudioChunkError};

use super::{AudioBlock, SAMPLE_RATE_HZ};
use crate::PushOutcome;
use crate::shared::SessionShared;
use crate::video::capture_time;

/// Takes sound. Never blocks on the network or the encoder. Clone it to push from several threads;
/// they then take turns, and whose chunk comes first is theirs to see to.
#[derive(Debug, Clone)]
pub struct AudioSink {
    shared: Arc<SessionShared>,
    // One producer per ring. Only callers take this lock, never a thread of the engine.
    ring: Arc<Mutex<Producer<AudioBlock>>>,
    audio_thread: Thread,
}

impl AudioSink {
    pub(crate) fn new(
        shared: Arc<SessionShared>,
        ring: Producer<AudioBlock>,
        audio_thread: Thread,
    ) -> Self {
        Self { shared, ring: Arc::new(Mutex::new(ring)), audio_thread }
    }

    /// Queues a chunk. It is played at its own rate however fast chunks come; of more than
    /// [`SessionConfig::audio_queue`](crate::SessionConfig::audio_queue) the oldest is dropped and
    /// counted.
    ///
    /// # Errors
    ///
    /// A chunk whose rate, channels or length is unusable is refused; what was queued before is
    /// unaffected.
    pub fn push(&self, chunk: &AudioChunk<'_>) -> Result<PushOutcome, AudioChunkError> {
        let frames = chunk.validate()?;
        let counters = &self.shared.counters;
        counters.audio_chunks.fetch_add(1, Relaxed);
        if !self.shared.is_started() {
            return Ok(PushOutcome::NotStarted);
        }
        let (pairs, _) = chunk.data.as_chunks::<2>();
        let block = AudioBlock {
            samples: pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect(),
            sample_rate: chunk.sample_rate,
            channels: chunk.channels,
            captured: capture_time(&self.shared.clock, chunk.timestamp, Instant::now()),
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(PushError::Full(_)) = ring.push(block) {
            let dropped = frames as u64 * u64::from(SAMPLE_RATE_HZ) / u64::from(chunk.sample_rate);
            counters.dropped_audio_samples.fetch_add(dropped, Relaxed);
        }
        drop(ring);
        self.audio_thread.unpark();
        Ok(PushOutcome::Accepted)
    }
}
