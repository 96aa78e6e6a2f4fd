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
mod tests {
    use super::*;
    use crate::audio::pacer::Slot;
    use crate::budget::Budget;
    use crate::utterance::UtteranceId;
    use visavis_types::UnixMillis;

    const MS: Duration = Duration::from_millis(1);
    const PACKET: PacketTime = PacketTime::Ms20;

    /// A session's speech in virtual time.
    struct Run {
        speech: Speech,
        pacer: Pacer,
        budget: Arc<Budget>,
        now: Instant,
        start: Instant,
        /// When (ms), and what.
        sent: Vec<(u64, Slot, Vec<i16>)>,
        turns: Vec<(u64, String)>,
        begun: u64,
    }

    impl Run {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                speech: Speech::default(),
                pacer: Pacer::new(Duration::from_secs(60), PACKET),
                budget: Budget::new(usize::MAX),
                now: start,
                start,
                sent: Vec::new(),
                turns: Vec::new(),
                begun: 0,
            }
        }

        fn begin(&mut self) -> Arc<UtteranceState> {
            self.begun += 1;
            let state = UtteranceState::new(UtteranceId(self.begun), UnixMillis(0), self.now);
            let state = Arc::new(state);
            self.speech.begin(Arc::clone(&state));
            state
        }

        /// 24 kHz sound of one value.
        fn say(&mut self, utterance: &Arc<UtteranceState>, at_ms: u64, ms: usize, value: i16) {
            let samples = vec![value; ms * 24];
            let captured = self.now;
            let block = PcmBlock { samples, sample_rate: 24_000, channels: 1, captured };
            let place = (MS * at_ms as u32, self.budget.reserve(1).unwrap());
            utterance.sound_pushed(self.now);
            self.speech.push(&block, utterance, place, self.now).unwrap();
        }

        fn run(&mut self) {
            let at = (self.now - self.start).as_millis() as u64;
            loop {
                let turn = self.speech.run(&mut self.pacer, PACKET, self.now);
                let mut packet = Vec::new();
                while let Some(slot) = self.pacer.poll(self.now, &mut packet) {
                    self.sent.push((at, slot, packet.clone()));
                }
                self.speech.note_sent(&self.pacer, self.now);
                match turn {
                    Some(Turn::Started(u)) => self.turns.push((at, format!("started {}", u.id))),
                    Some(Turn::Ended(u)) => self.turns.push((at, format!("ended {}", u.id))),
                    Some(Turn::Interrupted(u)) => self.turns.push((at, format!("cut {}", u.id))),
                    None => break,
                }
            }
        }

        /// Lets time pass as the audio loop would.
        fn advance(&mut self, until_ms: u64) {
            let until = self.start + MS * until_ms as u32;
            self.run();
            loop {
                let deadlines = [self.speech.deadline(self.now), self.pacer.deadline()];
                match deadlines.into_iter().flatten().min() {
                    Some(at) if at <= until => self.now = self.now.max(at),
                    _ => break,
                }
                self.run();
            }
            self.now = until;
        }

        /// (when sent, captured by its slot), in ms, of packets with sound in them, not only its fading.
        fn loud(&self) -> Vec<(u64, u64)> {
            let is_loud =
                |samples: &[i16]| samples.iter().filter(|&&s| s > 500).count() > FADE_SAMPLES;
            let loud = self.sent.iter().filter(|(.., samples)| is_loud(samples));
            let time = |slot: &Slot| (slot.captured - self.start - SOUND_LEAD).as_millis() as u64;
            loud.map(|(at, slot, _)| (*at, time(slot))).collect()
        }

        fn turns(&self) -> Vec<(u64, &str)> {
            self.turns.iter().map(|(at, turn)| (*at, turn.as_str())).collect()
        }
    }

    #[test]
    fn what_is_pushed_at_once_is_played_at_its_own_pace() {
        let mut run = Run::new();
        let utterance = run.begin();
        utterance.picture_pushed(run.now);
        for chunk in 0..10 {
            run.say(&utterance, chunk * 100, 100, 1_000);
        }
        run.advance(400);
        assert_eq!(utterance.sent(), MS * 420);
        utterance.end();
        utterance.pictures_are_done();
        run.advance(2_000);
        let loud = run.loud();
        assert_eq!(loud.len(), 50);
        assert!(
            loud.iter().enumerate().all(|(i, &(at, captured))| {
                let expected = i as u64 * 20;
                at == expected && captured == expected
            }),
            "{loud:?}"
        );
        assert_eq!(run.turns(), [(0, "started 1"), (1_000, "ended 1")]);
        assert_eq!(utterance.sent(), MS * 1_000);
        assert!(run.budget.reserve(usize::MAX).is_some(), "nothing waits");
    }

    #[test]
    fn a_gap_in_the_stamps_is_silence_of_that_length() {
        let mut run = Run::new();
        let utterance = run.begin();
        run.say(&utterance, 0, 100, 1_000);
        run.say(&utterance, 300, 100, 1_000);
        utterance.end();
        run.advance(1_000);
        let captured: Vec<u64> = run.loud().iter().map(|(_, captured)| *captured).collect();
        assert_eq!(captured, [0, 20, 40, 60, 80, 300, 320, 340, 360, 380]);
        assert_eq!(run.turns(), [(0, "started 1"), (400, "ended 1")]);
    }

    #[test]
    fn sound_that_is_late_stops_the_time_of_the_utterance() {
        let mut run = Run::new();
        let utterance = run.begin();
        utterance.picture_pushed(run.now);
        run.say(&utterance, 0, 100, 1_000);
        run.advance(250);
        assert_eq!(utterance.due(MS * 133), None, "the picture waits");
        let shown = utterance.due(MS * 80).unwrap();
        assert!((run.start + SOUND_LEAD + MS * 80).saturating_duration_since(shown) < MS);
        run.say(&utterance, 100, 100, 1_000);
        run.run();
        // Four packets were full; the fifth is there now, and leaves in time with the silence before.
        let shown = utterance.due(MS * 133).unwrap();
        let expected = run.start + SOUND_LEAD + MS * (260 + 53);
        assert!(expected.saturating_duration_since(shown) < MS, "{shown:?}");
        run.advance(500);
        let loud = run.loud();
        assert_eq!(loud.len(), 9, "the tenth may still go on");
        let late = &loud[4..];
        let as_due = |(i, &(_, at)): (usize, &(u64, u64))| at == 260 + i as u64 * 20;
        assert!(late.iter().enumerate().all(as_due), "{loud:?}");
    }

    #[test]
    fn an_interruption_is_heard_at_once_and_counted_to_the_packet() {
        let mut run = Run::new();
        let (first, second) = (run.begin(), run.begin());
        run.say(&first, 0, 5_000, 1_000);
        run.say(&second, 0, 100, 1_000);
        second.end();
        run.advance(500);
        let begun = run.turns[0].0;
        let sent = first.interrupt();
        assert!(sent.abs_diff(MS * (500 - begun) as u32) <= MS * 20, "{sent:?}");
        let heard = run.loud().len() as u32 * 20;
        assert!((MS * heard).abs_diff(sent) <= MS * 20, "{heard} ms");
        run.advance(2_000);
        // What fades, and the second one.
        assert!(run.loud().len() as u32 * 20 <= heard + 20 + 100);
        assert_eq!(run.turns()[1..3], [(500, "cut 1"), (500, "started 2")]);
        assert_eq!(run.turns[3].1, "ended 2");
        assert_eq!(first.sent(), sent);
        let rtp: Vec<u64> = run.sent.iter().map(|(_, slot, _)| slot.rtp_time).collect();
        assert!(rtp.windows(2).all(|pair| pair[1] > pair[0]), "{rtp:?}");
    }

    #[test]
    fn what_is_left_of_a_chunk_and_is_no_packet_keeps_no_room() {
        let mut run = Run::new();
        run.budget = Budget::new(1);
        let utterance = run.begin();
        utterance.picture_pushed(run.now);
        // 15 packets, of which the filter keeps the last samples until more comes.
        run.say(&utterance, 0, 300, 1_000);
        assert!(run.budget.reserve(1).is_none());
        run.advance(500);
        assert_eq!(run.loud().len(), 14);
        run.say(&utterance, 300, 300, 1_000);
    }

    #[test]
    fn pictures_alone_are_an_utterance_too() {
        let mut run = Run::new();
        let utterance = run.begin();
        utterance.picture_pushed(run.now);
        run.advance(500);
        utterance.end();
        utterance.pictures_are_done();
        run.advance(600);
        assert_eq!(run.turns(), [(60, "started 1"), (500, "ended 1")]);
        assert!(run.sent.is_empty());
        assert!(utterance.sent() <= MS * 500);
    }

    #[test]
    fn sound_keeps_its_time_through_the_filter_to_the_last_sample() {
        let mut run = Run::new();
        let utterance = run.begin();
        // A click every 100 ms, and one at the very end.
        let samples = (0..24_000).map(|i| if i % 2_400 == 0 || i == 23_990 { 20_000 } else { 0 });
        for (chunk, samples) in samples.collect::<Vec<i16>>().chunks(1_111).enumerate() {
            let block = PcmBlock {
                samples: samples.to_vec(),
                sample_rate: 24_000,
                channels: 1,
                captured: run.now,
            };
            let time = Duration::from_micros(chunk as u64 * 1_111 * 1_000_000 / 24_000);
            let place = (time, run.budget.reserve(1).unwrap());
            utterance.sound_pushed(run.now);
            run.speech.push(&block, &utterance, place, run.now).unwrap();
        }
        utterance.end();
        run.advance(1_500);
        let sound: Vec<i16> = run.sent.iter().flat_map(|(.., s)| s.clone()).take(48_000).collect();
        let peaks: Vec<usize> = (1..sound.len() - 1)
            .filter(|&i| sound[i] > 5_000 && sound[i] >= sound[i - 1] && sound[i] > sound[i + 1])
            .collect();
        let expected = (1..10).map(|i| i * 4_800).chain([47_980]);
        let found = |at: usize| peaks.iter().any(|peak| peak.abs_diff(at) <= 1);
        assert!(expected.clone().all(found), "{peaks:?}");
    }
}
