//! The pictures of utterances, each shown when its time has come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use visavis_types::I420Buffer;

use super::picture_queue::{PictureQueue, PreparedPicture};
use crate::budget::Reservation;
use crate::state::counters::Counters;
use crate::state::liveness::LiveSource;
use crate::state::threads::Threads;
use crate::utterance::state::UtteranceState;

/// Pictures that wait.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Utterances of which pictures came and that are not done, in the order in which they are played. Those of
    /// several may be pushed in turns.
    utterances: VecDeque<Pictures>,
    queue: Arc<PictureQueue>,
    counters: Arc<Counters>,
    live: Arc<LiveSource>,
    threads: Arc<Threads>,
}

/// The pictures of one utterance, in the order in which they were pushed.
#[derive(Debug)]
struct Pictures {
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
pub(super) enum Next {
    /// A picture, and when it was due.
    Picture(I420Buffer, Instant),
    /// Nothing before this.
    At(Instant),
    /// Nothing before somebody wakes the thread.
    Nothing,
}

impl Prepared {
    pub(super) fn new(
        queue: Arc<PictureQueue>,
        counters: Arc<Counters>,
        live: Arc<LiveSource>,
        threads: Arc<Threads>,
    ) -> Self {
        Self { utterances: VecDeque::new(), queue, counters, live, threads }
    }

    /// The newest picture that is due; older ones are counted as replaced.
    pub(super) fn poll(&mut self, now: Instant) -> Next {
        self.take_in();
        let Self { utterances, queue, counters, live, threads } = self;
        loop {
            let Some(first) = utterances.front_mut() else { return Next::Nothing };
            if first.utterance.is_interrupted() || first.utterance.is_over() {
                let dropped = utterances.pop_front().into_iter().flat_map(|first| first.waiting);
                dropped.for_each(|waiting| queue.give_back(waiting.picture));
                continue;
            }
            // Read before it is looked whether more has come: the end is set after the last push.
            let ended = first.utterance.is_ended() && queue.is_empty();
            let next = first.poll(queue, counters, now);
            // The last picture has to be shown first: it is new, and ends no pause that is expected.
            if !ended || !first.waiting.is_empty() || matches!(next, Next::Picture(..)) {
                return next;
            }
            first.utterance.pictures_are_done();
            utterances.pop_front();
            live.expect_pause();
            threads.audio.wake();
        }
    }

    fn take_in(&mut self) {
        let Self { utterances, queue, .. } = self;
        while let Some(PreparedPicture { picture, utterance, time, reservation }) = queue.pop() {
            let waiting = Waiting { picture, time, reservation };
            // From the back: most belong to the utterance begun last.
            let place = utterances.iter().rposition(|known| known.utterance.id <= utterance.id);
            match place.and_then(|at| utterances.get_mut(at)) {
                Some(known) if known.utterance.id == utterance.id => {
                    known.waiting.push_back(waiting);
                }
                _ => {
                    let pictures = Pictures { utterance, waiting: VecDeque::from([waiting]) };
                    utterances.insert(place.map_or(0, |at| at + 1), pictures);
                }
            }
        }
    }

    /// Memory of a picture that was taken.
    pub(super) fn give_back(&self, picture: I420Buffer) {
        self.queue.give_back(picture);
    }

    /// Whether pictures of an utterance are shown now, so that live ones are not.
    pub(super) fn is_showing(&self) -> bool {
        self.utterances.front().is_some_and(|Pictures { utterance, .. }| {
            utterance.has_begun()
                && !utterance.is_over()
                && !utterance.is_interrupted()
                && !utterance.are_pictures_done()
        })
    }
}

impl Pictures {
    fn poll(&mut self, queue: &PictureQueue, counters: &Counters, now: Instant) -> Next {
        let mut newest = None;
        let next = loop {
            let Some(first) = self.waiting.front() else { break Next::Nothing };
            let due = match self.utterance.due(first.time) {
                Some(due) if due <= now => due,
                Some(due) => break Next::At(due),
                None => break Next::Nothing,
            };
            let Some(first) = self.waiting.pop_front() else { break Next::Nothing };
            drop(first.reservation);
            if let Some((older, _)) = newest.replace((first.picture, due)) {
                counters.replaced_frames.fetch_add(1, Relaxed);
                queue.give_back(older);
            }
        };
        match newest {
            Some((picture, due)) => Next::Picture(picture, due),
            None => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::waker::SessionWakers;
    use crate::state::liveness::Liveness;
    use crate::utterance::id::UtteranceId;
    use visavis_types::{FrameSize, UnixMillis};

    const MS: Duration = Duration::from_millis(1);

    struct Run {
        prepared: Prepared,
        begun: u64,
        start: Instant,
    }

    impl Run {
        fn new() -> Self {
            let start = Instant::now();
            let threads = Arc::<Threads>::default();
            let queue = Arc::new(PictureQueue::new(1 << 20, &threads.pushers));
            let liveness = Arc::new(Liveness::new(MS * 500, start));
            let live = Arc::new(LiveSource::new(liveness, SessionWakers::new(Vec::new())));
            Self { prepared: Prepared::new(queue, Arc::default(), live, threads), begun: 0, start }
        }

        fn begin(&mut self) -> Arc<UtteranceState> {
            self.begun += 1;
            let id = UtteranceId(self.begun);
            Arc::new(UtteranceState::new(id, UnixMillis(0), self.start))
        }

        fn push(&self, utterance: &Arc<UtteranceState>, ms: u32) {
            let picture = I420Buffer::new(FrameSize::new(16, 16).unwrap());
            let reservation = self.prepared.queue.reserve(true, 384).unwrap();
            let (utterance, time) = (Arc::clone(utterance), MS * ms);
            utterance.picture_pushed(self.start);
            self.prepared.queue.push(PreparedPicture { picture, utterance, time, reservation });
        }

        /// The due moment of the picture that is shown so many ms after the start.
        fn shown(&mut self, ms: u32) -> Option<u128> {
            match self.prepared.poll(self.start + MS * ms) {
                // Moments are kept in whole microseconds.
                Next::Picture(_, due) => Some((due + MS / 2 - self.start).as_millis()),
                Next::At(_) | Next::Nothing => None,
            }
        }
    }

    #[test]
    fn pictures_are_shown_at_their_time_and_the_newest_wins() {
        let mut run = Run::new();
        let utterance = run.begin();
        [0, 33, 66, 99].into_iter().for_each(|ms| run.push(&utterance, ms));
        assert_eq!(run.shown(0), None, "it has not begun");
        utterance.set_origin(run.start + MS * 100);
        assert_eq!(run.shown(99), None);
        assert_eq!(run.shown(100), Some(100));
        assert!(run.prepared.is_showing());
        // The encoder was held up.
        assert_eq!(run.shown(170), Some(166));
        assert_eq!(run.prepared.counters.replaced_frames.load(Relaxed), 1);
        utterance.end();
        assert!(!utterance.are_pictures_done());
        assert_eq!(run.shown(199), Some(199));
        assert_eq!(run.shown(200), None);
        assert!(utterance.are_pictures_done());
    }

    #[test]
    fn what_is_interrupted_is_never_shown_and_the_next_one_is() {
        let mut run = Run::new();
        let first = run.begin();
        (0..150).for_each(|frame| run.push(&first, frame * 33));
        first.set_origin(run.start + MS * 10);
        assert_eq!(run.shown(10), Some(10));
        first.interrupt();
        let second = run.begin();
        run.push(&second, 0);
        assert_eq!(run.shown(50), None);
        second.set_origin(run.start + MS * 60);
        assert_eq!(run.shown(60), Some(60));
        assert!(run.prepared.queue.reserve(true, usize::MAX).is_some(), "nothing waits");
    }

    #[test]
    fn utterances_that_are_filled_in_turns_do_not_wait_for_each_other() {
        let mut run = Run::new();
        let [first, second] = [(), ()].map(|()| run.begin());
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
        let utterance = run.begin();
        [0, 33].into_iter().for_each(|ms| run.push(&utterance, ms));
        utterance.set_origin(run.start + MS * 100);
        utterance.end();
        for ms in [100, 133] {
            assert!(run.shown(ms).is_some());
            // As the encode loop does it, when it has encoded the picture.
            run.prepared.live.picture_pushed(run.start + MS * ms);
        }
        assert_eq!(run.shown(134), None);
        assert!(run.prepared.live.liveness().is_pause_expected());
        let liveness = run.prepared.live.liveness();
        assert!(!liveness.is_live(run.start + MS * 234), "over 100 ms after the last picture");
    }

    #[test]
    fn pictures_wait_with_their_sound() {
        let mut run = Run::new();
        let utterance = run.begin();
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
