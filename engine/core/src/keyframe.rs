//! When a rendition makes a keyframe.

use std::time::{Duration, Instant};

/// Keyframes of one rendition keep at least this distance, however many viewers ask.
///
/// A keyframe is many times the size of other frames, and every viewer gets it. A viewer that joins
/// just after one waits this long at most.
const MIN_DISTANCE: Duration = Duration::from_millis(250);

/// Coalesces the keyframe requests of all viewers of one rendition.
#[derive(Debug, Default)]
pub(crate) struct KeyframePolicy {
    last_granted: Option<Instant>,
    pending: bool,
}

impl KeyframePolicy {
    /// A viewer needs a keyframe.
    pub(crate) fn request(&mut self) {
        self.pending = true;
    }

    /// A keyframe goes out to all viewers, whoever asked for it.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.pending = false;
        self.last_granted = Some(now);
    }

    /// Whether a request waits for its time.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending
    }

    /// When a waiting request may be granted.
    pub(crate) fn due(&self) -> Option<Instant> {
        // Without a past grant any moment will do; the caller's `now` is then late enough.
        self.pending.then(|| self.last_granted.map(|at| at + MIN_DISTANCE)).flatten()
    }

    /// Whether the encoder should make a keyframe now. True once per coalesced request.
    pub(crate) fn grant(&mut self, now: Instant) -> bool {
        let rested = self.last_granted.is_none_or(|at| now >= at + MIN_DISTANCE);
        let granted = self.pending && rested;
        if granted {
            self.pending = false;
            self.last_granted = Some(now);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_that_goes_out_anyway_answers_those_who_wait() {
        let (mut policy, start) = (KeyframePolicy::default(), Instant::now());
        policy.request();
        policy.sent(start);
        assert!(!policy.is_pending() && !policy.grant(start + MIN_DISTANCE));
        policy.request();
        assert!(!policy.grant(start + MIN_DISTANCE / 2));
        assert!(policy.grant(start + MIN_DISTANCE));
    }

    #[test]
    fn a_hundred_requests_are_one_keyframe() {
        let (mut policy, start) = (KeyframePolicy::default(), Instant::now());
        assert!(!policy.grant(start));
        (0..100).for_each(|_| policy.request());
        assert!(policy.grant(start));
        assert!(!policy.grant(start));

        policy.request();
        assert!(!policy.grant(start + MIN_DISTANCE / 2));
        assert_eq!(policy.due(), Some(start + MIN_DISTANCE));
        assert!(policy.grant(start + MIN_DISTANCE));
        assert_eq!(policy.due(), None);
    }
}
