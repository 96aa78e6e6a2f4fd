//! From capture times to RTP times.

use std::time::{Duration, Instant};

use visavis_types::Stage;

use crate::rtp::packetize::PacketizedFrame;

/// RTP clock rate of every video codec.
const VIDEO_HZ: u64 = 90_000;

/// Capture times that go back by less than a tenth of a second are out of order, and RTP time stands almost still.
const MAX_BACK: i64 = VIDEO_HZ as i64 / 10;

/// One for all renditions of a session: one picture has one time in all of them, so that a viewer may go from one to
/// another.
#[derive(Debug)]
pub(super) struct Timeline {
    epoch: Instant,
    /// What is added to the time since the epoch.
    shift: i64,
}

impl Timeline {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch, shift: 0 }
    }

    /// Capture times as RTP has them: always later than that of the rendition's frame before, which is `last`, with
    /// the moment at which that was pushed.
    pub(super) fn rtp_time(
        &mut self,
        frame: &PacketizedFrame,
        last: &mut Option<(u64, Option<Instant>)>,
    ) -> u64 {
        let pushed = frame.stamps.get(Stage::Pushed);
        let ticks = match frame.captured.checked_duration_since(self.epoch) {
            Some(after) => ticks(after),
            None => -ticks(self.epoch - frame.captured),
        };
        let time = ticks.saturating_add(self.shift);
        let (time, shift) = match *last {
            // Frames may have been captured before the session was made.
            None => (time.max(0), (-time).max(0)),
            Some((last, last_pushed)) => {
                let last = last as i64;
                let since = pushed.zip(last_pushed);
                let since = since.map(|(now, before)| now.saturating_duration_since(before));
                if last - time > MAX_BACK {
                    // Capture times have gone back, and stay there. RTP time, which cannot, goes on as the clock
                    // does; were it to wait for them, sound and picture would be apart all the while.
                    let next = last + ticks_between(since.unwrap_or_default());
                    (next, next - time)
                } else {
                    // Two frames with one RTP time would be one frame to a receiver.
                    (time.max(last + 1), 0)
                }
            }
        };
        self.shift = self.shift.saturating_add(shift);
        *last = Some((time as u64, pushed));
        time as u64
    }
}

/// A duration by the RTP clock.
fn ticks(duration: Duration) -> i64 {
    let ticks = duration.as_nanos() * u128::from(VIDEO_HZ) / 1_000_000_000;
    i64::try_from(ticks).unwrap_or(i64::MAX / 4)
}

/// What lies between two frames: something, and no more than a second.
fn ticks_between(frames: Duration) -> i64 {
    ticks(frames).clamp(1, VIDEO_HZ as i64)
}
