//! What an application reads at its own pace: events, microphones, messages of viewers.
//!
//! A [`Receiver`] is one end of a bounded queue. It can be waited on ([`recv`](Receiver::recv),
//! [`recv_timeout`](Receiver::recv_timeout), [`iter`](Receiver::iter)), read without waiting
//! ([`try_recv`](Receiver::try_recv), [`try_iter`](Receiver::try_iter)), or watched by `poll`, `epoll`, mio, or an async
//! runtime through a file descriptor ([`descriptor`](Receiver::descriptor)). The engine never waits for whoever reads:
//! what does not fit is dropped and counted ([`dropped`](Receiver::dropped)).
//!
//! Receivers can be sent to other threads and cloned; clones share what comes, each item going to one of them.
//!
//! ```no_run
//! use std::sync::mpsc::TryRecvError;
//!
//! use visavis::{Engine, EngineConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let events = engine.handle().subscribe();
//! // To be registered with a poller; here nothing else is waited for.
//! let _descriptor = events.descriptor()?;
//! loop {
//!     match events.try_recv() {
//!         Ok(event) => println!("{event:?}"),
//!         Err(TryRecvError::Empty) => break,
//!         Err(TryRecvError::Disconnected) => return Ok(()), // The engine has stopped.
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel as channel;
use rustix::event::{EventfdFlags, eventfd};

/// Makes the two ends of a queue for so many items.
pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(channel::bounded(capacity))
}

/// Makes the two ends of a queue that something else bounds.
pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(channel::unbounded())
}

fn ends<T>(
    (sender, receiver): (channel::Sender<Queued<T>>, channel::Receiver<Queued<T>>),
) -> (Sender<T>, Receiver<T>) {
    let signal = Arc::<Signal>::default();
    let open = Arc::new(Open(Arc::clone(&signal)));
    (Sender { queue: sender, open }, Receiver { queue: receiver, signal })
}

/// The reading end of a queue; see [the module](self).
#[must_use = "what nobody reads is dropped"]
pub struct Receiver<T> {
    queue: channel::Receiver<Queued<T>>,
    signal: Arc<Signal>,
}

impl<T> Receiver<T> {
    /// The next item, waited for as long as it takes.
    ///
    /// # Errors
    ///
    /// Nothing is left, and nothing more will come: what it is from has ended.
    pub fn recv(&self) -> Result<T, RecvError> {
        let taken = self.queue.recv();
        self.settle();
        taken.map(|queued| queued.item).map_err(|_| RecvError)
    }

    /// The next item, waited for at most so long.
    ///
    /// # Errors
    ///
    /// [`Timeout`](RecvTimeoutError::Timeout) where none came in time, [`Disconnected`](RecvTimeoutError::Disconnected)
    /// where nothing more will come.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let taken = self.queue.recv_timeout(timeout);
        self.settle();
        taken.map(|queued| queued.item).map_err(|error| match error {
            channel::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
            channel::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// The next item, if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryRecvError::Empty) where there is none now, [`Disconnected`](TryRecvError::Disconnected) where nothing
    /// more will come.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let taken = self.queue.try_recv();
        self.settle();
        taken.map(|queued| queued.item).map_err(|error| match error {
            channel::TryRecvError::Empty => TryRecvError::Empty,
            channel::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// All items, each waited for as long as it takes; ends when nothing more will come.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'_, T> {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// The items that are here; waits for none.
    pub fn try_iter(&self) -> impl Iterator<Item = T> + use<'_, T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// A file descriptor that is readable while items wait, and once nothing more will come. It is for `poll`, `epoll`
    /// and what is built on them, and not to be read or written; all clones have the same one. It is made by the first
    /// call. [`AsFd`] is not implemented, since it cannot fail: each receiver would need a descriptor from its beginning,
    /// whether or not anybody polls it.
    ///
    /// With a poller that is edge-triggered (mio), read on until [`try_recv`](Self::try_recv) says
    /// [`Empty`](TryRecvError::Empty).
    ///
    /// # Errors
    ///
    /// The process, or the system, has no file descriptor left.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.signal.descriptor(!self.queue.is_empty())
    }

    /// How many items were dropped so far because they were not read in time.
    pub fn dropped(&self) -> u64 {
        self.signal.dropped.load(Ordering::Relaxed)
    }

    /// Drops the item that has waited for the longest time, and counts it; false where there is none.
    pub(crate) fn drop_oldest(&self) -> bool {
        let dropped = self.queue.try_recv().is_ok();
        self.signal.dropped.fetch_add(dropped.into(), Ordering::Relaxed);
        dropped
    }

    /// Once all is read, the descriptor is no longer readable.
    fn settle(&self) {
        if self.queue.is_empty() && self.signal.lower() && !self.queue.is_empty() {
            // Something came meanwhile, and found the descriptor readable still.
            self.signal.raise();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), signal: Arc::clone(&self.signal) }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, dropped) = (self.queue.len(), self.dropped());
        f.debug_struct("Receiver").field("waiting", &waiting).field("dropped", &dropped).finish()
    }
}

/// The writing end of a queue.
pub(crate) struct Sender<T> {
    // Dropped in this order: whoever is woken by the end finds it.
    queue: channel::Sender<Queued<T>>,
    open: Arc<Open>,
}

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    /// Nobody reads any more.
    Closed,
}

impl<T> Sender<T> {
    /// Hands an item over; never waits. One that does not fit is counted.
    pub(crate) fn send(&self, item: T) -> Result<(), Refused> {
        self.put(Queued { item, _room: None })
    }

    /// As [`send`](Self::send), with what is to be dropped when the item is read.
    pub(crate) fn send_with(&self, item: T, room: impl Send + 'static) -> Result<(), Refused> {
        self.put(Queued { item, _room: Some(Box::new(room)) })
    }

    fn put(&self, queued: Queued<T>) -> Result<(), Refused> {
        match self.queue.try_send(queued) {
            Ok(()) => {
                self.open.0.raise();
                Ok(())
            }
            Err(channel::TrySendError::Full(_)) => {
                self.count_dropped();
                Err(Refused::Full)
            }
            Err(channel::TrySendError::Disconnected(_)) => Err(Refused::Closed),
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        // Each receiver has the signal as well; all senders together have it once.
        Arc::strong_count(&self.open.0) == 1
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Counts an item that was dropped before it came here.
    pub(crate) fn count_dropped(&self) {
        self.open.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), open: Arc::clone(&self.open) }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("waiting", &self.queue.len()).finish_non_exhaustive()
    }
}

struct Queued<T> {
    item: T,
    /// The room it takes until it is read.
    _room: Option<Box<dyn Any + Send>>,
}

/// What all senders share: the last one that goes notifies of the end.
struct Open(Arc<Signal>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.raise();
    }
}

/// An eventfd that is readable while something waits, where somebody has asked for it.
#[derive(Default)]
struct Signal {
    eventfd: OnceLock<OwnedFd>,
    /// It is readable, or about to be.
    raised: AtomicBool,
    /// Nothing more will come: from here on it stays readable.
    ended: AtomicBool,
    dropped: AtomicU64,
}

impl Signal {
    fn descriptor(&self, waiting: bool) -> io::Result<BorrowedFd<'_>> {
        if self.eventfd.get().is_none() {
            let made = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
            let _ = self.eventfd.set(made);
        }
        if waiting || self.ended.load(Ordering::SeqCst) {
            self.raise();
        }
        self.eventfd.get().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn raise(&self) {
        let Some(eventfd) = self.eventfd.get() else { return };
        if !self.raised.swap(true, Ordering::SeqCst) {
            // It cannot be full: there is one of these at most before it is read.
            let _ = rustix::io::write(eventfd, &1_u64.to_ne_bytes());
        }
    }

    /// Nothing waits; true where something that came meanwhile may have been missed.
    fn lower(&self) -> bool {
        let Some(eventfd) = self.eventfd.get() else { return false };
        if self.ended.load(Ordering::SeqCst) || !self.raised.load(Ordering::SeqCst) {
            return false;
        }
        let _ = rustix::io::read(eventfd, &mut [0; 8]);
        self.raised.store(false, Ordering::SeqCst);
        if self.ended.load(Ordering::SeqCst) {
            self.raise();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::time::Timespec;

    use super::*;

    fn is_readable<T>(receiver: &Receiver<T>) -> bool {
        let fd = receiver.descriptor().unwrap();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_while_items_wait() {
        let (sender, receiver) = bounded(4);
        sender.send(1).unwrap();
        assert!(is_readable(&receiver), "what came before it was asked for");
        sender.send(2).unwrap();
        assert_eq!(receiver.try_recv(), Ok(1));
        assert!(is_readable(&receiver));
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(2));
        assert!(!is_readable(&receiver));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        sender.send(3).unwrap();
        assert!(is_readable(&receiver));
        assert_eq!(receiver.recv(), Ok(3));
        assert!(!is_readable(&receiver));
    }

    #[test]
    fn the_end_is_seen_once_all_is_read_and_makes_the_descriptor_readable() {
        let (sender, receiver) = bounded(4);
        assert!(!is_readable(&receiver));
        let other = sender.clone();
        drop(sender);
        assert!(!is_readable(&receiver));
        other.send(1).unwrap();
        drop(other);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
        assert!(is_readable(&receiver));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert!(is_readable(&receiver), "and stays so");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (sender, receiver) = bounded(2);
        let sent: Vec<_> = (0..4).map(|item| sender.send(item)).collect();
        assert_eq!(sent, [Ok(()), Ok(()), Err(Refused::Full), Err(Refused::Full)]);
        assert_eq!(receiver.dropped(), 2);
        assert!(receiver.drop_oldest());
        assert_eq!(receiver.dropped(), 3);
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
        let other = receiver.clone();
        drop(receiver);
        assert!(!sender.clone().is_closed());
        drop(other);
        assert!(sender.is_closed());
        assert_eq!(sender.send(5), Err(Refused::Closed));
    }

    #[test]
    fn nothing_is_missed_by_who_waits_for_the_descriptor() {
        let (sender, receiver) = bounded(8);
        let sending = thread::spawn(move || {
            for item in 0..20_000 {
                while sender.len() == 8 {
                    thread::yield_now();
                }
                sender.send(item).unwrap();
            }
        });
        let mut expected = 0;
        loop {
            let fd = receiver.descriptor().unwrap();
            let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
            let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)).unwrap();
            assert_eq!(ready, 1, "item {expected} waits and nobody is woken");
            match receiver.try_recv() {
                Ok(item) => {
                    assert_eq!(item, expected);
                    expected += 1;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => break,
            }
        }
        assert_eq!(expected, 20_000);
        sending.join().unwrap();
    }
}
