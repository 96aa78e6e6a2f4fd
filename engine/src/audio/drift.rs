//! Sound cards and renderers count seconds of their own: what a source takes for 48,000 samples a second
//! is some parts in a million more or fewer by our clock. Over hours that would pile up in the queue, or
//! run it dry again and again.

use std::time::{Duration, Instant};

/// What is observed is averaged over so long: callers push with some jitter.
const WINDOW: Duration = Duration::from_secs(10);

/// How fast the correction acts, per second: it settles within some minutes, and never overshoots (both
/// poles at the same place).
const PROPORTIONAL: f64 = 1.0 / 30.0;
const INTEGRAL: f64 = PROPORTIONAL * PROPORTIONAL / 4.0;

/// The greatest correction, in parts in a million. Crystals are within 100, and 500 are less than a
/// hundredth of a semitone.
const MAX_PPM: f64 = 500.0;

/// A source that is further ahead than this makes its sound faster than it plays, as a speech synthesizer
/// does: its rate shows nothing of its clock.
const LIVE_LEAD_US: i64 = 500_000;

/// A step of the lead that is no drift but an event: a stall, a pause, a chunk of another length.
const STEP_US: f64 = 15_000.0;

/// Keeps the rate of a live source at ours: watches how far it is ahead of what is played, and has its
/// sound made a little longer or shorter so that this stays as it was at first.
#[derive(Debug, Default)]
pub(super) struct DriftCorrector {
    window: Option<Window>,
    /// The lead to be kept, in µs.
    reference: Option<f64>,
    /// What is known of the source's clock, in parts in a million.
    drift: f64,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    sum_us: i64,
    count: u32,
}

impl DriftCorrector {
    /// Notes how far (in µs, less than nothing if late) the source is ahead at the moment of a push;
    /// `None`: it has only begun. Returns the correction, in parts in a million, where that has changed.
    pub(super) fn watch(&mut self, lead_us: Option<i64>, now: Instant) -> Option<f64> {
        let Some(lead_us) = lead_us.filter(|lead| *lead < LIVE_LEAD_US) else {
            // What was learned of its clock is kept for the next talkspurt.
            (self.window, self.reference) = (None, None);
            return None;
        };
        let window = self.window.get_or_insert(Window { since: now, sum_us: 0, count: 0 });
        window.sum_us += lead_us;
        window.count += 1;
        let elapsed = now.saturating_duration_since(window.since);
        if elapsed < WINDOW {
            return None;
        }
        let lead = window.sum_us as f64 / f64::from(window.count);
        self.window = None;
        let error = lead - *self.reference.get_or_insert(lead);
        if error.abs() > STEP_US {
            self.reference = Some(lead);
            return None;
        }
        self.drift =
            (self.drift + INTEGRAL * elapsed.as_secs_f64() * error).clamp(-MAX_PPM, MAX_PPM);
        Some(-(self.drift + PROPORTIONAL * error).clamp(-MAX_PPM, MAX_PPM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::pacer::Pacer;
    use crate::audio::sound::Sound;
    use visavis_types::PacketTime;

    /// What an application and the audio loop do together, in virtual time.
    struct Run {
        pacer: Pacer,
        drift: DriftCorrector,
        /// The correction in effect, and the fraction of a sample that it has left.
        ppm: f64,
        fraction: f64,
        packet: Sound,
        steepest: f64,
        silent: u32,
        /// The greatest difference between when a packet's sound was made and when it is sent.
        waits: (Duration, Duration),
        start: Instant,
    }

    impl Run {
        fn new() -> Self {
            Self {
                pacer: Pacer::new(Duration::from_secs(60), PacketTime::Ms20),
                drift: DriftCorrector::default(),
                ppm: 0.0,
                fraction: 0.0,
                packet: Sound::default(),
                steepest: 0.0,
                silent: 0,
                waits: (Duration::MAX, Duration::ZERO),
                start: Instant::now(),
            }
        }

        fn poll(&mut self, now: Instant) {
            while let Some(slot) = self.pacer.poll(now, &mut self.packet) {
                self.silent += u32::from(!slot.sound || self.packet.samples.contains(&0));
                let wait = now.saturating_duration_since(slot.captured);
                self.waits = (self.waits.0.min(wait), self.waits.1.max(wait));
            }
        }

        /// A chunk of 20 ms by the source's clock, pushed at `now`; the loop woke when it had to.
        fn push(&mut self, captured: Instant, now: Instant) {
            while let Some(due) = self.pacer.deadline().filter(|due| *due < now) {
                self.poll(due);
            }
            if let Some(ppm) = self.drift.watch(self.pacer.lead(now), now) {
                self.steepest = self.steepest.max((ppm - self.ppm).abs());
                self.ppm = ppm;
            }
            let samples = 960.0 * (1.0 + self.ppm / 1e6) + self.fraction;
            self.fraction = samples.fract();
            self.pacer.push(&Sound::mono(&[1; 962][..samples as usize]), captured, now);
            self.poll(now);
        }
    }

    #[test]
    fn eight_hours_of_sound_from_a_clock_that_is_not_ours() {
        for ppm in [-200.0, 200.0] {
            let mut run = Run::new();
            for chunk in 1..8 * 3_600 * 50_u64 {
                // A clock that is fast has its chunk ready sooner. Threads are late by up to 3 ms.
                let at = Duration::from_secs_f64(chunk as f64 * 0.02 / (1.0 + ppm / 1e6));
                let late = Duration::from_micros(chunk * 7_919 % 3_000);
                let made = run.start + at;
                run.push(made - Duration::from_millis(20), made + late);
            }
            println!(
                "{ppm:+} ppm for 8 h: corrected by {:.1} ppm, steps of {:.2} ppm at most, sound sent {:?} to {:?} \
                 after it was captured",
                run.ppm, run.steepest, run.waits.0, run.waits.1
            );
            assert_eq!(run.silent, 0, "holes in the sound");
            assert!((run.ppm + ppm).abs() < 5.0, "{} ppm", run.ppm);
            // What a trained ear can tell is some 5 cents, or 3,000 ppm.
            assert!(run.steepest < 100.0, "{} ppm", run.steepest);
            // A packet whose last sample comes with the next chunk waits for that.
            let (least, most) = run.waits;
            assert!(most - least < Duration::from_millis(25), "{least:?} to {most:?}");
        }
    }

    #[test]
    fn without_correction_the_same_hours_end_seconds_out_of_step() {
        let mut run = Run::new();
        for chunk in 1..8 * 3_600 * 50_u64 {
            let at = Duration::from_secs_f64(chunk as f64 * 0.02 / (1.0 + 200e-6));
            let now = run.start + at;
            while let Some(due) = run.pacer.deadline().filter(|due| *due < now) {
                run.poll(due);
            }
            run.pacer.push(&Sound::mono(&[1; 960]), now, now);
            run.poll(now);
        }
        let end = run.start + Duration::from_secs_f64(8.0 * 3_600.0 / (1.0 + 200e-6));
        let lead = run.pacer.lead(end).unwrap();
        assert!(lead > 5_000_000, "{lead} µs");
    }

    #[test]
    fn a_voice_that_is_made_faster_than_it_plays_is_not_corrected() {
        let mut run = Run::new();
        let mut now = run.start;
        for chunk in 0..3_000_u64 {
            now += Duration::from_millis(if chunk % 500 < 200 { 2 } else { 25 });
            run.push(now, now);
        }
        assert!(run.ppm.abs() < 1.0, "{}", run.ppm);
    }
}
