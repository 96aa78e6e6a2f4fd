//! Utterances of every kind, in virtual time: each is over exactly once, all of it was sent, and the next one plays.

use super::*;

/// Utterances that are tried; `VISAVIS_UTTERANCES` sets another number.
const UTTERANCES: u64 = 2_000;

/// A generator that gives the same run for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }
}

/// What a caller does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    /// So many sample frames of so many channels, stamped with so many ms.
    Sound(usize, u16, u64),
    /// Of such a time, in ms.
    Picture(u64),
    End,
    Interrupt,
}

/// An utterance to be, and what became of it.
struct Plan {
    rate: u32,
    /// When (µs), in order.
    steps: VecDeque<(u64, Step)>,
    state: Option<Arc<UtteranceState>>,
    frames: u64,
    pictures: VecDeque<Duration>,
    interrupted: bool,
}

impl Plan {
    fn new(dice: &mut Dice, from_us: u64) -> Self {
        let rate = dice.pick(&visavis_types::AudioChunk::SAMPLE_RATES_HZ);
        let (channels, changes) = (1 + dice.roll(2) as u16, dice.one_in(3));
        let mut at = from_us + dice.roll(200_000);
        let mut steps = vec![(at, Step::Begin)];
        let (stamped, with_pictures) = (!dice.one_in(4), dice.one_in(3));
        let (mut pushed, mut shown) = (0_u64, 0_u64);
        let longest = dice.pick(&[1, 30, 100, 300]);
        for _ in 0..dice.roll(12) {
            let pause = dice.pick(&[0, 0, 1_000, 20_000, 40_000, 90_000, 500_000]);
            at += dice.roll(pause + 1);
            let frames = 1 + dice.roll(u64::from(rate) * longest / 1_000 + 1);
            let ms = pushed * 1_000 / u64::from(rate);
            let channels = if changes { 1 + dice.roll(2) as u16 } else { channels };
            let ms = if stamped { ms } else { 0 };
            steps.push((at, Step::Sound(frames as usize, channels, ms)));
            pushed += frames;
            if with_pictures {
                for _ in 0..dice.roll(6) {
                    steps.push((at, Step::Picture(shown)));
                    shown += 33;
                }
            }
        }
        at += dice.pick(&[0, 0, 5_000, 40_000, 300_000, 1_500_000]);
        steps.push((at, Step::End));
        let interrupted = dice.one_in(12);
        if interrupted {
            let when = steps[0].0 + dice.roll(2_000_000);
            steps.push((when, Step::Interrupt));
            steps.sort_by_key(|(at, _)| *at);
        }
        let steps = VecDeque::from(steps);
        Self { rate, steps, state: None, frames: 0, pictures: VecDeque::new(), interrupted }
    }
}

/// Several of them in one session.
struct Play {
    run: Run,
    plans: Vec<Plan>,
    /// Pushed, and not yet taken in.
    ring: VecDeque<(Arc<UtteranceState>, PcmBlock, Duration)>,
    begun: VecDeque<Arc<UtteranceState>>,
}

impl Play {
    fn step(&mut self, index: usize) {
        let Some((_, step)) = self.plans[index].steps.pop_front() else { return };
        let now = self.run.now;
        if let Step::Begin = step {
            self.run.begun += 1;
            let id = UtteranceId(self.run.begun);
            let state = Arc::new(UtteranceState::new(id, UnixMillis(0), now));
            self.begun.push_back(Arc::clone(&state));
            self.plans[index].state = Some(state);
            return;
        }
        let plan = &mut self.plans[index];
        let state = Arc::clone(plan.state.as_ref().unwrap());
        match step {
            Step::Begin => {}
            Step::Sound(..) | Step::Picture(_) if state.is_interrupted() => {}
            Step::Sound(frames, channels, ms) => {
                plan.frames += frames as u64;
                let samples = vec![1_000; frames * usize::from(channels)];
                let sample_rate = plan.rate;
                let block = PcmBlock { samples, sample_rate, channels, captured: now };
                state.sound_pushed(now);
                self.ring.push_back((state, block, MS * ms as u32));
            }
            Step::Picture(ms) => {
                state.picture_pushed(now);
                plan.pictures.push_back(MS * ms as u32);
            }
            Step::End => state.end(),
            Step::Interrupt => drop(state.interrupt()),
        }
    }

    /// The audio loop's turn, and the encode loop's.
    fn turn(&mut self) {
        let now = self.run.now;
        self.run.speech.mark_ends();
        while let Some(state) = self.begun.pop_front() {
            self.run.speech.begin(state);
        }
        while let Some((state, block, time)) = self.ring.pop_front() {
            let place = (time, self.run.budget.reserve(1).unwrap());
            self.run.speech.push(&block, &state, place, now).unwrap();
        }
        self.run.run();
        for plan in &mut self.plans {
            let Some(state) = &plan.state else { continue };
            while let Some(due) = plan.pictures.front().and_then(|&time| state.due(time)) {
                if due > now {
                    break;
                }
                plan.pictures.pop_front();
            }
            if state.is_ended() && plan.pictures.is_empty() && state.has_begun() {
                state.pictures_are_done();
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let start = self.run.start;
        let steps = self.plans.iter().filter_map(|plan| plan.steps.front());
        let steps = steps.map(|(at, _)| start + Duration::from_micros(*at));
        let pictures = self.plans.iter().filter_map(|plan| {
            let state = plan.state.as_ref().filter(|state| !state.is_over())?;
            state.due(*plan.pictures.front()?)
        });
        let speech = self.run.speech.deadline(self.run.now);
        let pacer = self.run.pacer.deadline();
        steps.chain(pictures).chain(speech).chain(pacer).min()
    }

    fn play(&mut self, seed: u64) {
        let mut quiet = 0;
        // Until nothing happens any more but the silence that keeps the receiver's clock.
        for turn in 0.. {
            assert!(turn < 200_000, "seed {seed}: it never comes to rest");
            let Some(at) = self.next() else { break };
            let done = self.plans.iter().all(|plan| {
                plan.steps.is_empty() && plan.state.as_ref().is_some_and(|state| state.is_over())
            });
            quiet = if done { quiet + 1 } else { 0 };
            if quiet > 12 || (at - self.run.start) > Duration::from_secs(120) {
                break;
            }
            self.run.now = self.run.now.max(at);
            for index in 0..self.plans.len() {
                let elapsed = (self.run.now - self.run.start).as_micros() as u64;
                while self.plans[index].steps.front().is_some_and(|(at, _)| *at <= elapsed) {
                    self.step(index);
                }
            }
            self.turn();
        }
    }

    fn check(&self, seed: u64) {
        let mut expected = 0;
        for plan in &self.plans {
            let state = plan.state.as_ref().unwrap();
            let id = state.id;
            let told: Vec<&str> = self
                .run
                .turns
                .iter()
                .map(|(_, turn)| turn.as_str())
                .filter(|turn| turn.ends_with(&format!(" {id}")))
                .collect();
            assert!(state.is_over(), "seed {seed}: {id} is never over, {told:?}");
            let cut = told.last().is_some_and(|turn| turn.starts_with("cut"));
            assert!(cut || !state.is_interrupted() || plan.interrupted, "seed {seed}");
            match &told[..] {
                [start, _] => assert!(start.starts_with("started"), "seed {seed}: {told:?}"),
                [_] => assert!(cut, "seed {seed}: {told:?}"),
                _ => panic!("seed {seed}: {told:?}"),
            }
            let owed = plan.frames * u64::from(SAMPLE_RATE_HZ) / u64::from(plan.rate);
            if cut {
                assert!(plan.interrupted, "seed {seed}: {id}");
                continue;
            }
            expected += owed;
            if owed > 0 {
                let difference = state.sent().abs_diff(samples_duration(owed));
                assert!(difference <= MS / 10, "seed {seed}: {id}, {difference:?}");
            }
        }
        self.check_sound(seed, expected);
    }

    fn check_sound(&self, seed: u64, expected: u64) {
        let sent = &self.run.sent;
        // No faster than it plays, at any time, but for what was silence in place of late sound.
        let mut silent_ms = 0;
        for (at, slot, samples) in sent {
            let (first_at, first, _) = &sent[0];
            let rtp_ms = (slot.rtp_time - first.rtp_time) / 48;
            let most = at - first_at + silent_ms + 2;
            assert!(rtp_ms <= most, "seed {seed}: RTP at {rtp_ms} ms, sent at {at}, {first_at}");
            silent_ms += if samples.last() == Some(&0) { 20 } else { 0 };
        }
        for pair in sent.windows(2) {
            assert!(pair[1].1.rtp_time >= pair[0].1.rtp_time + 960, "seed {seed}");
        }
        if self.plans.iter().any(|plan| plan.interrupted) {
            return;
        }
        let loud = |samples: &[i16]| samples.iter().filter(|&&s| s > 500).count() as u64;
        let heard: u64 = sent.iter().map(|(.., samples)| loud(samples)).sum();
        // Where it breaks off it fades, and comes back from nothing; filters round the edges of each piece.
        let broken = sent.iter().filter(|(.., samples)| samples.last() == Some(&0)).count() as u64;
        let spare = broken * 240 + self.plans.len() as u64 * 40;
        assert!(
            heard + spare >= expected && heard <= expected + spare,
            "seed {seed}: {heard} of {expected} were heard, breaks {broken}"
        );
    }
}

#[test]
fn utterances_of_every_kind_are_over_once_and_sent_whole_and_the_next_one_plays() {
    let count = std::env::var("VISAVIS_UTTERANCES").ok().and_then(|text| text.parse().ok());
    let count: u64 = count.unwrap_or(UTTERANCES);
    let (mut tried, mut seed) = (0, 0);
    while tried < count {
        let mut dice = Dice(seed);
        let overlap = dice.one_in(2);
        let mut from = 0;
        let plans: Vec<Plan> = (0..1 + dice.roll(4))
            .map(|_| {
                let plan = Plan::new(&mut dice, from);
                from = match overlap {
                    // They are filled in turns.
                    true => plan.steps[0].0 + 1,
                    false => plan.steps.back().map_or(from, |(at, _)| *at),
                };
                plan
            })
            .collect();
        tried += plans.len() as u64;
        let mut play =
            Play { run: Run::new(), plans, ring: VecDeque::new(), begun: VecDeque::new() };
        play.play(seed);
        play.check(seed);
        seed += 1;
    }
}
