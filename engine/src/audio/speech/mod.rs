//! The sound of utterances: kept until its time, then handed to the pacer as if it were pushed live.

mod filter;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_codec::ResampleError;
use visavis_types::{PacketTime, SOUND_LEAD};

use self::filter::Filter;
use super::block::{PcmBlock, SAMPLE_RATE_HZ, samples_duration};
use super::fade::FADE_SAMPLES;
use super::pacer::Pacer;
use super::sound::{Sound, SoundQueue};
use crate::budget::Reservation;
use crate::utterance::state::{Ready, UtteranceState};

/// Stamps that differ from the count of samples by less mean no gap: they are whole milliseconds, and
/// synthesizers round.
const GAP_SAMPLES: u64 = 480;

/// A gap longer than this is a mistake in the stamps.
const MAX_GAP_SAMPLES: u64 = 60 * SAMPLE_RATE_HZ as u64;

/// The utterances of a session, the first of which may be playing.
#[derive(Debug, Default)]
pub(super) struct Speech {
    utterances: VecDeque<UtteranceSound>,
    tally: Tally,
}

/// What happened to sound and stamps, to be counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Samples of live sound that had to give way, at 48 kHz.
    pub(super) dropped: u64,
    /// Chunks whose stamps lay in what was pushed before, or too far ahead.
    pub(super) corrected: u64,
    /// The time of the utterance goes on after it stood still: its pictures are due anew.
    pub(super) moved: bool,
}

/// What happened to an utterance.
#[derive(Debug, Clone)]
pub(super) enum UtteranceEvent {
    Started(Arc<UtteranceState>),
    Ended(Arc<UtteranceState>),
    Interrupted(Arc<UtteranceState>),
}

/// The sound of one utterance.
#[derive(Debug)]
struct UtteranceSound {
    state: Arc<UtteranceState>,
    resampler: Option<Filter>,
    /// At 48 kHz.
    samples: SoundQueue,
    /// Samples handed on, and skipped: the time inside the utterance of the next.
    fed: u64,
    /// Samples of silence that the last packet was filled up with.
    filling: u64,
    /// When the time inside the utterance was 0, or will be.
    origin: Option<Instant>,
    /// Its begin was told.
    told: bool,
    has_sound: bool,
    /// Some of it was handed on.
    begun: bool,
    stalled: bool,
    /// It has stood still, and what it waited for is there.
    resumes: bool,
    end: End,
    /// What each chunk has reserved, until so many samples are fed.
    reservations: VecDeque<(u64, Reservation)>,
    /// Reused.
    packet: Sound,
}

/// Whether more is to come. Callers announce the end after their last push, whose chunk may still be on its way
/// to here: the end counts once all that was pushed before it has been taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Announced before the chunks that are being taken in now.
    Announced,
    Reached,
}

impl Speech {
    pub(super) fn begin(&mut self, state: Arc<UtteranceState>) {
        let first = self.utterances.is_empty();
        self.utterances.push_back(UtteranceSound::new(state));
        if first {
            self.front_is_first();
        }
    }

    /// Whether one of them has sound, or had, that is played now.
    pub(super) fn is_playing(&self) -> bool {
        self.utterances.front().is_some_and(|sound| sound.origin.is_some() && sound.has_sound)
    }

    /// Before chunks are taken in: which utterances have been ended by then.
    pub(super) fn mark_ends(&mut self) {
        for sound in self.utterances.iter_mut().filter(|sound| sound.end == End::Open) {
            if sound.state.is_ended() {
                sound.end = End::Announced;
            }
        }
    }

    /// All that was pushed before [`mark_ends`](Self::mark_ends) has been taken in.
    pub(super) fn all_taken_in(&mut self) {
        for sound in self.utterances.iter_mut().filter(|sound| sound.end == End::Announced) {
            sound.reach_end();
        }
    }

    /// Takes a chunk in; one of an utterance that is over is dropped.
    pub(super) fn push(
        &mut self,
        block: &PcmBlock,
        state: &Arc<UtteranceState>,
        (time, reservation): (Duration, Reservation),
        now: Instant,
    ) -> Result<(), ResampleError> {
        let sound = self.utterances.iter_mut().find(|sound| Arc::ptr_eq(&sound.state, state));
        match sound {
            Some(sound) => {
                self.tally.corrected += u64::from(sound.is_out_of_step(time));
                sound.push(block, time, reservation, now)
            }
            None => Ok(()),
        }
    }

    /// Hands on what is due, and returns what has changed. Where more was pushed than could be taken in yet, nothing
    /// begins before it is, and nothing is taken to be missing.
    pub(super) fn run(
        &mut self,
        pacer: &mut Pacer,
        packet: PacketTime,
        behind: bool,
        now: Instant,
    ) -> Option<UtteranceEvent> {
        let sound = self.utterances.front_mut()?;
        let state = Arc::clone(&sound.state);
        if state.is_interrupted() {
            if sound.origin.is_some() {
                sound.fade_out(pacer, now);
            }
            self.next_is_first();
            return state.finish().then_some(UtteranceEvent::Interrupted(state));
        }
        if sound.origin.is_none() {
            if behind || state.ready(now) != Ready::Now {
                return None;
            }
            sound.move_origin(pacer.next_packet(now));
        }
        if !sound.told {
            // Its first packet follows those of silence at their pace, and nobody hears of it before.
            if sound.origin.is_some_and(|origin| origin > now) {
                return None;
            }
            sound.told = true;
            // Before anything else that is due at this moment.
            self.tally.dropped += sound.feed(pacer, packet, behind, now);
            return Some(UtteranceEvent::Started(state));
        }
        self.tally.moved |= sound.resume(pacer, now);
        self.tally.dropped += sound.feed(pacer, packet, behind, now);
        if !sound.is_done(now) {
            return None;
        }
        let sent = if sound.has_sound { sound.time() } else { state.sent() };
        if !state.complete(sent) {
            // Interrupted meanwhile: that is its end.
            return None;
        }
        pacer.end();
        self.next_is_first();
        state.finish().then_some(UtteranceEvent::Ended(state))
    }

    /// The session is at its end, and with it whatever plays or waits.
    pub(super) fn close(&mut self, mut emit: impl FnMut(UtteranceEvent)) {
        for UtteranceSound { state, .. } in self.utterances.drain(..) {
            state.interrupt();
            if state.finish() {
                emit(UtteranceEvent::Interrupted(state));
            }
        }
    }

    /// What there is to count since the last time.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn next_is_first(&mut self) {
        self.utterances.pop_front();
        self.front_is_first();
    }

    fn front_is_first(&self) {
        if let Some(first) = self.utterances.front() {
            first.state.becomes_first();
        }
    }

    /// Counts the packet that is due with the utterance that plays; false where none is due, or is to be sent: an
    /// interruption came first, and what plays is still to be cut off.
    pub(super) fn claim_packet(&self, pacer: &mut Pacer, now: Instant) -> bool {
        pacer.left_after_next(now).is_some_and(|left| self.claim(left, now))
    }

    /// Notes how much of the current utterance was sent, where time goes on without packets of sound.
    pub(super) fn note_sent(&self, pacer: &Pacer, now: Instant) {
        self.claim(pacer.waiting(), now);
    }

    /// Notes how much of the current utterance is sent when so many samples wait; false where it was interrupted.
    fn claim(&self, waiting: usize, now: Instant) -> bool {
        let Some(sound) = self.utterances.front() else { return true };
        let Some(origin) = sound.origin else { return true };
        sound.state.claim(match sound.has_sound {
            true => {
                let sent = (sound.fed + sound.filling).saturating_sub(waiting as u64);
                samples_duration(sent.min(sound.fed))
            }
            false => now.saturating_duration_since(origin),
        })
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let sound = self.utterances.front()?;
        let Some(origin) = sound.origin else {
            return match sound.state.ready(now) {
                Ready::Now => Some(now),
                Ready::At(at) => Some(at),
                Ready::NotYet => None,
            };
        };
        // The end was announced after the last look.
        let unseen = sound.end == End::Open && sound.state.is_ended();
        if sound.resumes || unseen || sound.state.is_interrupted() {
            return Some(now);
        }
        if !sound.told {
            return Some(origin);
        }
        let due = origin + samples_duration(sound.fed);
        let waits = sound.samples.is_empty() && (sound.end != End::Reached || due <= now);
        (!waits && !sound.stalled).then_some(due)
    }
}

impl UtteranceSound {
    fn new(state: Arc<UtteranceState>) -> Self {
        Self {
            state,
            resampler: None,
            samples: SoundQueue::default(),
            fed: 0,
            filling: 0,
            origin: None,
            told: false,
            has_sound: false,
            begun: false,
            stalled: false,
            resumes: false,
            end: End::Open,
            reservations: VecDeque::new(),
            packet: Sound::default(),
        }
    }

    /// How far it has come.
    fn time(&self) -> Duration {
        samples_duration(self.fed)
    }

    /// Sets when the sound's time was 0; that of the pictures is later, so that both are seen and heard
    /// together.
    fn move_origin(&mut self, origin: Instant) {
        self.origin = Some(origin);
        self.state.set_origin(origin + SOUND_LEAD);
    }

    /// The time of what is pushed next, if it follows.
    fn expected(&self) -> u64 {
        self.fed + self.samples.len() as u64
    }

    /// Whether a chunk's stamp lies in what was pushed before it, or so far ahead that it cannot be meant. It
    /// then follows at once.
    fn is_out_of_step(&self, time: Duration) -> bool {
        let (at, expected) = (full_rate(time), self.expected());
        self.has_sound && (at + GAP_SAMPLES < expected || at >= expected + MAX_GAP_SAMPLES)
    }

    fn push(
        &mut self,
        block: &PcmBlock,
        time: Duration,
        reservation: Reservation,
        now: Instant,
    ) -> Result<(), ResampleError> {
        let at = full_rate(time);
        if let Some(origin) = self.origin {
            self.sound_arrives(at, origin, now);
        }
        self.has_sound = true;
        let gap = at.saturating_sub(self.expected());
        if (GAP_SAMPLES..MAX_GAP_SAMPLES).contains(&gap) {
            self.flush();
            let gap = at.saturating_sub(self.expected());
            self.samples.push_silence(gap as usize);
        }
        let (rate, channels) = (block.sample_rate, block.channels);
        if self.resampler.as_ref().is_some_and(|filter| filter.rate != rate) {
            self.flush();
        }
        let filter = match self.resampler.take() {
            Some(filter) => self.resampler.insert(filter),
            None => self.resampler.insert(Filter::new(rate, channels)?),
        };
        filter.process(&block.samples, channels, &mut self.samples)?;
        self.reservations.push_back((self.expected(), reservation));
        Ok(())
    }

    /// Sound comes for an utterance that has begun: where it is late, all of it waits for the sound.
    fn sound_arrives(&mut self, at: u64, origin: Instant, now: Instant) {
        let elapsed_samples = full_rate(now.saturating_duration_since(origin));
        if !self.has_sound {
            // Pictures were alone so far; what was before is silence.
            self.fed = at.min(elapsed_samples);
        }
        if self.stalled || elapsed_samples > self.fed + GAP_SAMPLES {
            self.resumes = true;
        }
        self.stalled = false;
        if !self.resumes {
            self.state.release_pictures();
        }
    }

    /// Nothing more comes. What waited for it waits no longer: its time goes on to the end.
    fn reach_end(&mut self) {
        self.end = End::Reached;
        self.flush();
        self.resumes |= std::mem::take(&mut self.stalled);
    }

    /// Time that stood still goes on; true where it did.
    fn resume(&mut self, pacer: &Pacer, now: Instant) -> bool {
        let resumes = std::mem::take(&mut self.resumes);
        if resumes {
            let next = pacer.next_packet(now);
            self.move_origin(next.checked_sub(self.time()).unwrap_or(next));
            self.state.release_pictures();
        }
        resumes
    }

    /// The last samples are still in the filter.
    fn flush(&mut self) {
        if let Some(filter) = self.resampler.take()
            && let Err(error) = filter.finish(&mut self.samples)
        {
            tracing::error!(%error, "sound not resampled");
        }
    }

    /// Hands on what is due. Sound that is not there stops the time of the utterance. Returns how many samples of
    /// live sound had to give way.
    fn feed(&mut self, pacer: &mut Pacer, packet: PacketTime, behind: bool, now: Instant) -> u64 {
        let mut dropped = 0;
        let Some(origin) = self.origin else { return dropped };
        loop {
            let due = origin + self.time();
            if due > now || self.stalled {
                return dropped;
            }
            let ended = self.end == End::Reached;
            let count = packet.samples().min(self.samples.len());
            if count == packet.samples() || (ended && count > 0) {
                self.samples.take(count, &mut self.packet);
                // The last packet is filled up: less than that would wait for what comes after it.
                self.packet.resize(packet.samples());
                self.filling = (packet.samples() - count) as u64;
                if !std::mem::replace(&mut self.begun, true) {
                    dropped += pacer.make_way(&mut self.packet) as u64;
                }
                pacer.push(&self.packet, due + SOUND_LEAD, now);
                self.fed += count as u64;
                self.make_room(packet);
                continue;
            }
            if !ended && !behind && self.has_sound {
                self.stalled = true;
                self.state.hold_pictures_at(self.time());
            }
            return dropped;
        }
    }

    /// Lets go of chunks of which less than a packet is left: that waits for the next chunk, which must not
    /// wait for it.
    fn make_room(&mut self, packet: PacketTime) {
        let soon = self.fed + packet.samples() as u64;
        while self.reservations.front().is_some_and(|(until, _)| *until < soon) {
            self.reservations.pop_front();
        }
    }

    fn is_done(&self, now: Instant) -> bool {
        let Some(origin) = self.origin else { return false };
        let played = self.samples.is_empty() && origin + self.time() <= now;
        let shown = !self.state.has_pictures() || self.state.are_pictures_done();
        self.end == End::Reached && !self.resumes && played && shown
    }

    fn fade_out(&mut self, pacer: &mut Pacer, now: Instant) {
        // Of what nobody has heard, nothing fades.
        let fades = if self.begun { FADE_SAMPLES } else { 0 };
        self.samples.take(fades, &mut self.packet);
        pacer.cut(&self.packet, now);
    }
}

/// A time in samples at 48 kHz.
fn full_rate(time: Duration) -> u64 {
    (time.as_micros() * u128::from(SAMPLE_RATE_HZ) / 1_000_000) as u64
}

#[cfg(test)]
mod tests;
