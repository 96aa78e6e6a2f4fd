use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rtrb::Producer;
use visavis_bitstream::opus;
use visavis_codec::{Mp3Decoder, Mp3Sound};
use visavis_types::{AudioChunk, AudioChunkError, EncodedAudio};

use super::block::{
    AudioBlock, OpusBlock, OpusTiming, PcmBlock, Queued, max_samples, samples_duration,
};
use super::queue::{AudioKind, AudioQueue};
use crate::error::EncodedAudioError;
use crate::push_outcome::PushOutcome;
use crate::source_clock::Stamped;
use crate::state::capture_clock::CaptureClock;
use crate::state::counters::Counters;
use crate::state::lifecycle::Lifecycle;
use crate::state::threads::Threads;
use crate::utterance::state::UtteranceState;

/// Takes sound. Never blocks on the network or the encoder. Clone it to push from several threads;
/// they then take turns, and whose chunk comes first is theirs to see to.
#[derive(Debug, Clone)]
pub struct AudioSink {
    parts: Arc<AudioParts>,
    // One producer per ring. Only callers take these locks, never a thread of the engine.
    ring: Arc<Mutex<Producer<Queued>>>,
    mp3: Arc<Mutex<Mp3Decoder>>,
}

/// What sound goes through on its way to the audio loop.
#[derive(Debug)]
pub(crate) struct AudioParts {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) capture_clock: Arc<CaptureClock>,
    pub(crate) queue: Arc<AudioQueue>,
    /// Of sound that is pushed live, before the oldest is dropped.
    pub(crate) longest: Duration,
    pub(crate) threads: Arc<Threads>,
    /// Whether PCM can be encoded as what the session sends.
    pub(crate) encodes: bool,
}

impl AudioSink {
    pub(crate) fn new(parts: AudioParts, ring: Producer<Queued>) -> Self {
        let (parts, ring) = (Arc::new(parts), Arc::new(Mutex::new(ring)));
        Self { parts, ring, mp3: Arc::default() }
    }

    /// Queues a chunk. It is played at its own rate however fast chunks come; of more than
    /// [`SessionConfig::audio_queue`](crate::SessionConfig::audio_queue) the oldest is dropped and
    /// counted, and [`PushOutcome::DroppedOldest`] says so.
    ///
    /// # Errors
    ///
    /// A chunk whose rate, channels or length is unusable is refused, and so is any in a session whose
    /// sound came as Opus packets before, or that sends Opus in a build without the cargo feature `opus`; what was
    /// queued before is unaffected.
    pub fn push(&self, chunk: &AudioChunk<'_>) -> Result<PushOutcome, AudioChunkError> {
        chunk.validate()?;
        self.check_encoder()?;
        if !self.count(AudioKind::Pcm) {
            return Err(AudioChunkError::EncodedSession);
        }
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return Ok(refused);
        }
        let captured =
            self.parts.capture_clock.capture_time(Stamped::Sound, chunk.timestamp, Instant::now());
        Ok(self.queue_live(pcm(chunk, captured)))
    }

    /// Queues one or more whole MP3 frames, which are decoded here, on the caller's thread (about 1 % of
    /// the time they play). All frames that one sink and its clones are given are one stream.
    ///
    /// # Errors
    ///
    /// Data that is no MP3, and otherwise as [`push`](Self::push).
    pub fn push_mp3(&self, frames: &EncodedAudio<'_>) -> Result<PushOutcome, EncodedAudioError> {
        let mut decoder = self.mp3.lock().unwrap_or_else(PoisonError::into_inner);
        let (samples, sound) = decode_mp3(&mut decoder, frames)?;
        self.check_encoder()?;
        if !self.count(AudioKind::Pcm) {
            return Err(EncodedAudioError::OpusSession);
        }
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return Ok(refused);
        }
        let captured =
            self.parts.capture_clock.capture_time(Stamped::Sound, frames.timestamp, Instant::now());
        let Mp3Sound { sample_rate, channels } = sound;
        Ok(self.queue_live(PcmBlock { samples, sample_rate, channels, captured }))
    }

    /// Queues one Opus packet, which goes as it is to viewers that take Opus. Packets are sent at the rate
    /// at which they play, however fast they come, and the oldest is dropped as with [`push`](Self::push).
    ///
    /// # Errors
    ///
    /// A broken packet is refused; so is any in a session whose sound came as PCM before.
    pub fn push_opus(&self, packet: &EncodedAudio<'_>) -> Result<PushOutcome, EncodedAudioError> {
        let samples = opus::duration(packet.data)?;
        let captured =
            self.parts.capture_clock.capture_time(Stamped::Sound, packet.timestamp, Instant::now());
        let (data, timing) = (Arc::from(packet.data), OpusTiming::Paced);
        self.push_block(OpusBlock { data, samples, captured, timing })
    }

    pub(crate) fn push_block(&self, block: OpusBlock) -> Result<PushOutcome, EncodedAudioError> {
        if !self.count(AudioKind::Opus) {
            return Err(EncodedAudioError::RawSession);
        }
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return Ok(refused);
        }
        Ok(self.queue(vec![AudioBlock::Opus(block)]))
    }

    /// How much of what was pushed live is still to be sent: nothing once the last packet has left, or the session was
    /// stopped. What is said in utterances is told by
    /// [`UtteranceProgress`](crate::utterance::UtteranceProgress).
    pub fn waiting(&self) -> Duration {
        match self.parts.lifecycle.refusal() {
            Some(_) => Duration::ZERO,
            None => samples_duration(self.parts.queue.live()),
        }
    }

    // --- Utterances ---

    /// Lines an utterance up; false where that is not possible now.
    pub(crate) fn begin(&self, utterance: Arc<UtteranceState>) -> bool {
        self.queue(vec![AudioBlock::Begin(utterance)]) == PushOutcome::Accepted
    }

    /// Whether the session's sound is given as PCM, or not yet at all.
    pub(crate) fn takes_pcm(&self) -> bool {
        self.parts.queue.claim(AudioKind::Pcm)
    }

    pub(crate) fn push_into(
        &self,
        chunk: &AudioChunk<'_>,
        utterance: &Arc<UtteranceState>,
    ) -> Result<PushOutcome, AudioChunkError> {
        chunk.validate()?;
        let time = utterance.time_of(chunk.timestamp).map_err(AudioChunkError::Timestamp)?;
        self.check_encoder()?;
        if !self.count(AudioKind::Pcm) {
            return Err(AudioChunkError::EncodedSession);
        }
        let outcome = self.queue_speech(pcm(chunk, Instant::now()), utterance, time);
        if outcome == PushOutcome::Accepted {
            self.parts.counters.count_stamp(!utterance.is_before(chunk.timestamp));
        }
        Ok(outcome)
    }

    pub(crate) fn push_mp3_into(
        &self,
        frames: &EncodedAudio<'_>,
        decoder: &mut Mp3Decoder,
        utterance: &Arc<UtteranceState>,
    ) -> Result<PushOutcome, EncodedAudioError> {
        let time = utterance.time_of(frames.timestamp).map_err(AudioChunkError::Timestamp)?;
        // What is refused for want of room is pushed again, and decoded again.
        let mut tried = decoder.clone();
        let (samples, Mp3Sound { sample_rate, channels }) = decode_mp3(&mut tried, frames)?;
        self.check_encoder()?;
        if !self.count(AudioKind::Pcm) {
            return Err(EncodedAudioError::OpusSession);
        }
        let captured = Instant::now();
        let block = PcmBlock { samples, sample_rate, channels, captured };
        let outcome = self.queue_speech(block, utterance, time);
        if outcome != PushOutcome::Full {
            *decoder = tried;
            self.parts.counters.count_stamp(!utterance.is_before(frames.timestamp));
        }
        Ok(outcome)
    }

    fn queue_speech(
        &self,
        block: PcmBlock,
        utterance: &Arc<UtteranceState>,
        time: Duration,
    ) -> PushOutcome {
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return refused;
        }
        if utterance.is_interrupted() {
            return PushOutcome::Dropped;
        }
        let (is_first, samples) = (utterance.is_first(), block.full_rate_samples());
        let Some(mut reservation) = self.parts.queue.reserve(is_first, samples) else {
            return PushOutcome::Full;
        };
        utterance.sound_pushed(Instant::now());
        let pieces = block.into_pieces().into_iter().map(|(before, block)| {
            let reservation = reservation.split(block.full_rate_samples());
            let (utterance, time) = (Arc::clone(utterance), time + before);
            AudioBlock::Speech { block, utterance, time, reservation }
        });
        self.queue(pieces.collect())
    }

    // --- The way to the audio loop ---

    fn check_encoder(&self) -> Result<(), AudioChunkError> {
        if self.parts.encodes { Ok(()) } else { Err(AudioChunkError::NoOpusEncoder) }
    }

    /// Counts a chunk; false where the session's sound is given otherwise.
    fn count(&self, kind: AudioKind) -> bool {
        let agreed = self.parts.queue.claim(kind);
        if agreed {
            self.parts.counters.audio_chunks.fetch_add(1, Relaxed);
        }
        agreed
    }

    fn queue_live(&self, block: PcmBlock) -> PushOutcome {
        let pieces = block.into_pieces();
        self.queue(pieces.into_iter().map(|(_, block)| AudioBlock::Pcm(block)).collect())
    }

    /// Hands blocks over, all or none. The ring is full only where the audio loop does not keep up.
    fn queue(&self, blocks: Vec<AudioBlock>) -> PushOutcome {
        let interruptions = self.parts.queue.interruptions();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if ring.slots() < blocks.len() {
            let samples: usize = blocks.iter().map(AudioBlock::full_rate_samples).sum();
            match blocks.first() {
                Some(AudioBlock::Speech { .. }) => PushOutcome::Full,
                _ => {
                    self.parts.counters.dropped_audio_samples.fetch_add(samples as u64, Relaxed);
                    PushOutcome::Dropped
                }
            }
        } else {
            let live: usize = blocks.iter().map(AudioBlock::live_samples).sum();
            let waiting = self.parts.queue.add_live(live as u64);
            for block in blocks {
                // There is room: nobody else holds the lock.
                let _ = ring.push(Queued { block, interruptions });
            }
            let most = max_samples(self.parts.longest) as u64;
            match waiting.saturating_sub(most) {
                excess if live > 0 && excess > 0 => {
                    PushOutcome::DroppedOldest(samples_duration(excess))
                }
                _ => PushOutcome::Accepted,
            }
        };
        drop(ring);
        self.parts.threads.audio.wake();
        outcome
    }
}

fn pcm(chunk: &AudioChunk<'_>, captured: Instant) -> PcmBlock {
    let AudioChunk { sample_rate, channels, .. } = *chunk;
    PcmBlock { samples: chunk.samples(), sample_rate, channels, captured }
}

fn decode_mp3(
    decoder: &mut Mp3Decoder,
    frames: &EncodedAudio<'_>,
) -> Result<(Vec<i16>, Mp3Sound), EncodedAudioError> {
    let mut samples = Vec::new();
    let sound = decoder.decode(frames.data, &mut samples)?;
    if !AudioChunk::SAMPLE_RATES_HZ.contains(&sound.sample_rate) {
        return Err(AudioChunkError::SampleRate(sound.sample_rate).into());
    }
    Ok((samples, sound))
}
