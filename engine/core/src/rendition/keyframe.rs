//! When a rendition makes a keyframe.

use std::time::{Duration, Instant};

use crate::rate::RateLimit;

/// Keyframes of one rendition keep at least this distance, however many viewers ask.
///
/// A keyframe is many times the size of other frames, and every viewer gets it. A viewer that joins
/// just after one waits this long at most.
const MIN_DISTANCE: Duration = Duration::from_millis(250);

/// Requests of one viewer. A viewer whose network is weak loses keyframes like anything else, and asks for
/// another with each: everybody in its rendition pays for those. At 2 Mbit/s a keyframe is some 35 KB, so
/// that one each five seconds adds 3 %.
const REQUESTS: RateLimit = RateLimit::new(Duration::from_secs(5), 4);

/// A request that comes again before the keyframe is the same request, for as long as an encoder may take.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Coalesces the keyframe requests of all viewers of one rendition.
#[derive(Debug, Default)]
pub(crate) struct KeyframePolicy {
    last_granted: Option<Instant>,
    last_sent: Option<Instant>,
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
        self.last_sent = Some(now);
    }

    /// When the last keyframe went out.
    pub(crate) fn last_sent(&self) -> Option<Instant> {
        self.last_sent
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

/// Holds the requests of one viewer back that are too many. One waits for its time, unless a keyframe goes
/// out before.
#[derive(Debug)]
pub(crate) struct KeyframeRequests {
    limit: RateLimit,
    /// When the last one was passed on.
    asked: Option<Instant>,
    /// Since when one waits.
    waiting: Option<Instant>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// It is passed on.
    Ask,
    /// It was passed on before.
    Asked,
    /// It waits.
    Wait,
}

impl Default for KeyframeRequests {
    fn default() -> Self {
        Self { limit: REQUESTS, asked: None, waiting: None }
    }
}

impl KeyframeRequests {
    /// The viewer needs a keyframe; the last one was sent then.
    pub(crate) fn request(&mut self, now: Instant, last_sent: Option<Instant>) -> Request {
        let asked = self
            .asked
            .is_some_and(|at| now < at + SAME_REQUEST && last_sent.is_none_or(|sent| sent < at));
        if asked {
            return Request::Asked;
        }
        if !self.limit.take(now) {
            self.waiting = Some(now);
            return Request::Wait;
        }
        (self.asked, self.waiting) = (Some(now), None);
        Request::Ask
    }

    /// When the one that waits may be passed on.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.and_then(|_| self.limit.next())
    }

    /// Whether the one that waits is to be passed on now.
    pub(crate) fn pass_on(&mut self, now: Instant, last_sent: Option<Instant>) -> bool {
        let Some(since) = self.waiting else { return false };
        if last_sent.is_some_and(|sent| sent >= since) {
            self.waiting = None;
            return false;
        }
        let passed = self.limit.take(now);
        if passed {
            (self.asked, self.waiting) = (Some(now), None);
        }
        passed
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
    fn a_viewer_that_asks_without_end_gets_a_keyframe_each_five_seconds() {
        let (mut requests, start) = (KeyframeRequests::default(), Instant::now());
        let (mut asked, mut last_sent) = (0, None);
        for ms in 0..100_000 {
            let now = start + Duration::from_millis(ms);
            let passed = requests.pass_on(now, last_sent);
            if passed || requests.request(now, last_sent) == Request::Ask {
                asked += 1;
                last_sent = Some(now + Duration::from_millis(20));
            }
        }
        assert_eq!(asked, 4 + 19);
    }

    #[test]
    fn a_keyframe_for_somebody_else_is_one_for_whoever_waits() {
        let (mut requests, start) = (KeyframeRequests::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for n in 0..4 {
            assert_eq!(requests.request(at(n * 10), Some(at(n * 10))), Request::Ask);
        }
        assert_eq!(requests.request(at(50), Some(at(50))), Request::Wait);
        assert_eq!(requests.due(), Some(at(5_000)));
        assert!(!requests.pass_on(at(5_000), Some(at(60))));
        assert_eq!(requests.due(), None);
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
