//! Whose turn it is among the uploads into one session: what waits takes no room in the engine.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use visavis::session::SessionId;

/// Uploads into one session that are being played or wait for it.
const MOST: usize = 16;

/// The uploads into each session.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<SessionId, Arc<Queue>>>);

/// Those into one session, in the order in which their first sound came.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<VecDeque<u64>>,
    changed: Condvar,
}

/// The place of one upload. Dropping it gives it up, and the turn with it.
#[derive(Debug)]
pub(crate) struct Turn {
    queues: Arc<Queues>,
    session: SessionId,
    queue: Arc<Queue>,
    number: Option<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queues {
    /// A place among the uploads into a session; `None` where too many are there.
    pub(crate) fn enter(self: &Arc<Self>, session: &SessionId) -> Option<Turn> {
        let mut queues = lock(&self.0);
        let queue = Arc::clone(queues.entry(session.clone()).or_default());
        // The books hold one, this call another, and each upload one.
        if Arc::strong_count(&queue) > MOST + 1 {
            return None;
        }
        let (queues, session) = (Arc::clone(self), session.clone());
        Some(Turn { queues, session, queue, number: None })
    }
}

impl Turn {
    /// Joins the queue. `begin` is called before anybody else joins.
    pub(crate) fn join<T>(&mut self, begin: impl FnOnce() -> T) -> T {
        let mut waiting = lock(&self.queue.waiting);
        let number = waiting.back().map_or(0, |last| last + 1);
        waiting.push_back(number);
        self.number = Some(number);
        begin()
    }

    /// Waits for its turn for so long at most; whether it has come.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let not_yet = |waiting: &mut VecDeque<u64>| waiting.front() != self.number.as_ref();
        let waiting = lock(&self.queue.waiting);
        let waited = self.queue.changed.wait_timeout_while(waiting, time, not_yet);
        let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.front() == self.number.as_ref()
    }

    /// Lets the next have its turn.
    pub(crate) fn pass(&mut self) {
        let Some(number) = self.number.take() else { return };
        lock(&self.queue.waiting).retain(|&other| other != number);
        self.queue.changed.notify_all();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pass();
        let mut queues = lock(&self.queues.0);
        // Nobody comes or goes while the books are locked: the books and this.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_AT_ALL: Duration = Duration::ZERO;

    #[test]
    fn turns_go_in_order_and_places_are_given_back() {
        let queues = Arc::new(Queues::default());
        let session = SessionId::default();
        let mut turns: Vec<Turn> = (0..MOST).filter_map(|_| queues.enter(&session)).collect();
        assert_eq!(turns.len(), MOST);
        assert!(queues.enter(&session).is_none());
        assert!(queues.enter(&SessionId::new("other").unwrap()).is_some());
        turns.reverse();
        let mut order = Vec::new();
        (0..3).for_each(|n| turns[n].join(|| order.push(n)));
        assert_eq!(order, [0, 1, 2]);
        let turn = |turns: &[Turn]| [0, 1, 2].map(|n| turns[n].wait(NOT_AT_ALL));
        assert_eq!(turn(&turns), [true, false, false]);
        turns[1].pass();
        assert_eq!(turn(&turns), [true, false, false], "who waited has gone");
        turns[0].pass();
        assert!(turns[2].wait(NOT_AT_ALL));
        turns.truncate(2);
        assert!(queues.enter(&session).is_some());
        drop(turns);
        assert!(lock(&queues.0).is_empty());
    }
}
