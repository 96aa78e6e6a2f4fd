//! One session's sound, from what was pushed to what is sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rtrb::Consumer;
use visavis_codec::{OpusError, ResampleError, Resampler};
use visavis_types::{AudioPacket, Refusal, Refusals, SessionId};

use super::block::{AudioBlock, PcmBlock, Queued, SAMPLE_RATE_HZ, samples_duration};
use super::drift::DriftCorrector;
use super::encoders::Encoders;
use super::microphone::microphones::Microphones;
use super::opus_queue::OpusQueue;
use super::pacer::Pacer;
use super::queue::AudioQueue;
use super::sound::Sound;
use super::speech::{Speech, Tally, UtteranceEvent};
use crate::config::SessionConfig;
use crate::event::Event;
use crate::media::loop_rings::{Full, LoopRings};
use crate::state::counters::Counters;
use crate::state::demand::{Demand, Listeners};
use crate::state::lifecycle::Lifecycle;
use crate::state::threads::Threads;

/// One session's sound.
pub(crate) struct AudioSource {
    parts: SourceParts,
    input: Consumer<Queued>,
    output: LoopRings<AudioPacket>,
    live: Live,
    speech: Speech,
    /// How often the session was interrupted, as far as is seen to.
    interruptions: u64,
    pacer: Pacer,
    packets: OpusQueue,
    encoders: Encoders,
    /// Reused.
    packet: Sound,
    microphones: Microphones,
    /// More was pushed than could be taken in.
    behind: bool,
}

/// What the sound of a session shares with others.
pub(crate) struct SourceParts {
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) demand: Arc<Demand>,
    pub(crate) queue: Arc<AudioQueue>,
    pub(crate) threads: Arc<Threads>,
    pub(crate) refusals: Arc<Refusals>,
    /// Nothing is ever sent: it is dropped once all that becomes of the sound was told.
    #[expect(dead_code, reason = "that it is there is what it tells")]
    pub(crate) done: Sender<Infallible>,
}

/// How long a session may take in what was pushed before the others get their turn.
const TAKE_IN: Duration = Duration::from_millis(2);

/// What the clock corrector may take out of the sound, and a little more by which a chunk ever differs from its
/// share at 48 kHz: 3 ms. A packet that lacks a sample waits for the next chunk.
const SPARE_SAMPLES: usize = 144;

/// Sound that is pushed as it happens, on its way to 48 kHz.
#[derive(Default)]
struct Live {
    /// From which rate.
    resampler: Option<(u32, Resampler)>,
    drift: DriftCorrector,
    /// Samples put before the first of this talkspurt.
    padding: usize,
    /// Reused.
    resampled: Sound,
}

impl AudioSource {
    pub(crate) fn new(
        parts: SourceParts,
        input: Consumer<Queued>,
        output: LoopRings<AudioPacket>,
        microphones: Microphones,
    ) -> Result<Self, OpusError> {
        let config = &parts.config;
        Ok(Self {
            live: Live::default(),
            speech: Speech::default(),
            interruptions: 0,
            pacer: Pacer::new(config.audio_queue, config.packet_time),
            packets: OpusQueue::new(config.audio_queue),
            encoders: Encoders::new(config)?,
            parts,
            input,
            output,
            packet: Sound::default(),
            microphones,
            behind: false,
        })
    }

    /// Whose sound it is.
    pub(super) fn session(&self) -> &SessionId {
        &self.parts.config.id
    }

    /// Whether its session was stopped.
    pub(super) fn is_over(&self) -> bool {
        self.parts.lifecycle.is_stopped()
    }

    /// Sends what is due, and emits what has happened.
    pub(super) fn run(&mut self, now: Instant, emit: &mut impl FnMut(&Event)) {
        self.speech.mark_ends();
        self.behind = !self.take_in(now);
        if !self.behind {
            self.speech.all_taken_in();
        }
        self.handle_interruption(now, emit);
        let mut sent = false;
        // Each turn of an utterance may make something due, and what is sent may end it.
        loop {
            let turn =
                self.speech.run(&mut self.pacer, self.parts.config.packet_time, self.behind, now);
            sent |= self.send_due(now);
            self.speech.note_sent(&self.pacer, now);
            let Some(turn) = turn else { break };
            self.parts.threads.encode.wake();
            self.parts.threads.pushers.wake();
            emit(&self.event(&turn));
        }
        self.count();
        self.parts.queue.set_played(self.pacer.played());
        // Time goes on, even where nobody listens.
        self.count_waiting();
        if sent {
            self.output.wake();
        }
    }

    /// Counts how much live sound waits.
    fn count_waiting(&self) {
        let waiting = self.pacer.waiting() as u64 + self.packets.waiting();
        self.parts.queue.set_waiting(waiting);
    }

    /// Takes in microphones, up to `until`; true where there is more. What is sent is not kept waiting by it.
    pub(super) fn run_microphones(
        &mut self,
        now: Instant,
        until: Instant,
        emit: &mut impl FnMut(&Event),
    ) -> bool {
        let more = self.microphones.run(now, until, emit);
        match self.microphones.take_refused() {
            0 => {}
            refused => self.parts.refusals.count_many(Refusal::Microphone, refused),
        }
        more
    }

    /// Its session was stopped: emits the end of whatever is played, or was to be.
    pub(super) fn close(&mut self, emit: &mut impl FnMut(&Event)) {
        // Whoever begins an utterance looks for the stop after having put it into the ring.
        fence(SeqCst);
        while let Ok(Queued { block, .. }) = self.input.pop() {
            if let AudioBlock::Begin(utterance) = block {
                self.speech.begin(utterance);
            }
        }
        let mut events = Vec::new();
        self.speech.close(|event| events.push(event));
        events.iter().for_each(|event| emit(&self.event(event)));
        self.parts.threads.pushers.wake();
    }

    fn count(&mut self) {
        let Tally { dropped, corrected, moved } = self.speech.take_tally();
        if moved {
            self.parts.threads.encode.wake();
        }
        if dropped > 0 {
            self.parts.counters.dropped_audio_samples.fetch_add(dropped, Relaxed);
        }
        if corrected > 0 {
            self.parts.counters.corrected_stamps.fetch_add(corrected, Relaxed);
        }
    }

    fn event(&self, turn: &UtteranceEvent) -> Event {
        let session = self.parts.config.id.clone();
        let (UtteranceEvent::Started(state)
        | UtteranceEvent::Ended(state)
        | UtteranceEvent::Interrupted(state)) = turn;
        let (utterance, sent) = (state.id, state.sent());
        match turn {
            UtteranceEvent::Started(_) => Event::UtteranceStarted { session, utterance },
            UtteranceEvent::Ended(_) => Event::UtteranceEnded { session, utterance, sent },
            UtteranceEvent::Interrupted(_) => {
                Event::Interrupted { session, utterance: Some(utterance), sent }
            }
        }
    }

    /// Drops what was pushed live before an interruption.
    fn handle_interruption(&mut self, now: Instant, emit: &mut impl FnMut(&Event)) {
        let interruptions = self.parts.queue.interruptions();
        if interruptions == self.interruptions {
            return;
        }
        self.interruptions = interruptions;
        // Where an utterance plays it is the one that is cut off, and its event is emitted in its turn.
        if self.speech.is_playing() {
            return;
        }
        let sent = self.pacer.played();
        self.pacer.cut(&Sound::default(), now);
        self.packets.clear();
        self.count_waiting();
        if !sent.is_zero() {
            let session = self.parts.config.id.clone();
            emit(&Event::Interrupted { session, utterance: None, sent });
        }
    }

    /// When [`run`](Self::run) should be called though nothing was pushed.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.behind {
            return Some(now);
        }
        let deadlines = [
            self.pacer.deadline(),
            self.packets.deadline(),
            self.speech.deadline(now),
            self.microphones.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Moves what was pushed into the queues, for as long as other sound may wait; true where that was all.
    fn take_in(&mut self, now: Instant) -> bool {
        let until = Instant::now() + TAKE_IN;
        while let Ok(Queued { block, interruptions }) = self.input.pop() {
            let live = block.live_samples() as u64;
            let cut_off = interruptions < self.parts.queue.interruptions();
            let dropped = match block {
                AudioBlock::Opus(block) if cut_off => Ok(block.samples.into()),
                AudioBlock::Pcm(block) if cut_off => Ok(block.full_rate_samples() as u64),
                AudioBlock::Opus(block) => Ok(self.packets.push(block)),
                // An utterance goes before it.
                AudioBlock::Pcm(block) if self.speech.is_playing() => {
                    Ok(block.full_rate_samples() as u64)
                }
                AudioBlock::Pcm(block) => self.live.push(&block, &mut self.pacer, now),
                AudioBlock::Begin(utterance) => {
                    self.speech.begin(utterance);
                    Ok(0)
                }
                AudioBlock::Speech { block, utterance, time, reservation } => {
                    self.speech.push(&block, &utterance, (time, reservation), now).map(|()| 0)
                }
            };
            let dropped = dropped.unwrap_or_else(|error| {
                tracing::error!(session = %self.parts.config.id, %error, "sound not resampled");
                0
            });
            self.parts.counters.dropped_audio_samples.fetch_add(dropped, Relaxed);
            self.count_waiting();
            if live > 0 {
                self.parts.queue.take_live(live);
            }
            if Instant::now() >= until {
                return false;
            }
        }
        true
    }

    /// Encodes and hands over what is due; true if anything was.
    fn send_due(&mut self, now: Instant) -> bool {
        let Self { parts, speech, pacer, packets, encoders, output, packet, .. } = self;
        let Listeners { renditions, lossy } = parts.demand.listeners();
        let mut sent = false;
        // A full ring means the media loop stands still; sound this old is then better lost.
        let mut send = |packet| match output.push(packet) {
            Ok(()) => sent = true,
            Err(Full) => {
                parts.counters.dropped_audio_packets.fetch_add(1, Relaxed);
            }
        };
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(session = %parts.config.id, %error, "sound not encoded");
        };
        if let Err(error) = encoders.correct(lossy) {
            failed(&error);
        }
        // Where the loop is late several packets are due. Each is counted before it is made, which takes a while: an
        // interruption counts it too, or comes first, and then none follows.
        while speech.claim_packet(pacer, now)
            && let Some(slot) = pacer.poll(now, packet)
        {
            parts.queue.set_played(pacer.played());
            // Time goes on, even where nobody listens.
            if let Err(error) = encoders.encode(&slot, packet, renditions, &mut send) {
                failed(&error);
            }
        }
        while let Some((data, slot)) = packets.poll(now) {
            if let Err(error) = encoders.pass_on(&data, &slot, renditions, &mut send) {
                failed(&error);
            }
        }
        sent
    }
}

impl Drop for AudioSource {
    fn drop(&mut self) {
        // Where it was closed already, there is nothing left to end.
        self.close(&mut |_| {});
    }
}

impl Live {
    /// Hands a chunk to the pacer; returns how many samples had to go for it.
    fn push(
        &mut self,
        block: &PcmBlock,
        pacer: &mut Pacer,
        now: Instant,
    ) -> Result<u64, ResampleError> {
        let (rate, channels) = (block.sample_rate, block.channels);
        let mut resampler = match self.resampler.take() {
            Some((of, resampler)) if of == rate => resampler,
            _ => Resampler::new(rate, channels, SAMPLE_RATE_HZ, channels)?,
        };
        resampler.set_channels(channels, channels)?;
        if let Some(ppm) = self.drift.watch(pacer.lead(now), now) {
            resampler.correct(ppm)?;
        }
        self.resampled.begin(block.is_stereo());
        resampler.process(&block.samples, &mut self.resampled.samples)?;
        if !pacer.is_playing() {
            // The filter keeps back what it needs of the next chunk. Without something in its place each
            // packet would wait for the chunk after its own: a whole packet's delay for want of a sample.
            let missing = block.full_rate_samples().saturating_sub(self.resampled.frames());
            self.padding = missing + SPARE_SAMPLES;
            let silence = self.padding << usize::from(self.resampled.stereo);
            self.resampled.samples.splice(..0, std::iter::repeat_n(0, silence));
        }
        let late = samples_duration((resampler.delay() + self.padding) as u64);
        self.resampler = Some((rate, resampler));
        let captured = block.captured.checked_sub(late);
        let captured = captured.unwrap_or(block.captured);
        Ok(pacer.push(&self.resampled, captured, now) as u64)
    }
}
