use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sound may be pushed this much before its timestamp and still be sent at once, ahead of the picture of
/// the same moment. Receivers keep sound in a jitter buffer and show pictures when they come; a source
/// that knows the future can make up for that.
pub const MAX_SOUND_LEAD: Duration = Duration::from_millis(60);

/// Sound that is sent so much before the picture of the same moment comes out of a browser with it: the
/// difference between what Chromium's buffers take for a steady stream of sound and for pictures without a
/// playout delay (measured by `visavis-bench sync`). Utterances are sent so. Whoever pushes live and has the
/// sound first does well to push it some 32 ms before its timestamp: of sound that comes with the jitter of
/// threads a browser keeps more.
pub const SOUND_LEAD: Duration = Duration::from_millis(27);

/// How long receivers may hold a picture back before they show it: the playout-delay header extension,
/// which counts in steps of 10 ms up to 40.95 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// They hold it at least this long.
    pub min: Duration,
    /// They hold it at most this long, whatever their jitter buffer or late sound would ask for.
    pub max: Duration,
}

impl PlayoutDelay {
    /// Every picture is shown when it comes: for faces that are talked with.
    pub const NONE: Self = Self { min: Duration::ZERO, max: Duration::ZERO };

    /// Shown when it comes, but held back for sound that is late: for films, where nobody notices the
    /// delay and everybody the lips. Half a second is the most at which Chromium still shows pictures
    /// at once while the sound is in time.
    pub const IN_SYNC: Self = Self { min: Duration::ZERO, max: Duration::from_millis(500) };
}

/// Milliseconds since 1970-01-01 UTC: the clock callers stamp their frames with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The wall clock's reading of `time`; times before 1970 become 0.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Now, by the wall clock.
    pub fn now() -> Self {
        Self::from_system(SystemTime::now())
    }
}

/// One moment read on both clocks, so that a wall-clock stamp can be placed on the monotonic one.
///
/// Media time is monotonic inside the engine; the wall clock appears only where the outside world
/// speaks it: in callers' timestamps, in RTCP sender reports and in abs-capture-time.
#[derive(Debug, Clone, Copy)]
pub struct ClockAnchor {
    instant: Instant,
    system: SystemTime,
}

impl ClockAnchor {
    /// Ties the two clocks together at one moment.
    pub const fn new(instant: Instant, system: SystemTime) -> Self {
        Self { instant, system }
    }

    /// Reads both clocks now.
    pub fn now() -> Self {
        Self::new(Instant::now(), SystemTime::now())
    }

    /// The wall-clock time of a monotonic moment.
    pub fn to_system(&self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.instant) {
            Some(after) => self.system + after,
            None => self.system - self.instant.duration_since(at),
        }
    }

    /// The monotonic moment of a wall-clock stamp, or `None` where that moment cannot be expressed.
    /// Whether the moment is plausible is for the caller to judge.
    pub fn to_instant(&self, stamp: UnixMillis) -> Option<Instant> {
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(stamp.0))?;
        match at.duration_since(self.system) {
            Ok(after) => self.instant.checked_add(after),
            Err(before) => self.instant.checked_sub(before.duration()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchor_maps_both_ways() {
        let anchor = ClockAnchor::now();
        let later = anchor.instant + Duration::from_millis(1_500);
        let stamp = UnixMillis::from_system(anchor.to_system(later));
        let back = anchor.to_instant(stamp).unwrap();
        let error = later.duration_since(back.min(later)) + back.duration_since(later.min(back));
        assert!(error <= Duration::from_millis(1), "{error:?}");
    }

    #[test]
    fn absurd_stamps_do_not_panic() {
        for stamp in [0, 1, u64::MAX / 2, u64::MAX] {
            let _ = ClockAnchor::now().to_instant(UnixMillis(stamp));
        }
    }
}
