//! What has come from the engine and waits until JavaScript reads it, and the one thread that waits for it.
//!
//! The queues are the engine's own, which are bounded and count what does not fit. The thread polls their descriptors,
//! asks Node to call [`Inbox::read`] on its own thread, and rests until that has been done: however much comes, there
//! is never more than one such call on its way.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use visavis::data::PeerMessage;
use visavis::event::Event;
use visavis::microphone::MicChunk;
use visavis::receiver::Receiver;

use crate::items::{self, Item};

/// Items that one turn of Node's loop reads at most. Others have theirs before the rest.
const MOST_AT_ONCE: usize = 256;

/// Notes that wait to be read at most; further ones are dropped and counted.
const MOST_NOTES: usize = 1_024;

/// Asks Node to read. It keeps no process running, and a second call is not queued.
pub(crate) type Ready = ThreadsafeFunction<(), (), (), napi::Status, false, true, 1>;

/// Where something comes from.
#[derive(Clone)]
pub(crate) enum Source {
    Events(Receiver<Event>),
    /// The microphones of a session.
    Microphones(String, Receiver<MicChunk>),
    /// Messages from the viewers of a session.
    Messages(String, Receiver<PeerMessage>),
}

pub(crate) struct Inbox {
    sources: Mutex<Vec<Source>>,
    /// What the engine does not queue itself.
    notes: Mutex<VecDeque<Item>>,
    dropped_notes: AtomicU64,
    /// Wakes the thread: something else is to be waited for, or all was read.
    wake: OwnedFd,
    /// Whether Node is to be asked again.
    armed: AtomicBool,
    closed: AtomicBool,
}

impl Inbox {
    /// Begins to wait; `ready` is called on Node's thread when there is something to be read.
    pub(crate) fn open(ready: Ready) -> io::Result<(Arc<Self>, JoinHandle<()>)> {
        let inbox = Arc::new(Self {
            sources: Mutex::default(),
            notes: Mutex::default(),
            dropped_notes: AtomicU64::new(0),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            armed: AtomicBool::new(true),
            closed: AtomicBool::new(false),
        });
        let waiting = Arc::clone(&inbox);
        let thread = thread::Builder::new()
            .name("visavis-node".to_owned())
            .spawn(move || waiting.wait(&ready))?;
        Ok((inbox, thread))
    }

    /// Waits for this, too.
    pub(crate) fn add(&self, source: Source) -> io::Result<()> {
        // Whatever it needs it has from here on.
        source.descriptor()?;
        self.sources().push(source);
        self.wake();
        Ok(())
    }

    /// Adds a note, from any thread; never waits.
    pub(crate) fn note(&self, item: Item) {
        let mut notes = self.notes();
        if notes.len() < MOST_NOTES {
            notes.push_back(item);
        } else {
            self.dropped_notes.fetch_add(1, SeqCst);
        }
        drop(notes);
        self.wake();
    }

    /// What has come: of each source the oldest first, and what viewers do before what they say.
    pub(crate) fn read(&self) -> Vec<Item> {
        let mut notes = self.notes();
        let count = notes.len().min(MOST_AT_ONCE);
        let mut items: Vec<Item> = notes.drain(..count).collect();
        drop(notes);
        self.sources().retain(|source| source.read_into(&mut items));
        self.armed.store(true, SeqCst);
        self.wake();
        items
    }

    /// Events that were dropped because Node did not read in time.
    pub(crate) fn dropped(&self) -> u64 {
        let sources = self.sources();
        let events = sources.iter().filter_map(|source| match source {
            Source::Events(events) => Some(events.dropped()),
            _ => None,
        });
        events.sum::<u64>() + self.dropped_notes.load(SeqCst)
    }

    /// Ends the waiting.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake();
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It cannot be full: it is read each time.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn wait(&self, ready: &Ready) {
        while !self.closed.load(SeqCst) {
            let armed = self.armed.load(SeqCst);
            let came = match armed && !self.notes().is_empty() {
                true => Ok(true),
                false => self.poll(armed),
            };
            match came {
                Ok(false) => {}
                Ok(true) => {
                    self.armed.store(false, SeqCst);
                    let asked = ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
                    // One that is on its way will do. Any other refusal means that Node is ending.
                    if !matches!(asked, napi::Status::Ok | napi::Status::QueueFull) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "cannot wait for events; no more will come");
                    return;
                }
            }
        }
    }

    /// Waits until it is woken or, where Node may be asked, until something has come; true for that.
    fn poll(&self, armed: bool) -> rustix::io::Result<bool> {
        // Nothing is locked while it waits.
        let sources = if armed { self.sources().clone() } else { Vec::new() };
        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let descriptors = sources.iter().filter_map(|source| source.descriptor().ok());
        fds.extend(descriptors.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut came = fds.iter().map(|fd| !fd.revents().is_empty());
        if came.next() == Some(true) {
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
        Ok(came.any(|came| came))
    }
}

impl Source {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Self::Events(events) => events.descriptor(),
            Self::Microphones(_, chunks) => chunks.descriptor(),
            Self::Messages(_, messages) => messages.descriptor(),
        }
    }

    /// Reads what there is room for; false where nothing more will come.
    fn read_into(&self, items: &mut Vec<Item>) -> bool {
        while items.len() < MOST_AT_ONCE {
            let item = match self {
                Self::Events(events) => events.try_recv().map(items::event),
                Self::Microphones(session, chunks) => {
                    chunks.try_recv().map(|chunk| Some(items::microphone(session, &chunk)))
                }
                Self::Messages(session, messages) => {
                    messages.try_recv().map(|message| Some(items::message(session, message)))
                }
            };
            match item {
                Ok(item) => items.extend(item),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }
}
