//! How a media loop is woken, and for which of its sessions.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use crossbeam_queue::SegQueue;

/// Marks of sessions, in the order in which something was put into them.
pub(crate) type Ready = Arc<SegQueue<Arc<ReadyMark>>>;

/// Wakes a media loop.
#[derive(Debug, Clone)]
pub(crate) struct MediaWaker {
    waker: Arc<mio::Waker>,
    ready: Ready,
}

impl MediaWaker {
    pub(crate) fn new(waker: Arc<mio::Waker>, ready: Ready) -> Self {
        Self { waker, ready }
    }

    /// Something was put where the loop looks in each of its turns.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the media loop cannot be woken");
        }
    }

    /// A waker for one session.
    pub(crate) fn for_session(&self) -> SessionWaker {
        SessionWaker { mark: Arc::default(), media_loop: self.clone() }
    }
}

/// Has a media loop look at one session.
#[derive(Debug, Clone)]
pub(crate) struct SessionWaker {
    mark: Arc<ReadyMark>,
    media_loop: MediaWaker,
}

/// A session's place on one media loop.
#[derive(Debug)]
pub(crate) struct ReadyMark {
    /// Whether the mark is among those that are ready: there is no need for two.
    is_ready: AtomicBool,
    /// `SessionKey::index`, of which the media loop alone knows; otherwise a number that no session has.
    index: AtomicUsize,
}

/// The index of no session.
const NONE: usize = usize::MAX;

impl Default for ReadyMark {
    fn default() -> Self {
        Self { is_ready: AtomicBool::new(false), index: AtomicUsize::new(NONE) }
    }
}

impl ReadyMark {
    /// To be looked at; returns the index. What is put in from here on makes it ready again.
    pub(super) fn take(&self) -> usize {
        // First this, then the look.
        self.is_ready.swap(false, AcqRel);
        self.index.load(Relaxed)
    }
}

impl SessionWaker {
    /// What was put in before is seen. While a wake-up is pending this costs next to nothing.
    pub(crate) fn wake(&self) {
        if !self.mark.is_ready.swap(true, AcqRel) {
            self.media_loop.ready.push(Arc::clone(&self.mark));
            self.media_loop.wake();
        }
    }

    /// The media loop has given the session a place.
    pub(super) fn set_index(&self, index: usize) {
        self.mark.index.store(index, Relaxed);
    }

    /// The session's place on its media loop, while it has one.
    pub(super) fn index(&self) -> Option<usize> {
        Some(self.mark.index.load(Relaxed)).filter(|&index| index != NONE)
    }

    /// The place is given up.
    pub(super) fn clear_index(&self) {
        self.set_index(NONE);
    }
}

/// The wakers of one session on all media loops.
#[derive(Debug, Clone)]
pub(crate) struct SessionWakers(Arc<[SessionWaker]>);

impl SessionWakers {
    pub(crate) fn new(wakers: Vec<SessionWaker>) -> Self {
        Self(wakers.into())
    }

    pub(crate) fn wake(&self) {
        self.0.iter().for_each(SessionWaker::wake);
    }

    /// That of each media loop.
    pub(crate) fn each(&self) -> &[SessionWaker] {
        &self.0
    }
}
