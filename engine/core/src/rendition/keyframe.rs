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

/// Why a keyframe is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyframeReason {
    /// A viewer has joined.
    Joined,
    /// A viewer has asked for one, or has lost what cannot be sent again.
    ViewerRequest,
    /// A viewer changes to the rendition.
    RenditionChange,
    /// Live pictures follow, or are to follow, others that went out as the same rendition: all viewers wait, and
    /// whatever else is encoded is of use to nobody.
    Splice,
}

impl KeyframeReason {
    /// A stable name for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::ViewerRequest => "viewer-request",
            Self::RenditionChange => "rendition-change",
            Self::Splice => "splice",
        }
    }

    /// Whether it waits for its time after the keyframe before. What viewers need may be needed by many of them at
    /// once, and again at once; a splice comes once for all.
    const fn is_coalesced(self) -> bool {
        match self {
            Self::Joined | Self::ViewerRequest | Self::RenditionChange => true,
            Self::Splice => false,
        }
    }
}

/// Decides when one rendition makes a keyframe, on one media loop. All requests come here, those of viewers, which are
/// coalesced, and those of the splice.
#[derive(Debug, Default)]
pub(crate) struct KeyframePolicy {
    last_granted: Option<Instant>,
    last_sent: Option<Instant>,
    pending: bool,
}

impl KeyframePolicy {
    /// A keyframe is needed. True where the encoder should make one now; otherwise the request waits, if one is not
    /// waiting already, to be [granted](Self::grant) later.
    pub(crate) fn request(&mut self, reason: KeyframeReason, now: Instant) -> bool {
        self.pending = true;
        if !reason.is_coalesced() {
            self.last_granted = None;
        }
        self.grant(now)
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

    /// Whether the encoder should make a keyframe now for a request that waits. True once per coalesced request.
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

    /// The viewer needs a keyframe, and waits for its turn to ask.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.waiting.get_or_insert(now);
    }

    /// When the one that waits may be passed on.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.map(|since| self.limit.next().unwrap_or(since))
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
        policy.sent(start);
        assert!(!policy.request(KeyframeReason::ViewerRequest, start));
        policy.sent(start);
        assert!(!policy.is_pending() && !policy.grant(start + MIN_DISTANCE));
        assert!(policy.request(KeyframeReason::ViewerRequest, start + MIN_DISTANCE));
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
        let request = |policy: &mut KeyframePolicy| policy.request(KeyframeReason::Joined, start);
        assert!(request(&mut policy));
        assert!((0..99).all(|_| !request(&mut policy)));
        assert!(!policy.grant(start + MIN_DISTANCE / 2));
        assert_eq!(policy.due(), Some(start + MIN_DISTANCE));
        assert!(policy.grant(start + MIN_DISTANCE));
        assert_eq!(policy.due(), None);
    }

    #[test]
    fn what_viewers_need_waits_for_its_time_and_a_splice_does_not() {
        use KeyframeReason::{Joined, RenditionChange, Splice, ViewerRequest};
        /// What happens, in ms after the start; and whether the encoder makes a keyframe at once.
        #[derive(Debug, Clone, Copy)]
        enum Step {
            Request(u64, KeyframeReason, bool),
            Sent(u64),
            /// What waits is looked at again.
            Grant(u64, bool),
            /// When that is to be.
            Due(Option<u64>),
        }
        use Step::{Due, Grant, Request, Sent};
        const TABLE: [(&str, &[Step]); 9] = [
            ("nothing was before", &[Request(0, Joined, true), Due(None)]),
            (
                "just after one that is being made",
                &[
                    Request(0, Joined, true),
                    Request(10, ViewerRequest, false),
                    Due(Some(250)),
                    Grant(249, false),
                    Grant(250, true),
                    Due(None),
                ],
            ),
            (
                "the one that is being made is for all who asked meanwhile",
                &[
                    Request(0, Joined, true),
                    Request(10, RenditionChange, false),
                    Sent(30),
                    Due(None),
                    Grant(250, false),
                ],
            ),
            (
                "from the last that went out, whoever asked for it",
                &[Sent(0), Request(100, RenditionChange, false), Due(Some(250)), Grant(250, true)],
            ),
            ("live pictures begin", &[Request(0, Splice, true)]),
            (
                "live pictures begin just after a keyframe of the idle loop",
                &[Sent(0), Request(1, Splice, true), Due(None)],
            ),
            (
                "just after one was granted, which may have been of the pictures before",
                &[
                    Request(0, ViewerRequest, true),
                    Request(1, Splice, true),
                    Request(2, Splice, true),
                ],
            ),
            (
                "a splice takes along what waits",
                &[
                    Sent(0),
                    Request(10, ViewerRequest, false),
                    Request(20, Splice, true),
                    Due(None),
                    Grant(250, false),
                ],
            ),
            (
                "viewers wait after a splice as after any other",
                &[
                    Request(0, Splice, true),
                    Request(10, Joined, false),
                    Due(Some(250)),
                    Sent(33),
                    Request(40, ViewerRequest, false),
                    Due(Some(283)),
                ],
            ),
        ];
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (name, steps) in TABLE {
            let mut policy = KeyframePolicy::default();
            for &step in steps {
                match step {
                    Request(ms, reason, now) => {
                        assert_eq!(policy.request(reason, at(ms)), now, "{name}: {step:?}");
                    }
                    Sent(ms) => policy.sent(at(ms)),
                    Grant(ms, now) => assert_eq!(policy.grant(at(ms)), now, "{name}: {step:?}"),
                    Due(ms) => assert_eq!(policy.due(), ms.map(at), "{name}: {step:?}"),
                }
            }
        }
    }
}
