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

/// Pictures that wait.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Utterances of which pictures came and that are not done, in the order in which they are played. Those of
    /// several may be pushed in turns.
    shows: VecDeque<Show>,
}

/// The pictures of one utterance, in the order in which they were pushed.
#[derive(Debug)]
struct Show {
    utterance: Arc<UtteranceState>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    picture: I420Buffer,
    time: Duration,
    reservation: Reservation,
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
        self.take_in(shared);
        loop {
            let Some(show) = self.shows.front_mut() else { return Due::Nothing };
            if show.utterance.is_interrupted() || show.utterance.is_over() {
                let dropped = self.shows.pop_front().into_iter().flat_map(|show| show.waiting);
                dropped.for_each(|waiting| shared.give_back_picture(waiting.picture));
                continue;
            }
            // Said before it is looked whether more has come: the end is said after the last push.
            let ended = show.utterance.is_ended() && shared.prepared.is_empty();
            let due = show.poll(shared, now);
            // The last picture has to be shown first: it is news, and ends no pause that is expected.
            if !ended || !show.waiting.is_empty() || matches!(due, Due::Picture(..)) {
                return due;
            }
            show.utterance.pictures_are_done();
            self.shows.pop_front();
            shared.pause_expected();
            shared.audio_thread.wake();
        }
    }

    fn take_in(&mut self, shared: &SessionShared) {
        while let Some(PreparedPicture { picture, utterance, time, reservation }) =
            shared.prepared.pop()
        {
            let waiting = Waiting { picture, time, reservation };
            // From the back: most belong to the utterance begun last.
            let place = self.shows.iter().rposition(|show| show.utterance.id <= utterance.id);
            match place.and_then(|at| self.shows.get_mut(at)) {
                Some(show) if show.utterance.id == utterance.id => show.waiting.push_back(waiting),
                _ => {
                    let show = Show { utterance, waiting: VecDeque::from([waiting]) };
                    self.shows.insert(place.map_or(0, |at| at + 1), show);
                }
            }
        }
    }

    /// Whether pictures of an utterance are shown now, so that live ones are not.
    pub(super) fn is_showing(&self) -> bool {
        self.shows.front().is_some_and(|Show { utterance, .. }| {
            utterance.has_begun()
                && !utterance.is_over()
                && !utterance.is_interrupted()
                && !utterance.are_pictures_done()
        })
    }
}

impl Show {
    fn poll(&mut self, shared: &SessionShared, now: Instant) -> Due {
        let mut newest = None;
        let next = loop {
            let Some(first) = self.waiting.front() else { break Due::Nothing };
            let due = match self.utterance.due(first.time) {
                Some(due) if due <= now => due,
                Some(due) => break Due::At(due),
                None => break Due::Nothing,
            };
            let Some(first) = self.waiting.pop_front() else { break Due::Nothing };
            drop(first.reservation);
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
            let reservation = self.shared.picture_room.reserve(true, 384).unwrap();
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
        assert!(run.shared.picture_room.reserve(true, usize::MAX).is_some(), "nothing waits");
    }

    #[test]
    fn utterances_that_are_filled_in_turns_do_not_wait_for_each_other() {
        let mut run = Run::new();
        let [first, second] = [0, 0].map(|zero| run.shared.begin_utterance(UnixMillis(zero)));
        // The second one first, and then in turns.
        for ms in [0, 33, 66] {
            run.push(&second, ms);
            run.push(&first, ms);
        }
        first.set_origin(run.start + MS * 100);
        first.end();
        let shown: Vec<_> = [100, 133, 166].into_iter().filter_map(|ms| run.shown(ms)).collect();
        assert_eq!(shown, [100, 133, 166]);
        assert_eq!(run.shown(167), None);
        assert!(first.are_pictures_done() && !run.prepared.is_showing());
        first.finish();
        second.set_origin(run.start + MS * 200);
        assert!(run.prepared.is_showing());
        assert_eq!(run.shown(200), Some(200));
    }

    #[test]
    fn an_end_that_is_said_before_the_last_picture_is_no_stall() {
        let mut run = Run::new();
        let utterance = run.shared.begin_utterance(UnixMillis(0));
        [0, 33].into_iter().for_each(|ms| run.push(&utterance, ms));
        utterance.set_origin(run.start + MS * 100);
        utterance.end();
        for ms in [100, 133] {
            assert!(run.shown(ms).is_some());
            // As the encode loop does it, when it has encoded the picture.
            run.shared.picture_shown(run.start + MS * ms);
        }
        assert_eq!(run.shown(134), None);
        assert!(run.shared.liveness.is_pause_expected());
        let liveness = &run.shared.liveness;
        assert!(!liveness.is_live(run.start + MS * 234), "over 100 ms after the last picture");
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
