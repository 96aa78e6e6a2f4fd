//! Receiving peers without a browser: real signaling, ICE, DTLS and SRTP, any number on one thread.

pub mod args;
mod deadlines;
mod figures;
mod frames;
mod inbox;
mod options;
mod report;
mod role;
mod shared;
mod signal;
mod skip_decryption;
mod stream;
mod swarm;
mod viewer;
mod window;

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use options::{Decrypt, Options, VideoCodec};
pub use report::{Measured, Report, StreamReport, ViewerReport};
pub(crate) use shared::{Seen, Watcher};
pub(crate) use window::Window;

use crate::Error;
use shared::{Command, Shared};

/// Viewers on a thread of their own.
#[derive(Debug)]
pub struct Swarm {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    count: usize,
    thread: JoinHandle<Result<Report, Error>>,
}

/// Runs viewers on this thread until their time is over.
///
/// # Errors
///
/// When the address is not usable or the system gives no sockets. What happens to a single viewer is
/// in the report.
pub fn run(options: &Options) -> Result<Report, Error> {
    // Nobody gives commands: the sending end is gone.
    swarm::run(options, &Shared::default(), &mpsc::channel().1)
}

impl Swarm {
    /// Starts viewers on a new thread.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::default());
        let count = options.count;
        let for_thread = Arc::clone(&shared);
        let (commands, taken) = mpsc::channel();
        let thread = thread::spawn(move || swarm::run(&options, &for_thread, &taken));
        Self { shared, commands, count, thread }
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
        self.send(Command::Measure(window))
    }

    /// Lets guests join, `spacing` apart: load that is not part of the figures.
    pub(crate) fn join(&self, count: usize, spacing: Duration) -> Result<(), Error> {
        self.send(Command::Join { count, spacing })
    }

    /// Lets the guest leave who joined first, if there is one.
    pub(crate) fn leave_oldest(&self) -> Result<(), Error> {
        self.send(Command::LeaveOldest)
    }

    /// What the watchers have seen up to now.
    pub(crate) fn seen(&self) -> Result<Seen, Error> {
        let (sender, told) = mpsc::channel();
        self.send(Command::Report(sender))?;
        told.recv().map_err(|_| Error::Viewers("their thread has ended".to_owned()))
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| Error::Viewers("their thread has ended".to_owned()))
    }

    /// Ends the viewers and returns their report.
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
