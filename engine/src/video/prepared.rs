//! The pictures of utterances, each shown when its time has come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use visavis_codec::I420Buffer;

use crate::budget::Reservation;
use crate::shared::SessionShared;
use crate::utterance::UtteranceState;

/// A picture that waits for its time.
#[derive(Debug)]
pub(crate) struct PreparedPicture {
    pub(crate) picture: I420Buffer,
    pub(crate) utterance: Arc<UtteranceState>,
    /// Its time inside the utterance.
    pub(crate) time: Duration,
    pub(crate) reservation: Reservation,
}

/// Pictures that wait, in the order in which they were pushed.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    waiting: VecDeque<PreparedPicture>,
    /// The utterance whose pictures are being shown.
    current: Option<Arc<UtteranceState>>,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Due {
    /// A picture, and when it was due.
    Picture(I420Buffer, Instant),
    /// Nothing before this.
    At(Instant),
    /// Nothing before somebody wakes the thread.
    Nothing,
}

impl Prepared {
    /// The newest picture that is due; older ones are counted as replaced.
    pub(super) fn poll(&mut self, shared: &SessionShared, now: Instant) -> Due {
        while let Some(picture) = shared.prepared.pop() {
            self.waiting.push_back(picture);
        }
        let mut newest = None;
        let next = loop {
            self.note_progress(shared);
            let Some(first) = self.waiting.front() else { break Due::Nothing };
            if first.utterance.is_interrupted() || first.utterance.is_over() {
                self.drop_first(shared);
                continue;
            }
            match first.utterance.due(first.time) {
                Some(due) if due <= now => {}
                Some(due) => break Due::At(due),
                None => break Due::Nothing,
            }
            let Some(first) = self.waiting.pop_front() else { break Due::Nothing };
            let due = first.utterance.due(first.time).unwrap_or(now);
            drop(first.reservation);
            self.current = Some(first.utterance);
            if let Some((older, _)) = newest.replace((first.picture, due)) {
                shared.counters.replaced_frames.fetch_add(1, Relaxed);
                shared.give_back_picture(older);
            }
        };
        match newest {
            Some((picture, due)) => Due::Picture(picture, due),
            None => next,
        }
    }

    /// Whether pictures of an utterance are shown now, so that live ones are not.
    pub(super) fn is_showing(&self) -> bool {
        let shows = |utterance: &Arc<UtteranceState>| {
            utterance.has_begun() && !utterance.is_over() && !utterance.is_interrupted()
        };
        self.current.as_ref().is_some_and(shows)
            || self.waiting.front().is_some_and(|first| shows(&first.utterance))
    }

    fn drop_first(&mut self, shared: &SessionShared) {
        if let Some(first) = self.waiting.pop_front() {
            shared.give_back_picture(first.picture);
        }
    }

    /// Says when the last picture of an utterance was shown.
    fn note_progress(&mut self, shared: &SessionShared) {
        let Some(current) = &self.current else { return };
        // The end is said after the last push: whatever was pushed is in the queue by then.
        if current.is_ended() && shared.prepared.is_empty() {
            let more =
                self.waiting.front().is_some_and(|first| Arc::ptr_eq(&first.utterance, current));
            if !more {
                current.pictures_are_done();
                shared.pause_expected();
                self.current = None;
                shared.audio_thread.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionConfig;
    use visavis_types::{ClockAnchor, FrameSize, UnixMillis};

    const MS: Duration = Duration::from_millis(1);

    struct Run {
        shared: SessionShared,
        prepared: Prepared,
        start: Instant,
    }

    impl Run {
        fn new() -> Self {
            let shared = SessionShared::new(SessionConfig::default(), ClockAnchor::now(), 1);
            Self { shared, prepared: Prepared::default(), start: Instant::now() }
        }

        fn push(&self, utterance: &Arc<UtteranceState>, ms: u32) {
            let picture = I420Buffer::new(FrameSize::new(16, 16).unwrap());
            let reservation = self.shared.waiting_pictures.reserve(384).unwrap();
            let (utterance, time) = (Arc::clone(utterance), MS * ms);
            utterance.picture_pushed(self.start);
            self.shared.prepared.push(PreparedPicture { picture, utterance, time, reservation });
        }

        /// The due moment of the picture that is shown so many ms after the start.
        fn shown(&mut self, ms: u32) -> Option<u128> {
            match self.prepared.poll(&self.shared, self.start + MS * ms) {
                // Moments are kept in whole microseconds.
                Due::Picture(_, due) => Some((due + MS / 2 - self.start).as_millis()),
                Due::At(_) | Due::Nothing => None,
            }
        }
    }

    #[test]
    fn pictures_are_shown_at_their_time_and_the_newest_wins() {
        let mut run = Run::new();
        let utterance = run.shared.begin_utterance(UnixMillis(0));
        [0, 33, 66, 99].into_iter().for_each(|ms| run.push(&utterance, ms));
        assert_eq!(run.shown(0), None, "it has not begun");
        utterance.set_origin(run.start + MS * 100);
        assert_eq!(run.shown(99), None);
        assert_eq!(run.shown(100), Some(100));
        assert!(run.prepared.is_showing());
        // The encoder was held up.
        assert_eq!(run.shown(170), Some(166));
        assert_eq!(run.shared.status().metrics.replaced_frames, 1);
        utterance.end();
        assert!(!utterance.are_pictures_done());
        assert_eq!(run.shown(199), Some(199));
        assert_eq!(run.shown(200), None);
        assert!(utterance.are_pictures_done());
    }

    #[test]
    fn what_is_interrupted_is_never_shown_and_the_next_one_is() {
        let mut run = Run::new();
        let first = run.shared.begin_utterance(UnixMillis(0));
        (0..150).for_each(|frame| run.push(&first, frame * 33));
        first.set_origin(run.start + MS * 10);
        assert_eq!(run.shown(10), Some(10));
        run.shared.interrupt();
        let second = run.shared.begin_utterance(UnixMillis(0));
        run.push(&second, 0);
        assert_eq!(run.shown(50), None);
        second.set_origin(run.start + MS * 60);
        assert_eq!(run.shown(60), Some(60));
        assert!(run.shared.waiting_pictures.reserve(usize::MAX).is_some(), "nothing waits");
    }

    #[test]
    fn pictures_wait_with_their_sound() {
        let mut run = Run::new();
        let utterance = run.shared.begin_utterance(UnixMillis(0));
        [0, 33, 66].into_iter().for_each(|ms| run.push(&utterance, ms));
        utterance.set_origin(run.start + MS * 10);
        utterance.hold_pictures_at(MS * 40);
        assert_eq!(run.shown(500), Some(43));
        assert_eq!(run.shown(600), None);
        utterance.set_origin(run.start + MS * 600);
        utterance.release_pictures();
        assert_eq!(run.shown(666), Some(666));
    }
}
