//! Which sessions a media loop has to look at. It has a turn for each datagram that comes in, and may have hundreds
//! of sessions: only those are looked at that something was put into, or for which a moment has come.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use crossbeam_queue::SegQueue;
use visavis_core::{Deadlines, SessionKey};

use super::MediaWaker;

/// Marks of sessions, in the order in which something was put into them.
pub(super) type Ready = Arc<SegQueue<Arc<ReadyMark>>>;

/// Has a media loop look at one session.
#[derive(Debug, Clone)]
pub(crate) struct SessionWaker {
    mark: Arc<ReadyMark>,
    media_loop: MediaWaker,
}

/// A session's place on one media loop.
#[derive(Debug)]
pub(super) struct ReadyMark {
    /// Whether the mark is among those that are ready: there is no need for two.
    is_ready: AtomicBool,
    /// [`SessionKey::index`], of which the media loop alone knows; before, a number that no session has.
    index: AtomicUsize,
}

impl SessionWaker {
    pub(super) fn new(media_loop: MediaWaker) -> Self {
        let mark =
            ReadyMark { is_ready: AtomicBool::new(false), index: AtomicUsize::new(usize::MAX) };
        Self { mark: Arc::new(mark), media_loop }
    }

    /// What was put in before is seen. While a wake-up is pending this costs next to nothing.
    pub(crate) fn wake(&self) {
        if !self.mark.is_ready.swap(true, AcqRel) {
            self.media_loop.ready.push(Arc::clone(&self.mark));
            self.media_loop.wake();
        }
    }
}

/// What one media loop has to look at, and when.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    ready: Ready,
    deadlines: Deadlines,
}

impl ReadyQueue {
    /// Where marks are left for it.
    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// From now on the waker is that of a session.
    pub(super) fn enter(&mut self, session: SessionKey, waker: &SessionWaker) {
        waker.mark.index.store(session.index(), Relaxed);
    }

    /// When to look at a session though nothing is put into it; takes the place of what was said before.
    pub(super) fn set(&mut self, session: SessionKey, deadline: Option<Instant>) {
        self.deadlines.set(session.index(), deadline);
    }

    /// Whether there is something to look at now.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When there will be, if nothing is put in before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Takes what is to be looked at now, by [`SessionKey::index`]. What is put in while that is done comes next
    /// time, so that this ends.
    pub(super) fn take(&mut self, now: Instant, due: &mut Vec<usize>) {
        due.clear();
        for _ in 0..self.ready.len() {
            let Some(mark) = self.ready.pop() else { break };
            // First this, then the look: what is put in from here on makes it ready again.
            mark.is_ready.swap(false, AcqRel);
            due.push(mark.index.load(Relaxed));
        }
        due.extend(std::iter::from_fn(|| self.deadlines.pop_due(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaWaker;
    use std::time::Duration;
    use visavis_core::Hub;
    use visavis_types::{ClockAnchor, PlayoutDelay, SessionId, SessionNumber};

    struct Desk {
        ready_queue: ReadyQueue,
        waker: MediaWaker,
        poll: mio::Poll,
    }

    impl Desk {
        fn new() -> Self {
            let (ready_queue, poll) = (ReadyQueue::default(), mio::Poll::new().unwrap());
            let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
            let waker = MediaWaker { waker, ready: Arc::clone(ready_queue.ready()) };
            Self { ready_queue, waker, poll }
        }

        fn due(&mut self, now: Instant) -> Vec<usize> {
            let mut due = vec![99];
            self.ready_queue.take(now, &mut due);
            due
        }

        /// Whether the loop was woken since the last call.
        fn was_woken(&mut self) -> bool {
            let mut events = mio::Events::with_capacity(1);
            self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            !events.is_empty()
        }
    }

    /// Sessions of a loop.
    fn keys<const N: usize>(now: Instant) -> [SessionKey; N] {
        let mut hub = Hub::new(ClockAnchor::now(), Duration::from_secs(1), Arc::default());
        std::array::from_fn(|n| {
            let id = SessionId::new(&format!("s{n}")).unwrap();
            hub.add_session((id, SessionNumber::unique()), PlayoutDelay::NONE, now)
        })
    }

    #[test]
    fn only_what_was_woken_or_is_due_is_looked_at() {
        let (mut desk, now) = (Desk::new(), Instant::now());
        let [one, two, three] = keys(now);
        let [first, second] = [one, two].map(|key| {
            let waker = desk.waker.for_session();
            desk.ready_queue.enter(key, &waker);
            waker
        });
        assert_eq!(desk.due(now), []);
        second.wake();
        first.wake();
        second.clone().wake();
        assert!(desk.ready_queue.is_ready());
        assert_eq!(desk.due(now), [two.index(), one.index()], "in order, and once");
        assert!(!desk.ready_queue.is_ready());
        let later = now + Duration::from_millis(10);
        desk.ready_queue.set(three, Some(later));
        assert_eq!((desk.due(now), desk.ready_queue.next()), (vec![], Some(later)));
        first.wake();
        assert_eq!(desk.due(later), [one.index(), three.index()]);
        assert_eq!(desk.due(later), [], "each deadline counts once");
    }

    #[test]
    fn one_wake_up_is_enough_until_the_look() {
        let (mut desk, now) = (Desk::new(), Instant::now());
        let waker = desk.waker.for_session();
        waker.wake();
        assert!(desk.was_woken());
        waker.wake();
        assert!(!desk.was_woken(), "it is awake, and has not looked yet");
        desk.due(now);
        waker.wake();
        assert!(desk.was_woken());
    }
}
