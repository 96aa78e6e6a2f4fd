//! The log on stderr, which never blocks its callers and never fails.
//!
//! Whoever logs hands its line to a thread that writes them. A reader that is slow, or gone, and a disk that is
//! full cost lines of the log, which are counted, and nothing else: media loops log too.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use visavis::faults::{FaultDomain, Faults};

/// Lines that may wait for stderr; more are lost.
const WAITING_LINES: usize = 4_096;

/// How long the end of the program waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

static LINES: OnceLock<Lines> = OnceLock::new();

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log filter cannot be read.
    #[error(
        "invalid log filter {filter:?}: {reason}; expected error, warn, info, debug, trace, or a filter such as \
         info,visavis=debug"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The thread that writes was not started.
    #[error("cannot start the log: {0}")]
    Thread(io::Error),
}

/// Starts the log with a level or a filter.
pub(crate) fn start(filter: &str) -> Result<(), LogError> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| LogError::Filter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let lines = Lines::start(io::stderr()).map_err(LogError::Thread)?;
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(move || writer.clone())
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .finish()
        .with(filter_fn(is_fit_to_print));
    // A second subscriber in one process is refused; the first one goes on.
    if subscriber.try_init().is_ok() {
        let _ = LINES.set(lines);
    }
    Ok(())
}

/// False for lines that may hold secrets, which are dropped whatever the filter is. The WebSocket library logs whole
/// messages at the level `TRACE`: TURN passwords, resume tokens, descriptions.
fn is_fit_to_print(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || !metadata.target().starts_with("tungstenite")
}

/// From now on lines that are lost are counted there.
pub(crate) fn count_in(faults: &Arc<Faults>) {
    if let Some(lines) = LINES.get() {
        lines.lost.count_in(faults);
    }
}

/// Waits until what was logged so far is written, but not for long.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.wait();
    }
}

/// The way to the thread that writes.
#[derive(Debug, Clone)]
struct Lines {
    queue: Sender<Entry>,
    lost: Arc<Lost>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Dropped when all before it is written.
    Mark(#[expect(dead_code, reason = "held to be dropped")] Sender<()>),
}

impl Lines {
    fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, waiting) = bounded(WAITING_LINES);
        let lost = Arc::<Lost>::default();
        let counted = Arc::clone(&lost);
        let write = move || write_all(&waiting, output, &counted);
        std::thread::Builder::new().name("visavis-log".to_owned()).spawn(write)?;
        Ok(Self { queue, lost })
    }

    fn wait(&self) {
        let (mark, written) = bounded(1);
        if self.queue.send_timeout(Entry::Mark(mark), LAST_LINES).is_ok() {
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

fn write_all(waiting: &Receiver<Entry>, mut output: impl Write, lost: &Lost) {
    for entry in waiting {
        if let Entry::Line(line) = entry
            && output.write_all(&line).is_err()
        {
            lost.count();
        }
    }
}

/// One line a call, as the subscriber writes them.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.count();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that were not written.
#[derive(Debug, Default)]
struct Lost {
    before: AtomicU64,
    faults: OnceLock<Arc<Faults>>,
}

impl Lost {
    fn count(&self) {
        match self.faults.get() {
            Some(faults) => faults.count(FaultDomain::Log),
            None => {
                self.before.fetch_add(1, Relaxed);
            }
        }
    }

    fn count_in(&self, faults: &Arc<Faults>) {
        let _ = self.faults.set(Arc::clone(faults));
        for _ in 0..self.before.swap(0, Relaxed) {
            self.count();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes what it is given while it is well.
    #[derive(Debug, Clone, Default)]
    struct Page(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Write for Page {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let mut page = self.0.lock().unwrap();
            if page.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            page.0.extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_are_written() {
        let page = Page::default();
        let mut lines = Lines::start(page.clone()).unwrap();
        lines.write_all(b"one\n").unwrap();
        lines.wait();
        page.0.lock().unwrap().1 = true;
        lines.write_all(b"two\n").unwrap();
        lines.wait();
        let faults = Arc::<Faults>::default();
        lines.lost.count_in(&faults);
        lines.write_all(b"three\n").unwrap();
        lines.wait();
        page.0.lock().unwrap().1 = false;
        lines.write_all(b"four\n").unwrap();
        lines.wait();
        assert_eq!(page.0.lock().unwrap().0, b"one\nfour\n");
        assert_eq!(faults.total(FaultDomain::Log), 2);
    }

    #[test]
    fn messages_of_the_websocket_are_in_no_log() {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("trace,tungstenite::protocol=trace"))
            .with_writer(move || writer.clone())
            .finish()
            .with(filter_fn(is_fit_to_print));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "tungstenite::protocol::frame", "writing frame: a password");
            tracing::trace!(target: "tungstenite::protocol", "a token");
            tracing::debug!(target: "tungstenite::protocol", "a close frame");
            tracing::trace!("one of ours");
        });
        let printed = String::from_utf8(page.0.lock().unwrap().0.clone()).unwrap();
        assert!(printed.contains("a close frame") && printed.contains("one of ours"), "{printed}");
        assert!(!printed.contains("password") && !printed.contains("token"), "{printed}");
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up() {
        let page = Page::default();
        let mut lines = Lines::start(page.clone()).unwrap();
        let held = page.0.lock().unwrap();
        for _ in 0..WAITING_LINES + 100 {
            lines.write_all(b"line\n").unwrap();
        }
        let lost = lines.lost.before.load(Relaxed);
        assert!((90..=100).contains(&lost), "{lost}");
        drop(held);
    }
}
