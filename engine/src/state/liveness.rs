//! Whether pictures are pushed, or the idle loop is to be seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::media::waker::SessionWakers;

/// An utterance that is over leaves its last picture for so long: the next one may follow.
const PAUSE: Duration = Duration::from_millis(100);

/// When pictures were last pushed, and cut off. Callers and the encode loop write, through [`LiveSource`]; the media
/// loops, the encode loop and the status read.
#[derive(Debug)]
pub(crate) struct Liveness {
    epoch: Instant,
    grace: Duration,
    /// Microseconds since the epoch; 0 for never.
    last: AtomicU64,
    cut: AtomicU64,
    pause_expected: AtomicBool,
}

impl Liveness {
    /// Pictures that are `grace` apart belong together.
    pub(crate) fn new(grace: Duration, epoch: Instant) -> Self {
        let (last, cut) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { epoch, grace, last, cut, pause_expected: AtomicBool::new(false) }
    }

    /// A picture is shown; true where none was.
    fn begin(&self, at: Instant) -> bool {
        let was_live = self.is_live(at);
        self.pause_expected.store(false, Relaxed);
        self.last.store(self.micros(at), Relaxed);
        !was_live
    }

    fn extend(&self, at: Instant) {
        if self.is_live(at) {
            self.last.store(self.micros(at), Relaxed);
        }
    }

    fn cut(&self, at: Instant) {
        self.cut.store(self.micros(at), Relaxed);
        self.last.store(0, Relaxed);
        self.pause_expected.store(true, Relaxed);
    }

    fn expect_pause(&self) {
        self.pause_expected.store(true, Relaxed);
    }

    /// Whether the pause that there is was announced.
    pub(crate) fn is_pause_expected(&self) -> bool {
        self.pause_expected.load(Relaxed)
    }

    /// What was pushed up to this moment is not to be shown.
    pub(crate) fn cut_at(&self) -> Option<Instant> {
        self.instant(self.cut.load(Relaxed))
    }

    /// Up to when pictures count as live, if none follows. `None` where there are none, or where that never
    /// ends.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.instant(self.last.load(Relaxed))?.checked_add(self.grace())
    }

    pub(crate) fn is_live(&self, now: Instant) -> bool {
        match self.instant(self.last.load(Relaxed)) {
            // A grace without end is one.
            Some(last) => last.checked_add(self.grace()).is_none_or(|until| now < until),
            None => false,
        }
    }

    fn grace(&self) -> Duration {
        if self.is_pause_expected() { self.grace.min(PAUSE) } else { self.grace }
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }

    fn instant(&self, micros: u64) -> Option<Instant> {
        (micros > 0).then(|| self.epoch.checked_add(Duration::from_micros(micros)))?
    }
}

/// The writing half: for whoever pushes pictures. Media loops are woken where what viewers see changes.
#[derive(Debug)]
pub(crate) struct LiveSource {
    liveness: Arc<Liveness>,
    media_loops: SessionWakers,
}

impl LiveSource {
    pub(crate) fn new(liveness: Arc<Liveness>, media_loops: SessionWakers) -> Self {
        Self { liveness, media_loops }
    }

    /// The reading half.
    pub(crate) fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// A picture is on its way.
    pub(crate) fn picture_pushed(&self, at: Instant) {
        if self.liveness.begin(at) {
            self.media_loops.wake();
        }
    }

    /// The source is still there though it shows nothing new: what is live stays so.
    pub(crate) fn extend(&self, at: Instant) {
        self.liveness.extend(at);
    }

    /// What was pushed so far is shown no more: the idle loop is to be seen at once.
    pub(crate) fn cut(&self, at: Instant) {
        self.liveness.cut(at);
        self.media_loops.wake();
    }

    /// The last picture of an utterance was shown: nothing more comes for now, and that is no fault.
    pub(crate) fn expect_pause(&self) {
        self.liveness.expect_pause();
        self.media_loops.wake();
    }
}

/// For whoever encodes: which cut its pictures have followed.
///
/// A picture that comes after a cut begins anew, for those before it are not shown: it has to be a keyframe. That is no
/// request, which would go round by the media loops: whoever encodes sees it, at the first picture itself.
#[derive(Debug, Default)]
pub(crate) struct CutFollower {
    followed: Option<Instant>,
}

impl CutFollower {
    /// Whether nothing was encoded yet since the last cut, nor this asked.
    pub(crate) fn begins_anew(&mut self, liveness: &Liveness) -> bool {
        self.follow(liveness.cut_at())
    }

    /// Whether a picture is the first after a cut. One that was on its way at the cut is not.
    pub(crate) fn is_first(&mut self, liveness: &Liveness, pushed: Option<Instant>) -> bool {
        let cut = liveness.cut_at();
        cut.is_some_and(|cut| pushed.is_some_and(|pushed| pushed > cut)) && self.follow(cut)
    }

    fn follow(&mut self, cut: Option<Instant>) -> bool {
        std::mem::replace(&mut self.followed, cut) != cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pictures_are_live_for_the_grace_or_up_to_a_cut() {
        let start = Instant::now();
        let liveness = Liveness::new(MS * 500, start);
        assert!(!liveness.is_live(start) && liveness.until().is_none());
        assert!(liveness.begin(start + MS * 100));
        assert!(!liveness.begin(start + MS * 599), "it was live");
        assert!(liveness.is_live(start + MS * 1_098) && !liveness.is_live(start + MS * 1_099));
        assert_eq!(liveness.until(), Some(start + MS * 1_099));
        assert!(!liveness.is_pause_expected());
        assert!(liveness.begin(start + MS * 2_000));
        liveness.cut(start + MS * 2_010);
        assert!(!liveness.is_live(start + MS * 2_010) && liveness.is_pause_expected());
        assert_eq!(liveness.cut_at(), Some(start + MS * 2_010));
        assert!(liveness.begin(start + MS * 2_020) && !liveness.is_pause_expected());
    }

    #[test]
    fn a_source_that_is_still_there_stays_live_and_does_not_begin() {
        let start = Instant::now();
        let liveness = Liveness::new(MS * 500, start);
        liveness.extend(start + MS * 10);
        assert!(!liveness.is_live(start + MS * 10));
        liveness.begin(start + MS * 100);
        (1..50).for_each(|step| liveness.extend(start + MS * (100 + step * 100)));
        assert!(liveness.is_live(start + MS * 5_400) && !liveness.is_live(start + MS * 5_500));
        liveness.extend(start + MS * 5_600);
        assert!(!liveness.is_live(start + MS * 5_600), "it was silent for too long");
    }

    #[test]
    fn a_pause_that_was_announced_is_short() {
        let start = Instant::now();
        let liveness = Liveness::new(MS * 500, start);
        liveness.begin(start + MS * 100);
        liveness.expect_pause();
        assert!(liveness.is_live(start + MS * 199) && !liveness.is_live(start + MS * 200));
        liveness.begin(start + MS * 150);
        assert!(liveness.is_live(start + MS * 649), "it goes on");
    }

    #[test]
    fn the_first_picture_after_a_cut_begins_anew_and_none_before_or_after_it() {
        let start = Instant::now();
        let liveness = Liveness::new(MS * 500, start);
        let mut cuts = CutFollower::default();
        let at = |ms| Some(start + MS * ms);
        assert!(!cuts.is_first(&liveness, at(10)) && !cuts.begins_anew(&liveness));
        liveness.cut(start + MS * 20);
        assert!(!cuts.is_first(&liveness, at(19)), "it was on its way");
        assert!(!cuts.is_first(&liveness, at(20)), "it was on its way");
        assert!(cuts.is_first(&liveness, at(21)));
        assert!(!cuts.is_first(&liveness, at(22)) && !cuts.begins_anew(&liveness));
        // Who asks has been answered.
        liveness.cut(start + MS * 30);
        assert!(cuts.begins_anew(&liveness) && !cuts.begins_anew(&liveness));
        assert!(!cuts.is_first(&liveness, at(31)));
        // Of two cuts the last.
        liveness.cut(start + MS * 40);
        liveness.cut(start + MS * 50);
        assert!(!cuts.is_first(&liveness, at(45)));
        assert!(cuts.is_first(&liveness, at(51)));
    }

    #[test]
    fn a_grace_without_end_ends_with_a_cut() {
        let start = Instant::now();
        let liveness = Liveness::new(Duration::MAX, start);
        assert!(!liveness.is_live(start + MS * 100_000));
        liveness.begin(start + MS);
        assert!(liveness.is_live(start + MS * 100_000_000) && liveness.until().is_none());
        liveness.cut(start + MS * 2);
        assert!(!liveness.is_live(start + MS * 3));
    }
}
