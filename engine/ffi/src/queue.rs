//! A bounded queue of what signaling hands to the application.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use crate::reader::Items;
use crate::status::Result;

/// The queue. Its descriptor is readable while it is not empty, and once it is closed.
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    readable: OwnedFd,
    capacity: usize,
}

struct Waiting<T> {
    items: VecDeque<T>,
    closed: bool,
    dropped: u64,
}

impl<T> Queue<T> {
    /// For so many items: past that the oldest is dropped, and counted.
    pub(crate) fn new(capacity: usize) -> Result<Arc<Self>> {
        let readable =
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(io::Error::from)?;
        let waiting = Waiting { items: VecDeque::new(), closed: false, dropped: 0 };
        Ok(Arc::new(Self { waiting: Mutex::new(waiting), readable, capacity }))
    }

    /// Hands an item over; never waits. Once it is closed the item is dropped.
    pub(crate) fn push(&self, item: T) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        let oldest = match waiting.items.len() == self.capacity {
            true => waiting.items.pop_front(),
            false => None,
        };
        waiting.dropped += u64::from(oldest.is_some());
        waiting.items.push_back(item);
        self.raise();
        drop(waiting);
        // What it belongs to may do anything at its end.
        drop(oldest);
    }

    /// Leaves out those that are not wanted any more.
    pub(crate) fn retain(&self, mut wanted: impl FnMut(&T) -> bool) {
        let mut waiting = self.lock();
        let (kept, left_out) = waiting.items.drain(..).partition(|item| wanted(item));
        waiting.items = kept;
        self.settle(&waiting);
        drop(waiting);
        drop::<VecDeque<T>>(left_out);
    }

    /// No more will come, and what waits is dropped.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        let items = std::mem::take(&mut waiting.items);
        waiting.closed = true;
        self.raise();
        drop(waiting);
        drop(items);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self) {
        let _ = rustix::io::write(&self.readable, &1_u64.to_ne_bytes());
    }

    /// With the lock held: once all is taken it is not readable any more.
    fn settle(&self, waiting: &Waiting<T>) {
        if waiting.items.is_empty() && !waiting.closed {
            let _ = rustix::io::read(&self.readable, &mut [0; 8]);
        }
    }
}

impl<T: Send> Items<T> for Arc<Queue<T>> {
    fn try_recv(&self) -> std::result::Result<T, TryRecvError> {
        let mut waiting = self.lock();
        let taken = waiting.items.pop_front();
        self.settle(&waiting);
        match taken {
            Some(item) => Ok(item),
            None if waiting.closed => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.readable.as_fd())
    }

    fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::time::Timespec;

    use super::*;

    fn is_readable(queue: &Arc<Queue<u32>>) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let descriptor = queue.descriptor().unwrap();
        poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn it_is_readable_while_items_wait_and_drops_the_oldest() {
        let queue = Queue::new(2).unwrap();
        assert!(!is_readable(&queue));
        (0..3).for_each(|item| queue.push(item));
        assert_eq!((queue.dropped(), queue.try_recv()), (1, Ok(1)));
        assert!(is_readable(&queue));
        queue.retain(|item| *item != 2);
        assert!(!is_readable(&queue));
        assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
        queue.push(3);
        queue.close();
        queue.push(4);
        assert!(is_readable(&queue));
        assert_eq!(queue.try_recv(), Err(TryRecvError::Disconnected));
        assert!(is_readable(&queue), "and stays so");
    }
}
