//! The clock that a session's callers stamp their media with, by ours.

use std::time::{Duration, Instant};

use visavis_types::{ClockAnchor, UnixMillis};

/// Timestamps further than this from now are not believed: no renderer lags so much, and no clock of a host that
/// keeps time at all is so far off. The media is then dated by when it was pushed.
const CREDIBLE_US: i64 = 10_000_000;

/// The soonest push of so long stands for all of it: renderers are late now and then, never early.
const WINDOW: Duration = Duration::from_secs(10);

/// Sound this much ahead of its time was made ahead, and shows nothing of the clock.
const MADE_AHEAD_US: i64 = 100_000;

/// A change between two windows that is no drift: a clock was set, or the caller works otherwise now.
const STEP_US: i64 = 100_000;

/// The fastest that the correction changes: a millisecond a second, ten times what bad crystals do.
const MAX_SLEW_US: i64 = WINDOW.as_millis() as i64;

/// A picture is not captured after it was pushed; so much is what threads and two clocks may be off.
const AHEAD_US: i64 = 60_000;

/// Sound that is later than this was not made just now: its clock is behind, or all that its renderer makes is late.
const LATE_US: i64 = 200_000;

/// Stamps may go back so much: callers on several threads take turns.
const BACK_US: i64 = 100_000;

/// Sound may be so much further ahead than the chunk before it: chunks are long, and come before they are played.
const JUMP_US: i64 = 3_000_000;

/// A chunk that follows the one before it within this is one in a row.
const FOLLOWS_US: i64 = 1_000_000;

/// So many stamps in a row that agree are no mistake any more, if they took so long.
const AGREEING: u32 = 3;
const AGREEING_FOR: Duration = Duration::from_millis(80);

/// Sound that was in time and falls behind may catch up again: a thread was held up. It has so long.
const MAY_RECOVER: Duration = Duration::from_secs(1);

/// Stamps that differ by less from what the first of them showed agree.
const AGREEMENT_US: i64 = 100_000;

/// Media of which nothing came for so long shows nothing of now.
const RECENT: Duration = Duration::from_secs(2);

/// Places the stamps of a session's callers on the monotonic clock.
///
/// Both clocks are taken to agree at first: what lies between a stamp and its push is the caller's
/// latency. Afterwards a latency that changes slowly is taken for clocks that drift apart, as those of two
/// hosts do, or that of a sound card and the system's; stamps are corrected by it.
///
/// Where stamps cannot be meant as they are (pictures of the future, or of before the picture before them; sound
/// that is long past), what carries them is dated by when it was pushed. One such stamp is a mistake and changes
/// nothing else; once several agree, they show how far their clock is off or their renderer behind, and all stamps
/// are corrected by that. Picture and sound get the same correction, so that it never parts them.
#[derive(Debug)]
pub(crate) struct SourceClock {
    anchor: ClockAnchor,
    /// Added to stamps, in µs: by how much their clock is off.
    offset_us: i64,
    window: Option<Window>,
    /// The least latency of the first window, in µs.
    reference: Option<i64>,
    /// Added to stamps: so much when the current window began, and so much at its end.
    correction: (i64, i64),
    corrected_at: Option<Instant>,
    pictures: Track,
    sound: Track,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    least_us: i64,
}

/// What is known of pictures, or of sound.
#[derive(Debug, Default)]
struct Track {
    /// How late the last one was whose stamp was believed, and when that was pushed.
    believed: Option<(i64, Instant)>,
    /// What the last one was dated.
    dated: Option<Instant>,
    doubted: Option<Doubted>,
}

/// Stamps in a row that cannot be meant as they are.
#[derive(Debug, Clone, Copy)]
struct Doubted {
    since: Instant,
    count: u32,
    latency_us: i64,
}

/// What is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamped {
    Picture,
    Sound,
}

/// When something was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dated {
    pub(crate) at: Instant,
    pub(crate) by: DatedBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatedBy {
    Stamp,
    /// By when it was pushed: its stamp cannot be right, or it is too soon to know.
    Push,
    /// By when it was pushed: its stamp is so far away that it cannot be meant at all.
    PushAsStampIsAbsurd,
}

impl Track {
    fn is_recent(&self, now: Instant) -> bool {
        self.believed.is_some_and(|(_, at)| now.saturating_duration_since(at) < RECENT)
    }

    /// How late the next one is taken to be if its stamp is of no use.
    fn usual_latency_us(&self) -> i64 {
        self.believed.map_or(0, |(latency_us, _)| latency_us)
    }

    /// Notes a stamp that is doubted; true where enough of them agree.
    fn doubt(&mut self, latency_us: i64, patience: Duration, now: Instant) -> bool {
        let fresh = Doubted { since: now, count: 0, latency_us };
        let agrees = |doubted: &Doubted| (doubted.latency_us - latency_us).abs() < AGREEMENT_US;
        let mut doubted = self.doubted.filter(agrees).unwrap_or(fresh);
        doubted.count += 1;
        self.doubted = Some(doubted);
        doubted.count >= AGREEING && now.saturating_duration_since(doubted.since) >= patience
    }
}

impl SourceClock {
    pub(crate) fn new(anchor: ClockAnchor) -> Self {
        Self {
            anchor,
            offset_us: 0,
            window: None,
            reference: None,
            correction: (0, 0),
            corrected_at: None,
            pictures: Track::default(),
            sound: Track::default(),
        }
    }

    /// When something was captured that carries this stamp and was pushed just now.
    pub(crate) fn capture_time(
        &mut self,
        what: Stamped,
        stamp: UnixMillis,
        pushed: Instant,
    ) -> Dated {
        let stamped = self.anchor.to_instant(stamp);
        let stamped = stamped.map(|at| shift(at, self.offset_us + self.correction_at(pushed)));
        let latency_us = stamped.map(|at| difference_us(pushed, at));
        let credible = latency_us.filter(|latency_us| latency_us.abs() <= CREDIBLE_US);
        let dated = match credible {
            None => {
                let usual_us = self.track(what).usual_latency_us();
                Dated { at: shift(pushed, -usual_us), by: DatedBy::PushAsStampIsAbsurd }
            }
            Some(latency_us) => self.weigh(what, latency_us, pushed),
        };
        self.track(what).dated = Some(dated.at);
        dated
    }

    fn track(&mut self, what: Stamped) -> &mut Track {
        match what {
            Stamped::Picture => &mut self.pictures,
            Stamped::Sound => &mut self.sound,
        }
    }

    /// Whether a stamp can be meant as it is, and what follows from it.
    fn weigh(&mut self, what: Stamped, latency_us: i64, pushed: Instant) -> Dated {
        let captured = shift(pushed, -latency_us);
        let track = self.track(what);
        let after_last_us = track.dated.map(|last| difference_us(captured, last));
        let (possible, in_order) = match what {
            Stamped::Picture => (
                latency_us >= -AHEAD_US && after_last_us.is_none_or(|after| after >= -BACK_US),
                true,
            ),
            Stamped::Sound => {
                let jumps = track.usual_latency_us() - latency_us > JUMP_US;
                let follows =
                    after_last_us.is_some_and(|after| (-BACK_US..FOLLOWS_US).contains(&after));
                let late = latency_us > LATE_US;
                let goes_on = track.believed.is_none() || !jumps;
                (!late && goes_on, late && follows)
            }
        };
        if possible {
            track.doubted = None;
            track.believed = Some((latency_us, pushed));
            self.learn(what, latency_us, pushed);
            return Dated { at: captured, by: DatedBy::Stamp };
        }
        // Sound that was in time and is late now may only have been held up.
        let held_up = what == Stamped::Sound && in_order && track.believed.is_some();
        let patience = if held_up { MAY_RECOVER } else { AGREEING_FOR };
        let usual_us = track.usual_latency_us();
        if track.doubt(latency_us, patience, pushed) {
            self.follow(what, latency_us, pushed);
        }
        if held_up {
            return Dated { at: captured, by: DatedBy::Stamp };
        }
        Dated { at: shift(pushed, -usual_us), by: DatedBy::Push }
    }

    /// Several stamps show the same of their clock, or of their renderer: all are corrected by it, so that the media
    /// is as late as it was before, and not late at all where it was never in time.
    fn follow(&mut self, what: Stamped, latency_us: i64, now: Instant) {
        let usual_us = self.track(what).usual_latency_us();
        let change_us = match what {
            Stamped::Picture => latency_us - usual_us.clamp(0, LATE_US),
            // Made ahead of its time; that shows nothing of the clock.
            Stamped::Sound if latency_us <= LATE_US => 0,
            Stamped::Sound => {
                let change_us = latency_us - usual_us.clamp(-AHEAD_US, LATE_US / 2);
                // Where pictures are in time it is the sound alone that is late, and stays so.
                let pictures_late_us = match self.pictures.is_recent(now) {
                    true => self.pictures.usual_latency_us(),
                    false => change_us,
                };
                if pictures_late_us < change_us - LATE_US { 0 } else { change_us }
            }
        };
        self.track(what).doubted = None;
        self.track(what).believed = Some((latency_us - change_us, now));
        if change_us == 0 {
            return;
        }
        tracing::debug!(?what, change_us, "stamps of this session are corrected");
        self.offset_us += change_us;
        if let (Stamped::Sound, Some((late_us, _))) = (what, &mut self.pictures.believed) {
            *late_us -= change_us;
        }
        (self.window, self.reference) = (None, None);
    }

    fn correction_at(&self, now: Instant) -> i64 {
        let (from, to) = self.correction;
        let since = self.corrected_at.map(|at| now.saturating_duration_since(at));
        let share = since.unwrap_or_default().min(WINDOW).as_micros() as i64;
        from + (to - from) * share / WINDOW.as_micros() as i64
    }

    fn learn(&mut self, what: Stamped, latency_us: i64, now: Instant) {
        // Pictures are made when they are needed, and show more.
        let has_pictures = self
            .pictures
            .believed
            .is_some_and(|(_, at)| now.saturating_duration_since(at) < WINDOW);
        if what == Stamped::Sound && (has_pictures || latency_us < -MADE_AHEAD_US) {
            return;
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
            difference_us(self.clock.capture_time(what, stamp, pushed).at, captured)
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
    fn a_clock_that_was_set_is_followed() {
        for step in [3_000_000, -3_000_000, 5_000_000, -5_000_000, 90_000, -90_000] {
            let mut run = Run::new();
            for frame in 0..6_000_u64 {
                let at = Duration::from_millis(frame * 33);
                let ahead = if frame < 2_000 { 0 } else { step };
                let error = run.push(Stamped::Picture, at, Duration::from_millis(20), ahead);
                // Less than what can be told from a late renderer is left as it is said.
                let most = if step.abs() < AGREEMENT_US { step.abs() } else { 0 };
                assert!(error.abs() <= most + 1_000, "{step}, {frame}: {error}");
            }
        }
    }

    /// How far apart sound and picture of one stamp are dated, in ms, and how far the sound is from when it was
    /// pushed, from two seconds after whatever happens to the clock at ten seconds.
    fn apart(off: impl Fn(Stamped, u64) -> i64, lead_ms: u64) -> (i64, i64) {
        let mut run = Run::new();
        let (mut sound, mut pictures) = (Vec::new(), Vec::new());
        for ms in 0..25_000_u64 {
            let at = Duration::from_millis(ms);
            let pushed = run.start + Duration::from_secs(1) + at;
            let mut push = |what, captured_ms: u64| {
                let captured =
                    run.start + Duration::from_secs(1) + Duration::from_millis(captured_ms);
                let stamped = shift(captured, off(what, ms) * 1_000);
                let stamp = UnixMillis::from_system(run.anchor.to_system(stamped));
                (captured_ms, pushed, run.clock.capture_time(what, stamp, pushed).at)
            };
            if ms % 33 == 0 {
                pictures.push(push(Stamped::Picture, ms));
            }
            if ms % 20 == 0 {
                sound.push(push(Stamped::Sound, ms + lead_ms));
            }
        }
        let settled = |ms: u64| (2_000..10_000).contains(&ms) || ms > 12_000;
        let date = |dated: Instant| difference_us(dated, run.start) / 1_000;
        let (mut worst, mut age) = (0, 0);
        for &(of, _, dated) in pictures.iter().filter(|(of, ..)| settled(*of)) {
            // The sound of that moment.
            let Some(at) = sound.iter().position(|(sound_of, ..)| *sound_of + 20 > of) else {
                continue;
            };
            let (sound_of, pushed, sound_dated) = sound[at];
            let apart = date(sound_dated) - sound_of as i64 - (date(dated) - of as i64);
            worst = worst.max(apart.abs());
            age = age.max(difference_us(pushed, sound_dated).abs() / 1_000);
        }
        (worst, age)
    }

    #[test]
    fn sound_and_picture_of_one_stamp_are_dated_alike_wherever_it_lies() {
        let constant = [-9_000, -1_000, -600, -400, -300, -200, 0, 200, 3_000, 9_000];
        let steps = [-5_000, 5_000, -300, 300];
        for lead_ms in [0, 45] {
            for off in constant {
                let (apart, age) = apart(|_, _| off, lead_ms);
                assert!(apart <= 2 && age <= 250, "stamped {off} ms off: {apart} ms, {age} ms");
            }
            for step in steps {
                let (apart, age) = apart(|_, ms| if ms < 10_000 { 0 } else { step }, lead_ms);
                assert!(apart <= 2 && age <= 350, "a step of {step} ms: {apart} ms, {age} ms");
            }
            for (what, off) in [
                (Stamped::Picture, 9_000),
                (Stamped::Picture, -9_000),
                (Stamped::Sound, 9_000),
                (Stamped::Sound, -9_000),
                (Stamped::Picture, 4_000_000),
            ] {
                // One of them, at ten seconds.
                let (apart, age) = apart(
                    |this, ms| if this == what && (10_000..10_033).contains(&ms) { off } else { 0 },
                    lead_ms,
                );
                assert!(apart <= 2 && age <= 60, "one {what:?} {off} ms off: {apart} ms, {age} ms");
            }
        }
    }

    #[test]
    fn sound_that_is_held_up_keeps_its_stamps_and_sound_that_stays_late_is_brought_back() {
        let mut run = Run::new();
        let ms = Duration::from_millis;
        let mut push = |of: u64, at: u64, picture: bool| {
            let what = if picture { Stamped::Picture } else { Stamped::Sound };
            run.push(what, ms(at), ms(at - of), 0)
        };
        (0..100).for_each(|n| assert!(push(n * 20, n * 20, false).abs() <= 1_000));
        // Half a second is pushed at once.
        (100..125).for_each(|n| assert!(push(n * 20, 2_500, false).abs() <= 1_000, "{n}"));
        (126..200).for_each(|n| assert!(push(n * 20, n * 20, false).abs() <= 1_000));
        // Both are late by a second from now on.
        let both = (200..400)
            .map(|n| (push(n * 20, n * 20 + 1_000, true), push(n * 20, n * 20 + 1_000, false)));
        let (picture, sound) = both.last().unwrap();
        assert!((picture - sound).abs() <= 1_000 && sound >= 900_000, "{picture} {sound}");
    }

    #[test]
    fn sound_alone_that_is_late_moves_no_picture() {
        let mut run = Run::new();
        let ms = Duration::from_millis;
        for n in 0..500_u64 {
            let picture = run.push(Stamped::Picture, ms(n * 33), ms(15), 0);
            assert!(picture.abs() <= 1_000, "{n}: {picture}");
            // A second in each chunk, stamped with its beginning.
            if n % 30 == 0 {
                run.push(Stamped::Sound, ms(n * 33), ms(1_000), 0);
            }
        }
    }

    #[test]
    fn incredible_timestamps_mean_now() {
        let anchor = ClockAnchor::now();
        let (mut clock, now) = (SourceClock::new(anchor), Instant::now());
        for stamp in [0, 1_000, u64::MAX / 4, u64::MAX] {
            let dated = clock.capture_time(Stamped::Picture, UnixMillis(stamp), now);
            assert_eq!(dated, Dated { at: now, by: DatedBy::PushAsStampIsAbsurd });
        }
        let mut clock = SourceClock::new(anchor);
        let recent = UnixMillis(UnixMillis::now().0 - 500);
        let age = now.duration_since(clock.capture_time(Stamped::Picture, recent, now).at);
        assert!(
            age >= Duration::from_millis(490) && age <= Duration::from_millis(1_500),
            "{age:?}"
        );
    }
}
