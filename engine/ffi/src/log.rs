//! The log, for the application.

use std::ffi::{CString, c_char, c_void};
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arc_swap::ArcSwapOption;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::callback::{self, UserPointer, visavis_destroy};
use crate::status::{Error, Result, visavis_status, visavis_status::*};

/// Lines that wait for the callback; further ones are dropped, and counted in the next.
const CAPACITY: usize = 1_024;

/// A line has no more characters.
const MAX_CHARACTERS: usize = 2_000;

/// How much is logged: a level, and those before it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_log_level {
    /// Nothing.
    VISAVIS_LOG_OFF = 0,
    /// What is broken.
    VISAVIS_LOG_ERROR = 1,
    /// What is not as it should be.
    VISAVIS_LOG_WARN = 2,
    /// What happens now and then.
    VISAVIS_LOG_INFO = 3,
    /// What helps to find a fault.
    VISAVIS_LOG_DEBUG = 4,
    /// Everything, packets too.
    VISAVIS_LOG_TRACE = 5,
}

/// Called with each line of the log. level: one of visavis_log_level. target: the part of the library. Both texts are good
/// during the call.
pub type visavis_log_callback = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        level: u32,
        target: *const c_char,
        message: *const c_char,
    ),
>;

struct Line {
    level: u32,
    target: &'static str,
    message: String,
}

/// Where lines go now.
struct Sink {
    level: LevelFilter,
    lines: SyncSender<Line>,
    dropped: AtomicU64,
}

static SINK: ArcSwapOption<Sink> = ArcSwapOption::const_empty();

/// Has the log given to a function, on a thread of its own; it may call everything here. There is one log for the process;
/// another call takes the place of the one before. At first nothing is logged.
///
/// level: one of visavis_log_level. callback: NULL or VISAVIS_LOG_OFF ends it. user, destroy: as in
/// visavis_events_set_callback(); destroy is called when the callback will not be called again. 1,024 lines wait at most;
/// what does not fit is counted. VISAVIS_EXISTS: the process logs by a subscriber of Rust's tracing. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_log_set_callback(
    level: u32,
    callback: visavis_log_callback,
    user: *mut c_void,
    destroy: visavis_destroy,
) -> visavis_status {
    entry!({
        let level = filter(level)?;
        let sink = match callback.filter(|_| level != LevelFilter::OFF) {
            None => None,
            Some(callback) => {
                subscribe()?;
                let (lines, received) = sync_channel(CAPACITY);
                let user = UserPointer::new(user, destroy);
                callback::spawn("visavis-log", user, move |user| {
                    give_out(&received, |line| {
                        let text =
                            |text: &str| CString::new(text.replace('\0', "?")).unwrap_or_default();
                        let (target, message) = (text(line.target), text(&line.message));
                        // SAFETY: the application gave them together.
                        unsafe {
                            callback(user.get(), line.level, target.as_ptr(), message.as_ptr())
                        };
                    });
                })?;
                Some(Arc::new(Sink { level, lines, dropped: AtomicU64::new(0) }))
            }
        };
        SINK.store(sink);
        tracing::callsite::rebuild_interest_cache();
        Ok(VISAVIS_OK)
    })
}

/// Until there is another sink.
fn give_out(lines: &Receiver<Line>, mut give: impl FnMut(&Line)) {
    lines.iter().for_each(|line| give(&line));
}

fn filter(level: u32) -> Result<LevelFilter> {
    Ok(match level {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        5 => LevelFilter::TRACE,
        other => {
            return Err(Error::argument(format_args!(
                "invalid level {other}; expected one of visavis_log_level"
            )));
        }
    })
}

/// Once for the process.
fn subscribe() -> Result<()> {
    static OURS: AtomicBool = AtomicBool::new(false);
    if OURS.load(Relaxed) {
        return Ok(());
    }
    match set_global_default(ToSink) {
        Ok(()) => OURS.store(true, Relaxed),
        // Two threads at a time, and the other was first.
        Err(_) if OURS.load(Relaxed) => {}
        Err(_) => {
            let text = "the process has a subscriber of its own for the log, by Rust's tracing";
            return Err(Error::new(VISAVIS_EXISTS, text));
        }
    }
    Ok(())
}

/// Gives events to the sink that there is.
struct ToSink;

impl Subscriber for ToSink {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.max_level_hint().is_some_and(|most| *metadata.level() <= most) && is_ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(SINK.load().as_ref().map_or(LevelFilter::OFF, |sink| sink.level))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let sink = SINK.load();
        let Some(sink) = &*sink else { return };
        let metadata = event.metadata();
        if *metadata.level() > sink.level {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let dropped = sink.dropped.swap(0, Relaxed);
        if dropped > 0 {
            let _ = write!(text.fields, " ({dropped} lines before this one were lost)");
        }
        let message: String =
            [text.message, text.fields].concat().chars().take(MAX_CHARACTERS).collect();
        let level = match *metadata.level() {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            Level::DEBUG => 4,
            Level::TRACE => 5,
        };
        if sink.lines.try_send(Line { level, target: metadata.target(), message }).is_err() {
            sink.dropped.fetch_add(dropped + 1, Relaxed);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What the WebSocket library writes at this level has whole messages, with passwords in them.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    *metadata.level() < Level::TRACE || metadata.target().starts_with("visavis")
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
