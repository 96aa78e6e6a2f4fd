//! What the headers of all packets of one frame carry.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use visavis_types::PlayoutDelay;

pub(super) const PLAYOUT_DELAY_BYTES: usize = 3;
pub(super) const CAPTURE_TIME_BYTES: usize = 8;

/// From 1900 to 1970.
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;

/// What the headers of all packets of one frame carry, for every viewer: all of them, because packets of one frame must
/// be equal in size to leave as one GSO send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameStamp {
    pub(crate) rtp_time: u32,
    /// When it was captured.
    pub(crate) captured: Instant,
    /// The same by the wall clock, as the extension has it, where packets are to carry it.
    pub(super) capture_time: Option<[u8; CAPTURE_TIME_BYTES]>,
    /// How long it may be held back. Left out, browsers would wait for some 150 ms.
    pub(super) playout_delay: Option<[u8; PLAYOUT_DELAY_BYTES]>,
}

impl FrameStamp {
    /// A stamp without extensions.
    pub(crate) fn new(rtp_time: u32, captured: Instant) -> Self {
        Self { rtp_time, captured, capture_time: None, playout_delay: None }
    }

    /// A stamp of a picture. All that viewers have in common is written here, once.
    pub(crate) fn picture(
        rtp_time: u32,
        captured: Instant,
        capture_time: Option<SystemTime>,
        delay: PlayoutDelay,
    ) -> Self {
        Self {
            rtp_time,
            captured,
            capture_time: capture_time.map(|time| ntp(time).to_be_bytes()),
            playout_delay: Some(playout_delay(delay)),
        }
    }

    /// With another RTP time, by so many ticks later. Receivers reckon from a capture time by RTP time: what the packets
    /// carry is the moment of the RTP time they have, so that those of later frames come out right.
    #[cold]
    pub(crate) fn shifted(&self, ticks: u32, clock_hz: u32) -> Self {
        let later = (u64::from(ticks) << 32) / u64::from(clock_hz.max(1));
        let shift = |time| u64::from_be_bytes(time).wrapping_add(later).to_be_bytes();
        let rtp_time = self.rtp_time.wrapping_add(ticks);
        Self { rtp_time, capture_time: self.capture_time.map(shift), ..*self }
    }

    /// Whether its packets carry their capture time.
    #[cfg(test)]
    pub(crate) fn has_capture_time(&self) -> bool {
        self.capture_time.is_some()
    }
}

/// Twelve bits each, in steps of 10 ms.
fn playout_delay(delay: PlayoutDelay) -> [u8; PLAYOUT_DELAY_BYTES] {
    let steps = |duration: std::time::Duration| (duration.as_millis() / 10).min(0xfff) as u32;
    let [_, bytes @ ..] = (steps(delay.min) << 12 | steps(delay.max)).to_be_bytes();
    bytes
}

/// Seconds since 1900 as 32.32 fixed point (RFC 3550 §4).
pub(super) fn ntp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    since.as_secs().wrapping_add(NTP_TO_UNIX_SECONDS) << 32 | fraction
}
