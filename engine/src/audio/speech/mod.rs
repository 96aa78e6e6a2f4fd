//! The sound of utterances: kept until its time, then handed to the pacer as if it were pushed live.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_codec::{ResampleError, Resampler};
use visavis_types::{PacketTime, SOUND_LEAD};

use super::fade::FADE_SAMPLES;
use super::pacer::Pacer;
use super::{PcmBlock, SAMPLE_RATE_HZ, samples_duration};
use crate::budget::Reservation;
use crate::utterance::{Ready, UtteranceState};

/// Stamps that differ from the count of samples by less mean no gap: they are whole milliseconds, and
/// synthesizers round.
const GAP_SAMPLES: u64 = 480;

/// A gap longer than this is a mistake in the stamps.
const MAX_GAP_SAMPLES: u64 = 60 * SAMPLE_RATE_HZ as u64;

/// From any rate to 48 kHz mono, without a delay: as many samples as went in take, no more and no fewer.
#[derive(Debug)]
struct Filter {
    inner: Resampler,
    /// Rate and channels.
    takes: (u32, u16),
    /// Samples that come out next and are older than what went in.
    skip: usize,
    taken: u64,
    given: u64,
    /// Reused.
    scratch: Vec<i16>,
}

impl Filter {
    fn new(rate: u32, channels: u16) -> Result<Self, ResampleError> {
        let inner = Resampler::new(rate, channels, SAMPLE_RATE_HZ, 1)?;
        let (skip, takes, scratch) = (inner.delay(), (rate, channels), Vec::new());
        Ok(Self { inner, takes, skip, taken: 0, given: 0, scratch })
    }

    fn process(&mut self, samples: &[i16], out: &mut VecDeque<i16>) -> Result<(), ResampleError> {
        self.taken += (samples.len() / usize::from(self.takes.1)) as u64;
        self.run(samples, usize::MAX, out)
    }

    /// Gives what it still holds.
    fn finish(mut self, out: &mut VecDeque<i16>) -> Result<(), ResampleError> {
        let (rate, channels) = self.takes;
        let owed = self.taken * u64::from(SAMPLE_RATE_HZ) / u64::from(rate);
        let owed = owed.saturating_sub(self.given) as usize;
        let silence = (owed + self.inner.delay() + 1) * rate as usize / SAMPLE_RATE_HZ as usize + 2;
        let before = out.len();
        self.run(&vec![0; silence * usize::from(channels)], owed, out)?;
        out.resize(before + owed, 0);
        Ok(())
    }

    fn run(
        &mut self,
        samples: &[i16],
        most: usize,
        out: &mut VecDeque<i16>,
    ) -> Result<(), ResampleError> {
        self.scratch.clear();
        self.inner.process(samples, &mut self.scratch)?;
        let skipped = self.skip.min(self.scratch.len());
        self.skip -= skipped;
        let before = out.len();
        out.extend(self.scratch.iter().skip(skipped).take(most));
        self.given += (out.len() - before) as u64;
        Ok(())
    }
}

/// The utterances of a session, the first of which may be playing.
#[derive(Debug, Default)]
pub(super) struct Speech {
    voices: VecDeque<Voice>,
}

/// What an utterance has come to.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    Started(Arc<UtteranceState>),
    Ended(Arc<UtteranceState>),
    Interrupted(Arc<UtteranceState>),
}

/// The sound of one utterance.
#[derive(Debug)]
struct Voice {
    state: Arc<UtteranceState>,
    resampler: Option<Filter>,
    /// At 48 kHz, mono.
    samples: VecDeque<i16>,
    /// Samples handed on, and skipped: the time inside the utterance of the next.
    fed: u64,
    /// When the time inside the utterance was 0.
    origin: Option<Instant>,
    heard: bool,
    stalled: bool,
    /// It has stood still, and what it waited for is there.
    resumes: bool,
    /// What each chunk has reserved, until so many samples are fed.
    reservations: VecDeque<(u64, Reservation)>,
    /// Reused.
    resampled: Vec<i16>,
}

impl Speech {
    pub(super) fn begin(&mut self, state: Arc<UtteranceState>) {
        self.voices.push_back(Voice::new(state));
    }

    /// Whether one of them has sound, or had, that is played now.
    pub(super) fn is_playing(&self) -> bool {
        self.voices.front().is_some_and(|voice| voice.origin.is_some() && voice.heard)
    }

    /// Takes a chunk in; one of an utterance that is over is dropped.
    pub(super) fn push(
        &mut self,
        block: &PcmBlock,
        state: &Arc<UtteranceState>,
        (time, reservation): (Duration, Reservation),
        now: Instant,
    ) -> Result<(), ResampleError> {
        let voice = self.voices.iter_mut().find(|voice| Arc::ptr_eq(&voice.state, state));
        match voice {
            Some(voice) => voice.push(block, time, reservation, now),
            None => Ok(()),
        }
    }

    /// Hands on what is due, and tells what has changed.
    pub(super) fn run(
        &mut self,
        pacer: &mut Pacer,
        packet: PacketTime,
        now: Instant,
    ) -> Option<Turn> {
        let voice = self.voices.front_mut()?;
        let state = Arc::clone(&voice.state);
        if state.is_interrupted() {
            if voice.origin.is_some() {
                voice.fade_out(pacer, now);
            }
            state.finish();
            self.voices.pop_front();
            return Some(Turn::Interrupted(state));
        }
        if voice.origin.is_none() {
            if state.ready(now) != Ready::Now {
                return None;
            }
            voice.move_origin(pacer.next_packet(now));
            return Some(Turn::Started(state));
        }
        voice.resume(pacer, now);
        voice.feed(pacer, packet, now);
        if !voice.is_done(now) {
            return None;
        }
        state.set_sent(voice.time());
        state.finish();
        pacer.end();
        self.voices.pop_front();
        Some(Turn::Ended(state))
    }

    /// Notes how much of the current utterance was sent.
    pub(super) fn note_sent(&self, pacer: &Pacer, now: Instant) {
        let Some(voice) = self.voices.front() else { return };
        let Some(origin) = voice.origin else { return };
        let sent = match voice.heard {
            true => samples_duration(voice.fed.saturating_sub(pacer.waiting() as u64)),
            false => now.saturating_duration_since(origin),
        };
        if !voice.state.is_interrupted() {
            voice.state.set_sent(sent);
        }
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let voice = self.voices.front()?;
        let Some(origin) = voice.origin else {
            return match voice.state.ready(now) {
                Ready::Now => Some(now),
                Ready::At(at) => Some(at),
                Ready::NotYet => None,
            };
        };
        let due = origin + samples_duration(voice.fed);
        let waits = voice.samples.is_empty() && (!voice.state.is_ended() || due <= now);
        if voice.resumes {
            return Some(now);
        }
        (!waits && !voice.stalled).then_some(due)
    }
}

impl Voice {
    fn new(state: Arc<UtteranceState>) -> Self {
        Self {
            state,
            resampler: None,
            samples: VecDeque::new(),
            fed: 0,
            origin: None,
            heard: false,
            stalled: false,
            resumes: false,
            reservations: VecDeque::new(),
            resampled: Vec::new(),
        }
    }

    /// How far it has come.
    fn time(&self) -> Duration {
        samples_duration(self.fed)
    }

    /// Says when the sound's time was 0; that of the pictures is later, so that both are seen and heard
    /// together.
    fn move_origin(&mut self, origin: Instant) {
        self.origin = Some(origin);
        self.state.set_origin(origin + SOUND_LEAD);
    }

    fn push(
        &mut self,
        block: &PcmBlock,
        time: Duration,
        reservation: Reservation,
        now: Instant,
    ) -> Result<(), ResampleError> {
        let at = (time.as_micros() * u128::from(SAMPLE_RATE_HZ) / 1_000_000) as u64;
        if let Some(origin) = self.origin {
            self.meet(at, origin, now);
        }
        self.heard = true;
        let gap = at.saturating_sub(self.fed + self.samples.len() as u64);
        if (GAP_SAMPLES..MAX_GAP_SAMPLES).contains(&gap) {
            self.flush();
            let gap = at.saturating_sub(self.fed + self.samples.len() as u64);
            self.samples.extend(std::iter::repeat_n(0, gap as usize));
        }
        let (rate, channels) = (block.sample_rate, block.channels);
        if self.resampler.as_ref().is_some_and(|filter| filter.takes != (rate, channels)) {
            self.flush();
        }
        let filter = match self.resampler.take() {
            Some(filter) => self.resampler.insert(filter),
            None => self.resampler.insert(Filter::new(rate, channels)?),
        };
        filter.process(&block.samples, &mut self.samples)?;
        self.reservations.push_back((self.fed + self.samples.len() as u64, reservation));
        Ok(())
    }

    /// Sound comes for an utterance that has begun: where it is late, all of it waits for the sound.
    fn meet(&mut self, at: u64, origin: Instant, now: Instant) {
        let elapsed = now.saturating_duration_since(origin);
        let elapsed_samples = (elapsed.as_micros() * u128::from(SAMPLE_RATE_HZ) / 1_000_000) as u64;
        if !self.heard {
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

    /// Time that stood still goes on.
    fn resume(&mut self, pacer: &Pacer, now: Instant) {
        if std::mem::take(&mut self.resumes) {
            let next = pacer.next_packet(now);
            self.move_origin(next.checked_sub(self.time()).unwrap_or(next));
            self.state.release_pictures();
        }
    }

    /// The last samples are still in the filter.
    fn flush(&mut self) {
        if let Some(filter) = self.resampler.take()
            && let Err(error) = filter.finish(&mut self.samples)
        {
            tracing::error!(%error, "sound not resampled");
        }
    }

    /// Hands on what is due. Sound that is not there stops the time of the utterance.
    fn feed(&mut self, pacer: &mut Pacer, packet: PacketTime, now: Instant) {
        let Some(origin) = self.origin else { return };
        loop {
            let due = origin + self.time();
            if due > now || self.stalled {
                return;
            }
            let ended = self.state.is_ended();
            if ended {
                self.flush();
            }
            let count = packet.samples().min(self.samples.len());
            if count == packet.samples() || (ended && count > 0) {
                self.resampled.clear();
                self.resampled.extend(self.samples.drain(..count));
                pacer.push(&self.resampled, due + SOUND_LEAD, now);
                self.fed += count as u64;
                self.make_room(packet);
                continue;
            }
            if !ended && self.heard {
                self.stalled = true;
                self.state.hold_pictures_at(self.time());
            }
            return;
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
        self.state.is_ended() && played && shown
    }

    fn fade_out(&mut self, pacer: &mut Pacer, now: Instant) {
        self.resampled.clear();
        let next = self.samples.iter().take(FADE_SAMPLES).copied();
        self.resampled.extend(next);
        pacer.cut(&self.resampled, now);
    }
}

#[cfg(test)]
mod tests;
