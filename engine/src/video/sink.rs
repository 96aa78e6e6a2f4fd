use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use visavis_types::{ClockAnchor, Stamps, UnixMillis, VideoFrame, VideoFrameError};

use super::mailbox::{FrameInfo, Put};
use crate::PushOutcome;
use crate::shared::SessionShared;

/// Timestamps further than this from now are not believed; the frame then counts as captured when
/// pushed. It is far more than any renderer lags, and keeps RTP time sane.
const CREDIBLE: Duration = Duration::from_secs(10);

/// Takes raw video. Never blocks; the newest frame wins. Clone it to push from several threads.
#[derive(Debug, Clone)]
pub struct VideoSink {
    shared: Arc<SessionShared>,
}

impl VideoSink {
    pub(crate) fn new(shared: Arc<SessionShared>) -> Self {
        Self { shared }
    }

    /// Copies a frame into the mailbox and returns: some 0.1 ms for 512×512 RGBA.
    ///
    /// # Errors
    ///
    /// A frame whose size or length is unusable is refused; what was pushed before is unaffected.
    pub fn push(&self, frame: &VideoFrame<'_>) -> Result<PushOutcome, VideoFrameError> {
        let size = frame.validate()?;
        let shared = &self.shared;
        if shared.config.encoded.is_some() {
            return Err(VideoFrameError::EncodedSession);
        }
        let pushed = Instant::now();
        let pushed_unix = UnixMillis::now();
        shared.counters.note_frame(pushed, pushed_unix);
        if !shared.is_started() {
            return Ok(PushOutcome::NotStarted);
        }
        let interval_ms = 1_000 / u64::from(shared.config.fps.max(1));
        if pushed_unix.0.saturating_sub(frame.timestamp.0) > interval_ms * 3 / 2 {
            shared.counters.late_frames.fetch_add(1, Relaxed);
        }
        let info = FrameInfo {
            size,
            format: frame.format,
            captured: capture_time(&shared.clock, frame.timestamp, pushed),
            stamps: Stamps::pushed(pushed),
        };
        if shared.mailbox.put(frame.data, info) != Put::Waiting {
            shared.counters.replaced_frames.fetch_add(1, Relaxed);
        }
        shared.wake_encoder();
        Ok(PushOutcome::Accepted)
    }
}

/// Places a caller's timestamp on the monotonic clock.
pub(crate) fn capture_time(clock: &ClockAnchor, timestamp: UnixMillis, pushed: Instant) -> Instant {
    let credible = |at: &Instant| {
        let distance =
            at.saturating_duration_since(pushed).max(pushed.saturating_duration_since(*at));
        distance <= CREDIBLE
    };
    clock.to_instant(timestamp).filter(credible).unwrap_or(pushed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incredible_timestamps_mean_now() {
        let clock = ClockAnchor::now();
        let now = Instant::now();
        for stamp in [0, 1_000, u64::MAX / 4, u64::MAX] {
            assert_eq!(capture_time(&clock, UnixMillis(stamp), now), now);
        }
        let recent = UnixMillis(UnixMillis::now().0 - 500);
        let captured = capture_time(&clock, recent, now);
        let age = now.duration_since(captured);
        assert!(
            age >= Duration::from_millis(490) && age <= Duration::from_millis(1_500),
            "{age:?}"
        );
    }
}
