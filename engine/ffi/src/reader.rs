//! What an application reads at its own pace: by asking, by waiting, by a descriptor, or by a callback on a thread of its
//! own.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::Timespec;
use visavis::receiver::Receiver;
use visavis_types::catch_panic;

use crate::callback::{self, UserPointer};
use crate::status::{Error, Result};

/// Where items come from.
pub(crate) trait Items<T>: Send + Sync {
    fn try_recv(&self) -> std::result::Result<T, TryRecvError>;

    /// Readable while items wait, and once nothing more will come.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>>;

    /// How many were not read in time.
    fn dropped(&self) -> u64;
}

impl<T: Send> Items<T> for Receiver<T> {
    fn try_recv(&self) -> std::result::Result<T, TryRecvError> {
        Self::try_recv(self)
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Self::descriptor(self)
    }

    fn dropped(&self) -> u64 {
        Self::dropped(self)
    }
}

/// The reading end of a queue. `T` is what it gives, `K` what C has pointers into until the next is read.
pub(crate) struct Reader<T, K> {
    items: Box<dyn Items<T>>,
    /// Readable once it is closed.
    closing: OwnedFd,
    closed: AtomicBool,
    has_callback: AtomicBool,
    kept: Mutex<Option<K>>,
}

/// What came of waiting.
pub(crate) enum Next<T> {
    Item(T),
    Timeout,
    End,
}

impl<T: Send + 'static, K: Send + 'static> Reader<T, K> {
    pub(crate) fn new(items: impl Items<T> + 'static) -> Result<Self> {
        let closing = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(std::io::Error::from)?;
        Ok(Self {
            items: Box::new(items),
            closing,
            closed: AtomicBool::new(false),
            has_callback: AtomicBool::new(false),
            kept: Mutex::new(None),
        })
    }

    /// The next item: 0 does not wait, below 0 as long as it takes.
    pub(crate) fn next(&self, timeout_ms: i32) -> Result<Next<T>> {
        match self.has_callback.load(SeqCst) {
            true => Err(Error::argument("this reader has a callback, which gets what comes")),
            false => self.wait(timeout_ms),
        }
    }

    fn wait(&self, timeout_ms: i32) -> Result<Next<T>> {
        let patience = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let began = Instant::now();
        loop {
            if self.closed.load(SeqCst) {
                return Ok(Next::End);
            }
            match self.items.try_recv() {
                Ok(item) => return Ok(Next::Item(item)),
                Err(TryRecvError::Disconnected) => return Ok(Next::End),
                Err(TryRecvError::Empty) => {}
            }
            let left = patience.map(|patience| patience.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Next::Timeout);
            }
            self.sleep(left)?;
        }
    }

    /// Sleeps until something may have come.
    fn sleep(&self, left: Option<Duration>) -> Result<()> {
        let items = self.items.descriptor()?;
        let mut watched =
            [PollFd::new(&items, PollFlags::IN), PollFd::new(&self.closing, PollFlags::IN)];
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut watched, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }

    pub(crate) fn descriptor(&self) -> Result<i32> {
        Ok(self.items.descriptor()?.as_raw_fd())
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.items.dropped()
    }

    /// Keeps what C has pointers into, in the place of what was kept before.
    pub(crate) fn keep(&self, kept: K) -> MutexGuard<'_, Option<K>> {
        let mut place = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(kept);
        place
    }

    /// Whoever waits is told of the end; a callback is not called again.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        let _ = rustix::io::write(&self.closing, &1_u64.to_ne_bytes());
    }

    /// Has everything that comes given to `call`, on a thread of its own, which nobody waits for. `user` is dropped there
    /// when nothing more will come.
    pub(crate) fn call_with(
        self: &Arc<Self>,
        user: UserPointer,
        mut call: impl FnMut(T, &UserPointer) + Send + 'static,
    ) -> Result<()> {
        if self.has_callback.swap(true, SeqCst) {
            user.forget();
            return Err(Error::argument("this reader has a callback already"));
        }
        let reader = Arc::clone(self);
        let spawned = callback::spawn("visavis-callback", user, move |user| {
            while let Ok(Next::Item(item)) = reader.wait(-1) {
                // What may panic is ours; the engine goes on.
                if catch_panic(|| call(item, &user)).is_err() {
                    break;
                }
            }
        });
        if spawned.is_err() {
            self.has_callback.store(false, SeqCst);
        }
        spawned
    }
}
