//! When the idle picture is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_codec::I420Buffer;

/// The first of them is coarse where it differs much from what was before; some more make it fine.
const REPEATS: u32 = 6;
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);

/// Decides when the idle picture is due: from the start, after an interruption, when no other picture has
/// come for a while, and when somebody new wants to see.
#[derive(Debug)]
pub(super) struct Idle {
    grace: Duration,
    /// When it is next due.
    due: Option<Instant>,
    repeats: u32,
    shown: Option<Arc<I420Buffer>>,
    interruptions: u64,
    live: bool,
}

impl Idle {
    pub(super) fn new(grace: Duration, now: Instant) -> Self {
        Self { grace, due: Some(now), repeats: 0, shown: None, interruptions: 0, live: false }
    }

    /// Another picture is shown.
    pub(super) fn note_live(&mut self, now: Instant) {
        // A grace without end is one: the last picture stays.
        self.due = now.checked_add(self.grace);
        self.live = true;
    }

    /// The picture, if it is to be shown now.
    pub(super) fn poll(
        &mut self,
        picture: Arc<I420Buffer>,
        interruptions: u64,
        wanted: bool,
        now: Instant,
    ) -> Option<Arc<I420Buffer>> {
        let cut_off = std::mem::replace(&mut self.interruptions, interruptions) != interruptions;
        let another = !self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &picture));
        let anew = (cut_off && self.live) || (!self.live && (another || wanted));
        if !anew && self.due.is_none_or(|due| now < due) {
            return None;
        }
        if anew || self.live {
            self.repeats = REPEATS;
        }
        self.live = false;
        self.due = self.repeats.checked_sub(1).map(|left| {
            self.repeats = left;
            now + REPEAT_INTERVAL
        });
        self.shown = Some(Arc::clone(&picture));
        Some(picture)
    }

    /// When [`poll`](Self::poll) should be called though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::FrameSize;

    const MS: Duration = Duration::from_millis(1);

    struct Run {
        idle: Idle,
        picture: Arc<I420Buffer>,
        start: Instant,
    }

    impl Run {
        fn new() -> Self {
            let start = Instant::now();
            let size = FrameSize::new(16, 16).unwrap();
            let picture = Arc::new(I420Buffer::new(size));
            Self { idle: Idle::new(MS * 500, start), picture, start }
        }

        fn shows(&mut self, ms: u32, interruptions: u64, wanted: bool) -> bool {
            let now = self.start + MS * ms;
            self.idle.poll(self.picture.clone(), interruptions, wanted, now).is_some()
        }
    }

    #[test]
    fn it_is_there_from_the_start_and_comes_to_rest() {
        let mut run = Run::new();
        let shown = (0..10_000).filter(|&ms| run.shows(ms, 0, false)).collect::<Vec<_>>();
        assert_eq!(shown, [0, 100, 200, 300, 400, 500, 600]);
        assert!(run.shows(20_000, 0, true), "somebody came");
    }

    #[test]
    fn live_pictures_keep_it_away_for_the_grace_or_up_to_an_interruption() {
        let mut run = Run::new();
        run.idle.note_live(run.start + MS * 1_000);
        assert!(!run.shows(1_499, 0, true));
        assert!(run.shows(1_500, 0, false));
        run.idle.note_live(run.start + MS * 2_000);
        assert!(!run.shows(2_010, 0, false));
        assert!(run.shows(2_011, 1, false));
        assert!(!run.shows(2_012, 1, false));
    }

    #[test]
    fn with_a_grace_without_end_the_last_picture_stays_up_to_an_interruption() {
        let mut run = Run::new();
        run.idle = Idle::new(Duration::MAX, run.start);
        assert!(run.shows(0, 0, false));
        run.idle.note_live(run.start + MS);
        assert!(!(2..100_000).any(|ms| run.shows(ms, 0, false)));
        assert!(run.shows(100_000, 1, false));
    }

    #[test]
    fn another_picture_is_shown_at_once() {
        let mut run = Run::new();
        assert!((0..2_000).any(|ms| run.shows(ms, 0, false)));
        run.picture = Run::new().picture;
        assert!(run.shows(3_000, 0, false));
    }
}
