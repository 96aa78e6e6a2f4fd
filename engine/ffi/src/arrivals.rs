//! Sessions that are made over HTTP, or for visitors, on their way to the application.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::Timespec;
use visavis::Session;
use visavis::session::SessionId;
use visavis_signaling::{CreateRequest, EndReason, SessionHooks};

use crate::status::Result;

/// Those that wait to be taken; past that the oldest is not handed out, and shows its idle picture.
const CAPACITY: usize = 1_024;

/// The queue. Its descriptor is readable while it is not empty, and once it is closed.
pub(crate) struct Arrivals {
    waiting: Mutex<Waiting>,
    readable: OwnedFd,
}

#[derive(Default)]
struct Waiting {
    sessions: VecDeque<Arc<Session>>,
    closed: bool,
}

/// What came of waiting.
pub(crate) enum Arrival {
    Session(Arc<Session>),
    Timeout,
    End,
}

impl Arrivals {
    pub(crate) fn new() -> Result<Self> {
        let readable = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(std::io::Error::from)?;
        Ok(Self { waiting: Mutex::default(), readable })
    }

    pub(crate) fn descriptor(&self) -> i32 {
        self.readable.as_raw_fd()
    }

    /// The next session: 0 does not wait, below 0 as long as it takes.
    pub(crate) fn next(&self, timeout_ms: i32) -> Result<Arrival> {
        let patience = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let began = Instant::now();
        loop {
            {
                let mut waiting = self.lock();
                let taken = waiting.sessions.pop_front();
                self.settle(&waiting);
                match taken {
                    Some(session) => return Ok(Arrival::Session(session)),
                    None if waiting.closed => return Ok(Arrival::End),
                    None => {}
                }
            }
            let left = patience.map(|patience| patience.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Arrival::Timeout);
            }
            let left = left.map(|left| Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            match poll(&mut [PollFd::new(&self.readable, PollFlags::IN)], left.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
        }
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.sessions.clear();
        waiting.closed = true;
        self.raise();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self) {
        let _ = rustix::io::write(&self.readable, &1_u64.to_ne_bytes());
    }

    /// With the lock held: once all is taken it is not readable any more.
    fn settle(&self, waiting: &Waiting) {
        if waiting.sessions.is_empty() && !waiting.closed {
            let _ = rustix::io::read(&self.readable, &mut [0; 8]);
        }
    }
}

impl SessionHooks for Arrivals {
    fn created(
        &self,
        session: &Arc<Session>,
        _: &CreateRequest,
    ) -> std::result::Result<(), String> {
        let mut waiting = self.lock();
        if waiting.sessions.len() == CAPACITY {
            waiting.sessions.pop_front();
        }
        if !waiting.closed {
            waiting.sessions.push_back(Arc::clone(session));
            self.raise();
        }
        Ok(())
    }

    fn ended(&self, session: &SessionId, _: EndReason) {
        let mut waiting = self.lock();
        waiting.sessions.retain(|waits| waits.id() != session);
        self.settle(&waiting);
    }
}
