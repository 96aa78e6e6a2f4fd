use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use rtrb::{Producer, PushError};
use visavis_core::bitstream::opus;
use visavis_types::{AudioChunk, AudioChunkError, EncodedAudio};

use super::{AudioBlock, OpusBlock, OpusTiming, PcmBlock, SAMPLE_RATE_HZ};
use crate::shared::{AudioKind, SessionShared};
use crate::source_clock::Stamped;
use crate::{EncodedAudioError, PushOutcome};

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
    /// A chunk whose rate, channels or length is unusable is refused, and so is any in a session whose
    /// sound came as Opus packets before; what was queued before is unaffected.
    pub fn push(&self, chunk: &AudioChunk<'_>) -> Result<PushOutcome, AudioChunkError> {
        let frames = chunk.validate()?;
        if !self.shared.claim_audio(AudioKind::Pcm) {
            return Err(AudioChunkError::EncodedSession);
        }
        let counters = &self.shared.counters;
        counters.audio_chunks.fetch_add(1, Relaxed);
        if !self.shared.is_started() {
            return Ok(PushOutcome::NotStarted);
        }
        let block = AudioBlock::Pcm(PcmBlock {
            samples: chunk.samples(),
            sample_rate: chunk.sample_rate,
            channels: chunk.channels,
            captured: self.shared.capture_time(Stamped::Sound, chunk.timestamp, Instant::now()),
        });
        let samples = frames as u64 * u64::from(SAMPLE_RATE_HZ) / u64::from(chunk.sample_rate);
        self.queue(block, samples);
        Ok(PushOutcome::Accepted)
    }

    /// Queues one Opus packet, which goes to viewers as it is. Packets are sent at the rate at which
    /// they play, however fast they come, and the oldest is dropped as with [`push`](Self::push).
    ///
    /// # Errors
    ///
    /// A broken packet is refused; so is any in a session whose sound came as PCM before.
    pub fn push_opus(&self, packet: &EncodedAudio<'_>) -> Result<PushOutcome, EncodedAudioError> {
        let samples = opus::duration(packet.data)?;
        let captured = self.shared.capture_time(Stamped::Sound, packet.timestamp, Instant::now());
        let (data, timing) = (Arc::from(packet.data), OpusTiming::Paced);
        self.push_block(OpusBlock { data, samples, captured, timing })
    }

    pub(crate) fn push_block(&self, block: OpusBlock) -> Result<PushOutcome, EncodedAudioError> {
        if !self.shared.claim_audio(AudioKind::Opus) {
            return Err(EncodedAudioError::RawSession);
        }
        self.shared.counters.audio_chunks.fetch_add(1, Relaxed);
        if !self.shared.is_started() {
            return Ok(PushOutcome::NotStarted);
        }
        let samples = block.samples.into();
        self.queue(AudioBlock::Opus(block), samples);
        Ok(PushOutcome::Accepted)
    }

    /// Hands a block of so many samples at 48 kHz to the audio loop.
    fn queue(&self, block: AudioBlock, samples: u64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(PushError::Full(_)) = ring.push(block) {
            self.shared.counters.dropped_audio_samples.fetch_add(samples, Relaxed);
        }
        drop(ring);
        self.audio_thread.unpark();
    }
}
