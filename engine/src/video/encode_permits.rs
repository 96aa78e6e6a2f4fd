//! How many pictures are encoded at a time.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, Thread};

/// Those of this process: as many pictures at a time as there are processors. More would be encoded none the
/// sooner, and each encoder that wants a processor takes a share of it away from the thread that paces all sound.
static ALL: LazyLock<EncodePermits> =
    LazyLock::new(|| EncodePermits::new(thread::available_parallelism().map_or(1, NonZero::get)));

/// A fair semaphore: permits to encode a picture. The next one goes to the thread that has had none for the longest:
/// where there are more pictures than can be encoded, each session gets its share. It does not go to the one that asked
/// first: where the pictures of all sessions come at one time, those that come first would get one each time, and others
/// every second time.
#[derive(Debug)]
pub(super) struct EncodePermits {
    /// Only threads that encode take it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// How many permits were given.
    given: u64,
    /// By the last permit they had; who had none yet, by who asked first.
    waiting: BTreeMap<(u64, u64), Arc<Waiter>>,
    asked: u64,
}

#[derive(Debug)]
struct Waiter {
    thread: Thread,
    /// The number of its permit; 0 while it has none.
    permit: AtomicU64,
}

/// The number of the last permit that a thread had; 0 for none.
#[derive(Debug, Default)]
pub(super) struct LastPermit(u64);

/// A permit to encode one picture; dropped, it goes to the next.
#[derive(Debug)]
#[must_use]
pub(super) struct EncodePermit<'a>(&'a EncodePermits);

/// Waits for a permit.
pub(super) fn acquire(last: &mut LastPermit) -> EncodePermit<'static> {
    ALL.acquire(last)
}

impl State {
    fn give(&mut self) -> u64 {
        self.given += 1;
        self.given
    }
}

impl EncodePermits {
    fn new(at_once: usize) -> Self {
        let state = State { free: at_once, given: 0, waiting: BTreeMap::new(), asked: 0 };
        Self { state: Mutex::new(state) }
    }

    fn acquire(&self, last: &mut LastPermit) -> EncodePermit<'_> {
        let waiter = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.free > 0 {
                state.free -= 1;
                last.0 = state.give();
                return EncodePermit(self);
            }
            let waiter = Waiter { thread: thread::current(), permit: AtomicU64::new(0) };
            let waiter = Arc::new(waiter);
            state.asked += 1;
            let place = (last.0, state.asked);
            state.waiting.insert(place, Arc::clone(&waiter));
            waiter
        };
        loop {
            match waiter.permit.load(Acquire) {
                // Also woken when a picture comes, which is looked for again before the thread sleeps.
                0 => thread::park(),
                permit => {
                    last.0 = permit;
                    return EncodePermit(self);
                }
            }
        }
    }
}

impl Drop for EncodePermit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.waiting.pop_first() {
            Some((_, next)) => {
                let permit = state.give();
                drop(state);
                next.permit.store(permit, Release);
                next.thread.unpark();
            }
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    #[test]
    fn no_more_than_so_many_at_a_time_and_everybody_as_often() {
        let (permits, at_once) = (EncodePermits::new(2), AtomicUsize::new(0));
        let (counts, stop) = ([const { AtomicUsize::new(0) }; 8], AtomicBool::new(false));
        thread::scope(|scope| {
            for count in &counts {
                scope.spawn(|| {
                    let mut last = LastPermit::default();
                    while !stop.load(SeqCst) {
                        let _permit = permits.acquire(&mut last);
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
        // Nobody is more than a round ahead, but for who came first.
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 10, "{counts:?}");
        assert_eq!(permits.state.into_inner().unwrap().free, 2);
    }

    #[test]
    fn who_had_none_for_the_longest_is_next_whoever_asked_first() {
        let (permits, order) = (EncodePermits::new(1), Mutex::new(Vec::new()));
        let mut lasts = [const { LastPermit(0) }; 3];
        for last in &mut lasts {
            drop(permits.acquire(last));
        }
        thread::scope(|scope| {
            let held = permits.acquire(&mut LastPermit::default());
            // They ask in the other order.
            for (n, mut last) in lasts.into_iter().enumerate().rev() {
                let (permits, order) = (&permits, &order);
                scope.spawn(move || {
                    let _permit = permits.acquire(&mut last);
                    order.lock().unwrap().push(n);
                });
                while permits.state.lock().unwrap().waiting.len() < 3 - n {
                    thread::yield_now();
                }
            }
            drop(held);
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2]);
    }
}
