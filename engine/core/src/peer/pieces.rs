//! In which pieces a viewer gets what others have, or a large picture.

use std::ops::Range;
use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use crate::rtp::packetize::Payloads;

/// What goes with each picture that comes meanwhile: some 8 Mbit/s at 30 of them in a second, and always more than what
/// comes.
const BYTES_AT_ONCE: usize = 32 * 1024;
const FRAMES_AT_ONCE: usize = 3;
/// What goes at once of a picture, and at most at any time of a paced one: with headers, sound and what was there before it
/// is less than 64 KiB, which is a short queue of a router.
pub(crate) const LARGE_BYTES: usize = 48 * 1024;
/// Of what the network takes: headers take some, and there is sound.
const PART: f64 = 0.85;
/// Between two pieces of a paced picture, and how large they are at least.
const PIECE_EACH: Duration = Duration::from_millis(2);
const PIECE_BYTES: usize = 8 * 1_200;
/// What was not sent by then goes without a pace: what is known of the network may be wrong.
const PACED_FOR: Duration = Duration::from_millis(300);

/// Where a viewer is that is still to get what others have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    /// The first packet of a picture, by its number in the history of its rendition.
    pub(super) next: u64,
    /// Packets of that picture that it has.
    pub(super) has: usize,
}

/// How fast it gets it, where it is not with the pictures that come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    rate: Bitrate,
    /// When the last piece was sent, and until when there is a pace.
    pub(super) since: Instant,
    pub(super) until: Instant,
}

impl Pace {
    /// From now on.
    pub(super) fn new(rate: Bitrate, now: Instant) -> Self {
        Self { rate, since: now, until: now + PACED_FOR }
    }

    /// Bytes a second.
    fn speed(&self) -> f64 {
        (PART * self.rate.bps() as f64 / 8.0).max(1.0)
    }

    pub(super) fn due(&self) -> Instant {
        let piece = Duration::from_secs_f64(PIECE_BYTES as f64 / self.speed());
        self.until.min(self.since + PIECE_EACH.max(piece))
    }
}

/// What may go at once.
pub(super) struct Budget {
    pub(super) bytes: usize,
    frames: usize,
    splits: bool,
}

impl Budget {
    /// Without a pace pictures are not torn.
    pub(super) fn of(pace: Option<Pace>, now: Instant) -> Self {
        let Some(pace) = pace else {
            return Self { bytes: BYTES_AT_ONCE, frames: FRAMES_AT_ONCE, splits: false };
        };
        let since = now.saturating_duration_since(pace.since).as_secs_f64();
        let bytes = (pace.speed() * since) as usize;
        Self { bytes: bytes.clamp(1, LARGE_BYTES), frames: 0, splits: true }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.frames == 0 && self.bytes == 0
    }

    /// Which packets of a picture go, of which the viewer `has` some.
    pub(super) fn packets(&self, payloads: &Payloads, has: usize) -> Range<usize> {
        has..if self.splits { payloads.end_of(has, self.bytes) } else { payloads.len() }
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.frames = self.frames.saturating_sub(1);
    }
}
