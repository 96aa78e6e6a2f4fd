//! The clock that a session's callers stamp their media with, by ours.

use std::time::{Duration, Instant};

use visavis_types::{ClockAnchor, UnixMillis};

/// Timestamps further than this from now are not believed; the media then counts as captured when
/// pushed. It is far more than any renderer lags, and keeps RTP time sane.
const CREDIBLE: Duration = Duration::from_secs(10);

/// The soonest push of so long stands for all of it: renderers are late now and then, never early.
const WINDOW: Duration = Duration::from_secs(10);

/// Sound this much ahead of its time was made ahead, and says nothing of the clock.
const MADE_AHEAD_US: i64 = 100_000;

/// A change between two windows that is no drift: a clock was set, or the caller works otherwise now.
const STEP_US: i64 = 100_000;

/// The fastest that the correction changes: a millisecond a second, ten times what bad crystals do.
const MAX_SLEW_US: i64 = WINDOW.as_millis() as i64;

/// Places the stamps of a session's callers on the monotonic clock.
///
/// Both clocks are taken to agree at first: what lies between a stamp and its push is the caller's
/// latency. Afterwards a latency that changes slowly is taken for clocks that drift apart, as those of two
/// hosts do, or that of a sound card and the system's; stamps are corrected by it. Picture and sound get
/// the same correction, so that it never parts them.
#[derive(Debug)]
pub(crate) struct SourceClock {
    anchor: ClockAnchor,
    window: Option<Window>,
    /// The least latency of the first window, in µs.
    reference: Option<i64>,
    /// Added to stamps: so much when the current window began, and so much at its end.
    correction: (i64, i64),
    corrected_at: Option<Instant>,
    pictures_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    least_us: i64,
}

/// What is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamped {
    Picture,
    Sound,
}

impl SourceClock {
    pub(crate) fn new(anchor: ClockAnchor) -> Self {
        Self {
            anchor,
            window: None,
            reference: None,
            correction: (0, 0),
            corrected_at: None,
            pictures_until: None,
        }
    }

    /// When something was captured that carries this stamp and was pushed just now.
    pub(crate) fn capture_time(
        &mut self,
        what: Stamped,
        stamp: UnixMillis,
        pushed: Instant,
    ) -> Instant {
        let Some(stamped) = self.anchor.to_instant(stamp) else {
            return pushed;
        };
        let stamped = shift(stamped, self.correction_at(pushed));
        let latency_us = difference_us(pushed, stamped);
        if latency_us.unsigned_abs() > CREDIBLE.as_micros() as u64 {
            return pushed;
        }
        self.learn(what, latency_us, pushed);
        stamped
    }

    fn correction_at(&self, now: Instant) -> i64 {
        let (from, to) = self.correction;
        let since = self.corrected_at.map(|at| now.saturating_duration_since(at));
        let share = since.unwrap_or_default().min(WINDOW).as_micros() as i64;
        from + (to - from) * share / WINDOW.as_micros() as i64
    }

    fn learn(&mut self, what: Stamped, latency_us: i64, now: Instant) {
        match what {
            Stamped::Picture => self.pictures_until = Some(now + WINDOW),
            // Pictures are made when they are needed, and tell more.
            Stamped::Sound if self.pictures_until.is_some_and(|until| now < until) => return,
            Stamped::Sound if latency_us < -MADE_AHEAD_US => return,
            Stamped::Sound => {}
        }
        let window = self.window.get_or_insert(Window { since: now, least_us: i64::MAX });
        window.least_us = window.least_us.min(latency_us);
        if now.saturating_duration_since(window.since) < WINDOW {
            return;
        }
        let least = window.least_us;
        self.window = None;
        // Latencies are those of corrected stamps: what is left of the drift shows in them.
        let error = least - *self.reference.get_or_insert(least);
        if error.abs() > STEP_US {
            self.reference = Some(least);
            return;
        }
        let current = self.correction_at(now);
        self.correction = (current, current + error.clamp(-MAX_SLEW_US, MAX_SLEW_US));
        self.corrected_at = Some(now);
    }
}

fn difference_us(later: Instant, earlier: Instant) -> i64 {
    match later.checked_duration_since(earlier) {
        Some(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        None => -i64::try_from((earlier - later).as_micros()).unwrap_or(i64::MAX),
    }
}

fn shift(at: Instant, by_us: i64) -> Instant {
    let by = Duration::from_micros(by_us.unsigned_abs());
    let shifted = if by_us < 0 { at.checked_sub(by) } else { at.checked_add(by) };
    shifted.unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    struct Run {
        clock: SourceClock,
        anchor: ClockAnchor,
        start: Instant,
    }

    impl Run {
        fn new() -> Self {
            let start = Instant::now();
            let anchor = ClockAnchor::new(start, SystemTime::now());
            Self { clock: SourceClock::new(anchor), anchor, start }
        }

        /// Pushes what was captured (by our clock) so long before, stamped by a clock that is off by
        /// `ahead_us`; returns the error of the capture time in µs.
        fn push(&mut self, what: Stamped, at: Duration, latency: Duration, ahead_us: i64) -> i64 {
            let pushed = self.start + Duration::from_secs(1) + at;
            let captured = pushed - latency;
            let stamp = UnixMillis::from_system(self.anchor.to_system(shift(captured, ahead_us)));
            difference_us(self.clock.capture_time(what, stamp, pushed), captured)
        }
    }

    #[test]
    fn a_clock_that_drifts_for_eight_hours_is_followed() {
        for ppm in [-200_i64, 200] {
            let mut run = Run::new();
            let mut worst = 0;
            for frame in 0..8 * 3_600 * 30_u64 {
                let at = Duration::from_micros(frame * 33_333);
                let ahead_us = at.as_micros() as i64 * ppm / 1_000_000;
                // A renderer takes 20 ms, and now and then 45.
                let latency = Duration::from_millis(if frame % 7 == 3 { 45 } else { 20 });
                let picture = run.push(Stamped::Picture, at, latency, ahead_us);
                let sound = run.push(Stamped::Sound, at, Duration::from_millis(10), ahead_us);
                // Stamps are whole milliseconds.
                assert!((picture - sound).abs() <= 1_000, "{picture} {sound}");
                worst = worst.max(picture.abs());
            }
            println!(
                "{ppm:+} ppm for 8 h: capture times off by {:.1} ms at most",
                worst as f64 / 1e3
            );
            assert!(worst <= 8_000, "{ppm} ppm: {worst} µs");
        }
    }

    #[test]
    fn a_steady_clock_is_believed_however_late_the_renderer() {
        let mut run = Run::new();
        for frame in 0..3_000_u64 {
            let at = Duration::from_millis(frame * 33);
            let latency = Duration::from_millis(20 + frame * 13 % 60);
            assert!(run.push(Stamped::Picture, at, latency, 0).abs() <= 1_000);
        }
    }

    #[test]
    fn speech_made_ahead_of_its_time_teaches_nothing() {
        let mut run = Run::new();
        for chunk in 0..3_000_u64 {
            let at = Duration::from_millis(chunk * 10);
            // Each chunk is stamped with when it is to be heard: up to five seconds from now.
            let ahead = 5_000_000 - (chunk as i64 * 9_000 % 4_800_000);
            run.push(Stamped::Sound, at, Duration::ZERO, ahead);
        }
        assert_eq!(run.clock.correction, (0, 0));
    }

    #[test]
    fn a_clock_that_was_set_is_taken_as_it_is() {
        let mut run = Run::new();
        for frame in 0..6_000_u64 {
            let at = Duration::from_millis(frame * 33);
            let ahead = if frame < 2_000 { 0 } else { 3_000_000 };
            let error = run.push(Stamped::Picture, at, Duration::from_millis(20), ahead);
            assert!((error - ahead).abs() <= 1_000, "{frame}: {error}");
        }
    }

    #[test]
    fn incredible_timestamps_mean_now() {
        let anchor = ClockAnchor::now();
        let (mut clock, now) = (SourceClock::new(anchor), Instant::now());
        for stamp in [0, 1_000, u64::MAX / 4, u64::MAX] {
            assert_eq!(clock.capture_time(Stamped::Picture, UnixMillis(stamp), now), now);
        }
        let recent = UnixMillis(UnixMillis::now().0 - 500);
        let age = now.duration_since(clock.capture_time(Stamped::Picture, recent, now));
        assert!(
            age >= Duration::from_millis(490) && age <= Duration::from_millis(1_500),
            "{age:?}"
        );
    }
}
