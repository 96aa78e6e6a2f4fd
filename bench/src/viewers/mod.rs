//! Receiving peers without a browser: real signaling, ICE, DTLS and SRTP, any number on one thread.

mod blind;
mod deadlines;
mod figures;
mod frames;
mod inbox;
mod report;
mod signal;
mod stream;
mod swarm;
mod viewer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use figures::Window;
pub use report::{Measured, Report, StreamReport, ViewerReport};

use crate::mark::PushLog;
use crate::peers::Dialect;
use crate::{Error, Spread};

/// The video codec a viewer is able to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// H264 only.
    H264,
    /// VP8 only.
    Vp8,
}

/// What the viewers do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the page, as the server prints it: `http://host:port/`, with `?session=ID` where a
    /// session other than the default one is watched.
    pub url: String,
    /// Where there is one, each viewer watches a session of its own: those of this name with a number behind,
    /// counted from 0. The address then names none.
    pub session_prefix: Option<String>,
    /// How many.
    pub count: usize,
    /// How long, from the first connection. A [`Swarm`] can be ended before.
    pub duration: Duration,
    /// Time between one viewer's start and the next one's.
    pub spacing: Duration,
    /// Decode only this codec; any otherwise.
    pub codec: Option<VideoCodec>,
    /// Leave without a word: sockets are dropped with no DTLS, RTCP or WebSocket goodbye.
    pub vanish: bool,
    /// How the server speaks.
    pub dialect: Dialect,
    /// Which viewers decrypt media; the others count and time its packets, and drop them.
    pub decrypt: Decrypt,
    /// Local addresses that their signaling comes from, in turn; where there are none, the system chooses.
    pub sources: Vec<Ipv4Addr>,
    /// Where pushes of marked frames are noted; without it frames are timed from their capture time.
    pub(crate) marks: Option<Arc<PushLog>>,
}

/// Which viewers decrypt media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decrypt {
    /// All of them.
    All,
    /// The first two, and one in this many.
    Sample(usize),
}

impl Options {
    /// `count` viewers that start at once, take what they are given and stay until they are ended.
    pub fn new(url: impl Into<String>, count: usize) -> Self {
        Self {
            url: url.into(),
            session_prefix: None,
            count,
            duration: Duration::from_secs(24 * 3_600),
            spacing: Duration::ZERO,
            codec: None,
            vanish: false,
            dialect: Dialect::Visavis,
            decrypt: Decrypt::All,
            sources: Vec::new(),
            marks: None,
        }
    }
}

/// Viewers on a thread of their own.
#[derive(Debug)]
pub struct Swarm {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    count: usize,
    thread: JoinHandle<Result<Report, Error>>,
}

/// What the owner of a swarm asks of it while it runs.
#[derive(Debug)]
enum Order {
    /// Only what happens in this window counts.
    Measure(Window),
    /// Guests join, at this distance from each other.
    Join { count: usize, spacing: Duration },
    /// The guest who came first leaves.
    LeaveOldest,
    /// What the watchers have seen up to now.
    Tell(mpsc::Sender<Seen>),
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
struct Shared {
    stop: AtomicBool,
    with_picture: AtomicUsize,
    failed: AtomicUsize,
    first_failure: OnceLock<String>,
}

/// Runs viewers on this thread until their time is over.
///
/// # Errors
///
/// When the address is not usable or the system gives no sockets. What happens to a single viewer is
/// in the report.
pub fn run(options: &Options) -> Result<Report, Error> {
    // Nobody gives orders: the sending end is gone.
    swarm::run(options, &Shared::default(), &mpsc::channel().1)
}

impl Swarm {
    /// Starts viewers on a new thread.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::default());
        let count = options.count;
        let for_thread = Arc::clone(&shared);
        let (orders, taken) = mpsc::channel();
        let thread = thread::spawn(move || swarm::run(&options, &for_thread, &taken));
        Self { shared, orders, count, thread }
    }

    /// Waits until every viewer has a picture.
    ///
    /// # Errors
    ///
    /// When one fails, or the deadline passes first.
    pub fn wait_for_pictures(&self, deadline: Duration) -> Result<(), Error> {
        self.wait_for(self.count, deadline)
    }

    /// Waits until `count` viewers have a picture.
    pub(crate) fn wait_for(&self, count: usize, deadline: Duration) -> Result<(), Error> {
        let end = Instant::now() + deadline;
        loop {
            let with_picture = self.shared.with_picture.load(Ordering::Relaxed);
            let failed = self.shared.failed.load(Ordering::Relaxed);
            if with_picture >= count {
                return Ok(());
            }
            if failed > 0 || self.thread.is_finished() || Instant::now() >= end {
                return Err(Error::Viewers(format!(
                    "{with_picture} of {count} have a picture, {failed} failed{}",
                    self.shared.first_failure.get().map_or(String::new(), |why| format!(": {why}"))
                )));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Viewers that have a picture now.
    pub(crate) fn with_picture(&self) -> usize {
        self.shared.with_picture.load(Ordering::Relaxed)
    }

    /// Lets only what happens in `window` count, joining excepted.
    pub(crate) fn measure(&self, window: Window) -> Result<(), Error> {
        self.order(Order::Measure(window))
    }

    /// Lets guests join, `spacing` apart: load that is not part of the figures.
    pub(crate) fn join(&self, count: usize, spacing: Duration) -> Result<(), Error> {
        self.order(Order::Join { count, spacing })
    }

    /// Lets the guest leave who came first; nothing happens where there is none.
    pub(crate) fn leave_oldest(&self) -> Result<(), Error> {
        self.order(Order::LeaveOldest)
    }

    /// What the watchers have seen up to now.
    pub(crate) fn seen(&self) -> Result<Seen, Error> {
        let (sender, told) = mpsc::channel();
        self.order(Order::Tell(sender))?;
        told.recv().map_err(|_| Error::Viewers("their thread has ended".to_owned()))
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        self.orders.send(order).map_err(|_| Error::Viewers("their thread has ended".to_owned()))
    }

    /// Ends the viewers and says what they saw.
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub fn finish(self) -> Result<Report, Error> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::Viewers("their thread panicked".to_owned())))
    }
}
