//! What goes with every push.

use visavis::session::PushOutcome;
use visavis::units::UnixMillis;

/// What became of a push, as Python has it.
pub(crate) fn named(outcome: PushOutcome) -> &'static str {
    match outcome {
        PushOutcome::Accepted => "accepted",
        PushOutcome::NotStarted => "not-started",
        PushOutcome::Stopped => "stopped",
        PushOutcome::DroppedOldest(_) => "dropped-oldest",
        PushOutcome::Full => "full",
        // `Dropped`, and what a newer engine may say.
        _ => "dropped",
    }
}

/// A stamp, or now.
pub(crate) fn stamp(timestamp_ms: Option<u64>) -> UnixMillis {
    timestamp_ms.map_or_else(UnixMillis::now, UnixMillis)
}
