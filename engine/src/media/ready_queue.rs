//! Which sessions a media loop has to look at. It has a turn for each datagram that comes in, and may have hundreds
//! of sessions: only those are looked at that something was put into, or for which a moment has come.

use std::time::Instant;

use visavis_core::{Deadlines, SessionKey};

use super::waker::{Ready, SessionWaker};

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
        waker.set_index(session.index());
    }

    /// The session is gone: its waker is that of none.
    pub(super) fn leave(&mut self, session: SessionKey, waker: &SessionWaker) {
        self.deadlines.set(session.index(), None);
        waker.clear_index();
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
            due.push(mark.take());
        }
        due.extend(std::iter::from_fn(|| self.deadlines.pop_due(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::waker::MediaWaker;
    use std::sync::Arc;
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
            let waker = MediaWaker::new(waker, Arc::clone(ready_queue.ready()));
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
