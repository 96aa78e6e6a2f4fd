//! Receiving peers without a browser: real signaling, ICE, DTLS and SRTP, any number on one thread.

mod report;
mod signal;
mod stream;
mod swarm;
mod viewer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use report::{Report, StreamReport, ViewerReport};

use crate::{Durations, Error};

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
}

impl Options {
    /// `count` viewers that start at once, take what they are given and stay until they are ended.
    pub fn new(url: impl Into<String>, count: usize) -> Self {
        Self {
            url: url.into(),
            count,
            duration: Duration::from_secs(24 * 3_600),
            spacing: Duration::ZERO,
            codec: None,
            vanish: false,
        }
    }
}

/// Viewers on a thread of their own.
#[derive(Debug)]
pub struct Swarm {
    shared: Arc<Shared>,
    count: usize,
    thread: JoinHandle<Result<Report, Error>>,
}

/// What the thread of the viewers and its owner both see.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    with_picture: AtomicUsize,
    failed: AtomicUsize,
}

/// Runs viewers on this thread until their time is over.
///
/// # Errors
///
/// When the address is not usable or the system gives no sockets. What happens to a single viewer is
/// in the report.
pub fn run(options: &Options) -> Result<Report, Error> {
    swarm::run(options, &Shared::default())
}

impl Swarm {
    /// Starts viewers on a new thread.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::default());
        let count = options.count;
        let for_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || swarm::run(&options, &for_thread));
        Self { shared, count, thread }
    }

    /// Waits until every viewer has a picture.
    ///
    /// # Errors
    ///
    /// When one fails, or the deadline passes first.
    pub fn wait_for_pictures(&self, deadline: Duration) -> Result<(), Error> {
        let end = Instant::now() + deadline;
        loop {
            let with_picture = self.shared.with_picture.load(Ordering::Relaxed);
            let failed = self.shared.failed.load(Ordering::Relaxed);
            if with_picture == self.count {
                return Ok(());
            }
            if failed > 0 || self.thread.is_finished() || Instant::now() >= end {
                return Err(Error::Viewers(format!(
                    "{with_picture} of {} have a picture, {failed} failed",
                    self.count
                )));
            }
            thread::sleep(Duration::from_millis(10));
        }
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

/// Figures over all viewers.
struct Figures {
    connect: Durations,
    first_picture: Durations,
    gap: Durations,
    latency: Durations,
}

impl Figures {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            connect: Durations::new()?,
            first_picture: Durations::new()?,
            gap: Durations::new()?,
            latency: Durations::new()?,
        })
    }
}
