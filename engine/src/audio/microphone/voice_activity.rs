//! Whether a viewer speaks, and how loud.

use std::time::{Duration, Instant};

use visavis_codec::{ResampleError, VoiceDetector};

/// So much speech in a row is somebody who speaks; less may be a cough or a key.
const ATTACK: u32 = 48 / VoiceDetector::FRAME_MS;

/// Speech has ended when nobody has spoken for so long; pauses within a sentence are shorter.
const HANGOVER: Duration = Duration::from_millis(500);

/// How much sound a level is about.
const LEVELS_PER_SECOND: u32 = 5;

/// The level of silence, and the lowest there is (RFC 6464 §3).
const SILENT_DBFS: i8 = -127;

/// What was found in a voice. Times are those of capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VoiceEvent {
    SpeechStarted(Instant),
    SpeechEnded(Instant),
    /// Root mean square of the last fifth of a second, in dB; 0 is a square wave of full scale.
    Level(i8),
}

/// Whether one viewer speaks, and how loud.
#[derive(Debug)]
pub(super) struct VoiceActivity {
    detector: VoiceDetector,
    state: State,
    meter: Meter,
    /// When sound last came, and up to when it was captured.
    last: Option<(Instant, Instant)>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// So many frames of speech in a row.
    Quiet { frames: u32 },
    /// The last speech was captured up to then.
    Speaking { until: Instant },
}

#[derive(Debug)]
struct Meter {
    wanted: u32,
    samples: u32,
    energy: f64,
}

impl VoiceActivity {
    /// For samples of this rate.
    pub(super) fn new(sample_rate: u32) -> Result<Self, ResampleError> {
        let meter = Meter { wanted: sample_rate / LEVELS_PER_SECOND, samples: 0, energy: 0.0 };
        let (detector, state) = (VoiceDetector::new(sample_rate)?, State::Quiet { frames: 0 });
        Ok(Self { detector, state, meter, last: None })
    }

    /// Takes in samples, the first of which was captured at `captured`.
    pub(super) fn process(
        &mut self,
        samples: &[i16],
        captured: Instant,
        now: Instant,
        mut emit: impl FnMut(VoiceEvent),
    ) {
        let frame = Duration::from_millis(VoiceDetector::FRAME_MS.into());
        // To within a frame: the first one may have begun in the chunk before.
        let mut end = captured;
        let state = &mut self.state;
        let detected = self.detector.process(samples, |score| {
            end += frame;
            match state {
                State::Quiet { frames } if score >= VoiceDetector::SPEECH => {
                    *frames += 1;
                    if *frames >= ATTACK {
                        emit(VoiceEvent::SpeechStarted(
                            end.checked_sub(frame * ATTACK).unwrap_or(end),
                        ));
                        *state = State::Speaking { until: end };
                    }
                }
                State::Quiet { frames } => *frames = 0,
                State::Speaking { until } if score >= VoiceDetector::SILENCE => *until = end,
                State::Speaking { until } => {
                    let until = *until;
                    if end.saturating_duration_since(until) >= HANGOVER {
                        emit(VoiceEvent::SpeechEnded(until));
                        *state = State::Quiet { frames: 0 };
                    }
                }
            }
        });
        if let Err(error) = detected {
            tracing::debug!(%error, "nobody can tell whether this is speech");
        }
        self.last = Some((now, end));
        self.meter.process(samples, |level| emit(VoiceEvent::Level(level)));
    }

    /// When [`handle_due`](Self::handle_due) should be called: a browser whose microphone is switched off
    /// sends nothing at all.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Quiet { .. } => None,
            State::Speaking { .. } => self.last.map(|(came, _)| came + HANGOVER),
        }
    }

    /// Nothing may have come for so long that nobody speaks.
    pub(super) fn handle_due(&mut self, now: Instant, emit: impl FnMut(VoiceEvent)) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.end(emit);
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, mut emit: impl FnMut(VoiceEvent)) {
        if let State::Speaking { until } = self.state {
            self.state = State::Quiet { frames: 0 };
            emit(VoiceEvent::SpeechEnded(until));
        }
    }
}

impl Meter {
    fn process(&mut self, samples: &[i16], mut emit: impl FnMut(i8)) {
        for &sample in samples {
            self.energy += f64::from(sample) * f64::from(sample);
            self.samples += 1;
            if self.samples >= self.wanted {
                emit(dbfs(self.energy / f64::from(self.samples)));
                (self.samples, self.energy) = (0, 0.0);
            }
        }
    }
}

/// Of a mean square.
fn dbfs(power: f64) -> i8 {
    let full = f64::from(i16::MAX) * f64::from(i16::MAX);
    let level = 10.0 * (power / full).log10();
    // Infinitely low for digital silence.
    level.round().clamp(SILENT_DBFS.into(), 0.0) as i8
}

#[cfg(test)]
mod tests {
    use visavis_codec::Resampler;

    use super::*;

    const RATE: u32 = 16_000;
    const MS: Duration = Duration::from_millis(1);

    fn speech() -> Vec<i16> {
        let wav = include_bytes!("../../../../fixtures/speech.wav");
        let samples = wav[44..].chunks_exact(2);
        let wide: Vec<i16> = samples.map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        let mut samples = Vec::new();
        Resampler::new(24_000, 1, RATE, 1).unwrap().process(&wide, &mut samples).unwrap();
        samples
    }

    fn silence(seconds: u32) -> Vec<i16> {
        vec![0; (RATE * seconds) as usize]
    }

    fn noise(seconds: u32, level: i32) -> Vec<i16> {
        let mut state = 1_u32;
        let next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (i32::from((state >> 16) as i16) * level / 32_768) as i16
        };
        std::iter::repeat_with(next).take((RATE * seconds) as usize).collect()
    }

    /// Speaks so, 20 ms at a time and in virtual time; gives the events, with the time in ms.
    fn events_of(samples: &[i16]) -> Vec<(u64, VoiceEvent)> {
        let (mut activity, start) = (VoiceActivity::new(RATE).unwrap(), Instant::now());
        let mut events = Vec::new();
        for (n, packet) in samples.chunks(RATE as usize / 50).enumerate() {
            let captured = start + MS * 20 * n as u32;
            let arrived = captured + MS * 20;
            activity.handle_due(arrived, |_| panic!("sound came all the time"));
            activity.process(packet, captured, arrived, |what| events.push((20 * n as u64, what)));
        }
        events
    }

    fn of_speech(events: &[(u64, VoiceEvent)]) -> Vec<(u64, bool)> {
        let kind = |&(at, what): &(u64, VoiceEvent)| match what {
            VoiceEvent::SpeechStarted(_) => Some((at, true)),
            VoiceEvent::SpeechEnded(_) => Some((at, false)),
            VoiceEvent::Level(_) => None,
        };
        events.iter().filter_map(kind).collect()
    }

    fn levels(events: &[(u64, VoiceEvent)]) -> Vec<i8> {
        let level = |&(_, what): &(u64, VoiceEvent)| match what {
            VoiceEvent::Level(level) => Some(level),
            _ => None,
        };
        events.iter().filter_map(level).collect()
    }

    #[test]
    fn speech_starts_soon_after_silence_and_ends_half_a_second_after_it() {
        let speech = speech();
        let spoken_ms = speech.len() as u64 * 1_000 / u64::from(RATE);
        let events = events_of(&[silence(2), speech, silence(2)].concat());
        let told = of_speech(&events);
        println!("{told:?} of {spoken_ms} ms");
        let (&(first, started), &(last, on)) = (told.first().unwrap(), told.last().unwrap());
        assert!(started && (2_000..2_400).contains(&first), "{first}");
        let end = 2_000 + spoken_ms;
        assert!(!on && (end..end + 700).contains(&last), "{last}, sound ended at {end}");
        assert!(told.windows(2).all(|pair| pair[0].1 != pair[1].1), "{told:?}");
        // Three sentences or so: no more than its real pauses.
        assert!(told.len() <= 12, "{told:?}");
    }

    #[test]
    fn a_pause_of_a_second_counts_and_one_of_a_quarter_is_not() {
        let word = &speech()[..RATE as usize * 3 / 2];
        for (pause, starts) in [(RATE as usize / 4, 1), (RATE as usize, 2)] {
            let events = events_of(&[word, &vec![0; pause], word, &silence(1)].concat());
            let told = of_speech(&events);
            println!("{pause}: {told:?}");
            assert_eq!(told.iter().filter(|(_, started)| *started).count(), starts, "{told:?}");
        }
    }

    #[test]
    fn silence_and_noise_are_no_speech() {
        for (what, samples) in [
            ("silence", silence(20)),
            ("soft noise", noise(20, 300)),
            ("loud noise", noise(20, 6_000)),
            ("clicks", (0..320_000).map(|n| if n % 8_000 < 16 { 20_000 } else { 0 }).collect()),
        ] {
            let told = of_speech(&events_of(&samples));
            assert!(told.is_empty(), "{what}: {told:?}");
        }
    }

    #[test]
    fn what_ends_in_the_middle_of_a_word_ends() {
        let (mut activity, start) = (VoiceActivity::new(RATE).unwrap(), Instant::now());
        let mut events = Vec::new();
        for (n, packet) in speech()[..RATE as usize].chunks(320).enumerate() {
            let captured = start + MS * 20 * n as u32;
            activity.process(packet, captured, captured + MS * 20, |what| events.push(what));
        }
        let due = activity.deadline().unwrap();
        assert_eq!(due, start + MS * 1_000 + HANGOVER);
        events.clear();
        activity.handle_due(due - MS, |what| events.push(what));
        assert_eq!(events, []);
        activity.handle_due(due, |what| events.push(what));
        assert!(matches!(events[..], [VoiceEvent::SpeechEnded(_)]), "{events:?}");
        assert_eq!(activity.deadline(), None);
        activity.end(|_| panic!("it has ended already"));
    }

    #[test]
    fn times_are_those_of_capture() {
        let (mut activity, start) = (VoiceActivity::new(RATE).unwrap(), Instant::now());
        let mut events = Vec::new();
        let samples = [silence(1), speech(), silence(1)].concat();
        for (n, packet) in samples.chunks(320).enumerate() {
            let captured = start + MS * 20 * n as u32;
            activity.process(packet, captured, captured + MS * 300, |what| events.push(what));
        }
        let ms = |at: Instant| at.duration_since(start).as_millis() as u64;
        let first = events.iter().find_map(|what| match what {
            VoiceEvent::SpeechStarted(at) => Some(ms(*at)),
            _ => None,
        });
        let last = events.iter().rev().find_map(|what| match what {
            VoiceEvent::SpeechEnded(at) => Some(ms(*at)),
            _ => None,
        });
        let end = 1_000 + speech().len() as u64 * 1_000 / u64::from(RATE);
        println!("{first:?} {last:?} of 1000 to {end}");
        assert!((980..1_350).contains(&first.unwrap()), "{first:?}");
        assert!((end - 700..end + 200).contains(&last.unwrap()), "{last:?}");
    }

    #[test]
    fn levels_come_five_times_a_second_and_are_right() {
        let square: Vec<i16> = [i16::MAX, -i16::MAX].repeat(RATE as usize / 2);
        let half: Vec<i16> = square.iter().map(|sample| sample / 2).collect();
        for (samples, level) in [(square, 0), (half, -6), (silence(1), SILENT_DBFS)] {
            assert_eq!(levels(&events_of(&samples)), [level; 5]);
        }
        let told = levels(&events_of(&speech()));
        assert!(told.iter().any(|&level| level > -25), "{told:?}");
        assert!(told.iter().any(|&level| level < -40), "{told:?}");
    }
}
