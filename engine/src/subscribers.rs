//! Who is told of what happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::Subscriber;

/// Those who get the engine's events, the same for all of its threads: who has subscribed gets all that happens
/// afterwards, on whichever thread that is.
///
/// Who is no longer among them is given back to be dropped: that runs the application's destructors, which may panic.
#[derive(Default)]
pub(crate) struct Subscribers(Mutex<State>);

#[derive(Default)]
struct State {
    all: Arc<[Subscriber]>,
    is_closed: bool,
}

impl Subscribers {
    /// Those there are now.
    pub(crate) fn all(&self) -> Arc<[Subscriber]> {
        Arc::clone(&self.state().all)
    }

    /// There is one more, unless it is all over. Those whose receiver is gone are forgotten: of what they want there may
    /// never be any.
    pub(crate) fn add(&self, subscriber: &Subscriber) -> Arc<[Subscriber]> {
        let mut state = self.state();
        let newcomer = (!state.is_closed).then_some(subscriber);
        state.replace(newcomer)
    }

    /// Forgets those whose receiver is gone.
    pub(crate) fn forget_departed(&self) -> Arc<[Subscriber]> {
        self.state().replace(None)
    }

    /// No more events will come.
    pub(crate) fn close(&self) -> Arc<[Subscriber]> {
        let mut state = self.state();
        state.is_closed = true;
        std::mem::take(&mut state.all)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn replace(&mut self, newcomer: Option<&Subscriber>) -> Arc<[Subscriber]> {
        let stay = self.all.iter().filter(|other| !other.events.is_closed());
        let all = stay.chain(newcomer).cloned().collect();
        std::mem::replace(&mut self.all, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::receiver::{Receiver, bounded};
    use visavis_types::SessionId;

    fn subscriber() -> (Subscriber, Receiver<Event>) {
        let (events, receiver) = bounded(1);
        (Subscriber { events, wanted: Arc::new(|_| true) }, receiver)
    }

    #[test]
    fn subscribers_that_have_left_are_forgotten_when_others_come() {
        let subscribers = Subscribers::default();
        for _ in 0..100 {
            subscribers.add(&subscriber().0);
        }
        assert_eq!(subscribers.all().len(), 1);
    }

    #[test]
    fn what_was_begun_with_ends_with_it_and_nobody_comes_after_the_end() {
        let subscribers = Subscribers::default();
        let (early, events) = subscriber();
        subscribers.add(&early);
        let begun = subscribers.all();
        drop((early, subscribers.close()));
        let (late, none) = subscriber();
        subscribers.add(&late);
        drop(late);
        assert!(subscribers.all().is_empty());
        assert!(none.try_recv().is_err(), "nobody is left to send");
        let event = Event::LiveStarted { session: SessionId::default() };
        assert!(begun.iter().all(|subscriber| subscriber.send(&event)));
        assert!(events.try_recv().is_ok());
    }
}
