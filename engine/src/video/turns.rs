//! How many pictures are encoded at a time.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, Thread};

/// Those of this process: as many pictures at a time as there are processors. More would be encoded none the
/// sooner, and each encoder that wants a processor takes a share of it away from the thread that paces all sound.
static ALL: LazyLock<Turns> =
    LazyLock::new(|| Turns::new(thread::available_parallelism().map_or(1, NonZero::get)));

/// Turns to encode a picture. Threads get them in the order in which they ask: where there are more pictures than
/// can be encoded, each session gets its share.
#[derive(Debug)]
pub(super) struct Turns {
    /// Only threads that encode take it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    thread: Thread,
    called: AtomicBool,
}

/// A turn; dropped it is the next one's.
#[derive(Debug)]
#[must_use]
pub(super) struct Turn<'a>(&'a Turns);

/// Waits for a turn.
pub(super) fn take() -> Turn<'static> {
    ALL.take()
}

impl Turns {
    fn new(at_once: usize) -> Self {
        let state = State { free: at_once, waiting: VecDeque::new() };
        Self { state: Mutex::new(state) }
    }

    fn take(&self) -> Turn<'_> {
        let waiter = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.free > 0 {
                state.free -= 1;
                return Turn(self);
            }
            let waiter = Waiter { thread: thread::current(), called: AtomicBool::new(false) };
            let waiter = Arc::new(waiter);
            state.waiting.push_back(Arc::clone(&waiter));
            waiter
        };
        while !waiter.called.load(Acquire) {
            // Also woken when a picture comes, which is looked for again before the thread sleeps.
            thread::park();
        }
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.waiting.pop_front() {
            Some(next) => {
                drop(state);
                next.called.store(true, Release);
                next.thread.unpark();
            }
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    #[test]
    fn no_more_than_so_many_at_a_time_and_everybody_as_often() {
        let (turns, at_once) = (Turns::new(2), AtomicUsize::new(0));
        let (counts, stop) = ([const { AtomicUsize::new(0) }; 8], AtomicBool::new(false));
        thread::scope(|scope| {
            for count in &counts {
                scope.spawn(|| {
                    while !stop.load(SeqCst) {
                        let _turn = turns.take();
                        assert!(at_once.fetch_add(1, SeqCst) < 2);
                        thread::sleep(Duration::from_millis(1));
                        at_once.fetch_sub(1, SeqCst);
                        count.fetch_add(1, SeqCst);
                    }
                });
            }
            while counts.iter().any(|count| count.load(SeqCst) < 20) {
                thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, SeqCst);
        });
        let counts = counts.map(AtomicUsize::into_inner);
        // In the order in which they ask: nobody is more than a round ahead, but for who came first.
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 10, "{counts:?}");
        assert_eq!(turns.state.into_inner().unwrap().free, 2);
    }
}
