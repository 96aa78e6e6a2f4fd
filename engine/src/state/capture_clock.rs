use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use visavis_types::{ClockAnchor, SessionId, UnixMillis};

use super::counters::Counters;
use crate::source_clock::{DatedBy, SourceClock, Stamped};

/// Dates what the callers of one session push. Written and read by callers alone, one of which may be the thread of an
/// [`RtpInput`](crate::rtp_input::RtpInput).
#[derive(Debug)]
pub(crate) struct CaptureClock {
    session: SessionId,
    clock: Mutex<SourceClock>,
    /// Logged once.
    is_absurdity_logged: AtomicBool,
    counters: Arc<Counters>,
}

impl CaptureClock {
    pub(crate) fn new(session: SessionId, anchor: ClockAnchor, counters: Arc<Counters>) -> Self {
        let clock = Mutex::new(SourceClock::new(anchor));
        Self { session, clock, is_absurdity_logged: AtomicBool::new(false), counters }
    }

    /// When something was captured that a caller has stamped and pushed.
    pub(crate) fn capture_time(
        &self,
        what: Stamped,
        stamp: UnixMillis,
        pushed: Instant,
    ) -> Instant {
        let dated = {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.capture_time(what, stamp, pushed)
        };
        self.counters.count_stamp(dated.by == DatedBy::Stamp);
        if dated.by == DatedBy::PushAsStampIsAbsurd && !self.is_absurdity_logged.swap(true, Relaxed)
        {
            tracing::warn!(
                session = %self.session, stamp = stamp.0, now = UnixMillis::now().0,
                "stamps are no Unix time in milliseconds, or of a clock that is far off: what carries them is dated by \
                 when it is pushed"
            );
        }
        dated.at
    }
}
