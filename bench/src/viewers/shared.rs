//! What the thread of the viewers and its owner exchange.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use super::window::Window;
use crate::Spread;

/// What the owner of a swarm asks of it while it runs.
#[derive(Debug)]
pub(super) enum Command {
    /// Only what happens in this window counts.
    Measure(Window),
    /// Guests join, at this distance from each other.
    Join { count: usize, spacing: Duration },
    /// The guest who came first leaves.
    LeaveOldest,
    /// What the watchers have seen up to now.
    Report(mpsc::Sender<Seen>),
}

/// What the watchers have seen so far.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Between complete frames, in the window where there is one.
    pub(crate) gaps: Option<Spread>,
    pub(crate) watchers: Vec<Watcher>,
}

/// One of those who watch, as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    /// Where its media socket is.
    pub(crate) address: Option<SocketAddr>,
    /// The user name that the server chose for it (ICE).
    pub(crate) server_ufrag: Option<String>,
    /// The user name that it chose.
    pub(crate) own_ufrag: String,
    /// Since its last complete picture; `None` before the first.
    pub(crate) without_picture: Option<Duration>,
    /// Sound packets so far.
    pub(crate) sounds: u64,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// What the thread of the viewers and its owner both see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) with_picture: AtomicUsize,
    pub(super) failed: AtomicUsize,
    pub(super) first_failure: OnceLock<String>,
}
