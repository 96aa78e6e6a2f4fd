use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

use visavis_types::UnixMillis;

use super::id::UtteranceId;

/// An utterance with sound and pictures begins when there is something of both. One that has only one
/// of them begins so long after its first piece.
const PATIENCE: Duration = Duration::from_millis(60);

/// The longest utterance: a day.
const MAX_MS: u64 = 24 * 60 * 60 * 1_000;

/// Nothing keeps pictures back.
const FREE: u64 = u64::MAX;

/// In [`UtteranceState::sent`]: it was interrupted, and no more is sent.
const INTERRUPTED: u64 = 1 << 63;

/// Likewise: all of it is sent, and an interruption comes too late.
const COMPLETE: u64 = 1 << 62;

const MARKS: u64 = INTERRUPTED | COMPLETE;

/// One utterance, seen from all sides. Callers fill it; the audio loop decides when it begins, how its
/// time passes and when it is over; the encode loop follows.
#[derive(Debug)]
pub(crate) struct UtteranceState {
    pub(crate) id: UtteranceId,
    zero: UnixMillis,
    /// Moments are kept as microseconds after this one.
    made: Instant,
    /// One more than the moment of the first push; 0: not yet.
    first_push: AtomicU64,
    /// One more than the moment at which its time was 0; 0: not begun.
    origin: AtomicU64,
    /// The time up to which pictures may be shown: sound is late.
    hold: AtomicU64,
    /// How much of it was sent, and whether it was interrupted or is complete: in one, so that an interruption has either
    /// counted a packet, or stopped it.
    sent: AtomicU64,
    /// The time of the picture pushed last, in µs.
    last_picture: AtomicU64,
    /// None is before it, so that what it pushes is played as it comes.
    first: AtomicBool,
    has_sound: AtomicBool,
    has_pictures: AtomicBool,
    ended: AtomicBool,
    pictures_done: AtomicBool,
    over: AtomicBool,
}

/// Whether an utterance can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    Now,
    At(Instant),
    /// When something is pushed.
    NotYet,
}

impl UtteranceState {
    pub(crate) fn new(id: UtteranceId, zero: UnixMillis, now: Instant) -> Self {
        Self {
            id,
            zero,
            made: now,
            first_push: AtomicU64::new(0),
            origin: AtomicU64::new(0),
            hold: AtomicU64::new(FREE),
            sent: AtomicU64::new(0),
            last_picture: AtomicU64::new(0),
            first: AtomicBool::new(false),
            has_sound: AtomicBool::new(false),
            has_pictures: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            pictures_done: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.made).as_micros() as u64
    }

    // --- Callers ---

    /// The time inside the utterance of what carries this stamp; before its beginning is its beginning. The
    /// error is how many ms it would be, of a stamp that cannot be meant.
    pub(crate) fn time_of(&self, stamp: UnixMillis) -> Result<Duration, u64> {
        let ms = stamp.0.saturating_sub(self.zero.0);
        if ms <= MAX_MS { Ok(Duration::from_millis(ms)) } else { Err(ms) }
    }

    /// Whether a stamp lies before its beginning.
    pub(crate) fn is_before(&self, stamp: UnixMillis) -> bool {
        stamp < self.zero
    }

    /// Notes the time of a picture; true where it lies before that of the picture pushed last.
    pub(crate) fn goes_back(&self, time: Duration) -> bool {
        let time = time.as_micros() as u64;
        self.last_picture.swap(time, Relaxed) > time
    }

    /// It is played now, or is the next to be.
    pub(crate) fn becomes_first(&self) {
        self.first.store(true, Relaxed);
    }

    pub(crate) fn is_first(&self) -> bool {
        self.first.load(Relaxed)
    }

    pub(crate) fn sound_pushed(&self, now: Instant) {
        self.note_push(&self.has_sound, now);
    }

    pub(crate) fn picture_pushed(&self, now: Instant) {
        self.note_push(&self.has_pictures, now);
    }

    fn note_push(&self, kind: &AtomicBool, now: Instant) {
        let moment = self.micros(now) + 1;
        let _ = self.first_push.compare_exchange(0, moment, Relaxed, Relaxed);
        kind.store(true, Release);
    }

    /// Nothing more will be pushed.
    pub(crate) fn end(&self) {
        self.ended.store(true, Release);
    }

    /// Nothing more is to be sent. Returns how much was.
    pub(crate) fn interrupt(&self) -> Duration {
        Duration::from_micros(self.sent.fetch_or(INTERRUPTED, AcqRel) & !MARKS)
    }

    // --- Everybody ---

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Acquire)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.sent.load(Acquire) & MARKS == INTERRUPTED
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Acquire)
    }

    pub(crate) fn has_pictures(&self) -> bool {
        self.has_pictures.load(Acquire)
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.origin.load(Acquire) != 0
    }

    /// How much of it was sent.
    pub(crate) fn sent(&self) -> Duration {
        Duration::from_micros(self.sent.load(Relaxed) & !MARKS)
    }

    // --- The audio loop ---

    pub(crate) fn ready(&self, now: Instant) -> Ready {
        let (sound, pictures) = (self.has_sound.load(Acquire), self.has_pictures());
        if (sound && pictures) || self.is_ended() {
            return Ready::Now;
        }
        let Some(first_push) = self.first_push.load(Relaxed).checked_sub(1) else {
            return Ready::NotYet;
        };
        let at = self.made + Duration::from_micros(first_push) + PATIENCE;
        if at <= now { Ready::Now } else { Ready::At(at) }
    }

    /// Says when its time was 0: at the beginning, and again where it had to wait.
    pub(crate) fn set_origin(&self, origin: Instant) {
        self.origin.store(self.micros(origin) + 1, Release);
    }

    pub(crate) fn hold_pictures_at(&self, time: Duration) {
        self.hold.store(time.as_micros() as u64, Release);
    }

    pub(crate) fn release_pictures(&self) {
        self.hold.store(FREE, Release);
    }

    /// Counts what is to be sent now; false where an interruption came first: it is not to be sent.
    pub(crate) fn claim(&self, sent: Duration) -> bool {
        self.set_sent(sent, 0)
    }

    /// All of it is sent; false where an interruption came first.
    pub(crate) fn complete(&self, sent: Duration) -> bool {
        self.set_sent(sent, COMPLETE)
    }

    fn set_sent(&self, sent: Duration, mark: u64) -> bool {
        let sent = sent.as_micros() as u64 & !MARKS | mark;
        let set = |before: u64| (before & MARKS == 0).then_some(sent);
        self.sent.fetch_update(AcqRel, Acquire, set).is_ok()
    }

    pub(crate) fn are_pictures_done(&self) -> bool {
        self.pictures_done.load(Acquire)
    }

    /// It is over; false where it was already. Whoever makes it so tells of it.
    pub(crate) fn finish(&self) -> bool {
        !self.over.swap(true, AcqRel)
    }

    // --- The encode loop ---

    /// When a picture of a time inside the utterance is due; `None` before it has begun, and while sound
    /// is waited for.
    pub(crate) fn due(&self, time: Duration) -> Option<Instant> {
        let origin = self.origin.load(Acquire).checked_sub(1)?;
        let held = time.as_micros() as u64 > self.hold.load(Acquire);
        (!held).then(|| self.made + Duration::from_micros(origin) + time)
    }

    pub(crate) fn pictures_are_done(&self) {
        self.pictures_done.store(true, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn state(now: Instant) -> UtteranceState {
        UtteranceState::new(UtteranceId(1), UnixMillis(5_000), now)
    }

    #[test]
    fn it_begins_with_both_or_after_a_moment_or_at_its_end() {
        let now = Instant::now();
        let utterance = state(now);
        assert_eq!(utterance.ready(now + MS * 1_000), Ready::NotYet);
        utterance.sound_pushed(now + MS * 10);
        assert_eq!(utterance.ready(now + MS * 20), Ready::At(now + MS * 70));
        assert_eq!(utterance.ready(now + MS * 70), Ready::Now);
        utterance.picture_pushed(now + MS * 15);
        assert_eq!(utterance.ready(now + MS * 15), Ready::Now);

        let short = state(now);
        short.picture_pushed(now);
        short.end();
        assert_eq!(short.ready(now), Ready::Now);
    }

    #[test]
    fn an_interruption_has_counted_a_packet_or_stopped_it() {
        let utterance = state(Instant::now());
        assert!(utterance.claim(MS * 20));
        assert_eq!(utterance.interrupt(), MS * 20);
        assert!(!utterance.claim(MS * 40));
        assert_eq!((utterance.sent(), utterance.is_interrupted()), (MS * 20, true));
        assert_eq!(utterance.interrupt(), MS * 20);
        assert!(!utterance.complete(MS * 40));

        let complete = state(Instant::now());
        assert!(complete.complete(MS * 40));
        assert_eq!(complete.interrupt(), MS * 40);
        assert!(!complete.is_interrupted());
    }

    #[test]
    fn stamps_count_from_its_zero_and_pictures_wait_for_sound() {
        let now = Instant::now();
        let utterance = state(now);
        assert_eq!(utterance.time_of(UnixMillis(5_040)), Ok(MS * 40));
        assert_eq!(utterance.time_of(UnixMillis(0)), Ok(Duration::ZERO));
        assert_eq!(utterance.time_of(UnixMillis(u64::MAX)), Err(u64::MAX - 5_000));
        assert_eq!(utterance.due(MS * 40), None);
        utterance.set_origin(now + MS * 100);
        assert_eq!(utterance.due(MS * 40), Some(now + MS * 140));
        utterance.hold_pictures_at(MS * 30);
        assert_eq!((utterance.due(MS * 30), utterance.due(MS * 31)), (Some(now + MS * 130), None));
        utterance.set_origin(now + MS * 300);
        utterance.release_pictures();
        assert_eq!(utterance.due(MS * 40), Some(now + MS * 340));
    }
}
