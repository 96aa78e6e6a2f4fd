//! The network path of one peer: which there is, whether media may go there, and what becomes of ICE.

pub(crate) mod candidates;
mod checks;
pub(super) mod credentials;

use std::time::{Duration, Instant};

use str0m::ice::IceCreds;
use str0m::{Candidate, IceConnectionState, Rtc};

use self::candidates::{RemoteCandidates, Verdict};
pub(crate) use self::checks::Checks;
use super::close_reason::CloseReason;
use crate::deadline::{Deadline, DeadlineReason};
use crate::entropy;
use crate::sdp::NegotiateError;
use crate::transport::Route;

/// How long ICE may be without a working path before the peer counts as gone. It comes on top of the
/// time ICE itself takes to notice (RFC 7675 consent), and leaves room for an ICE restart.
const VANISH_GRACE: Duration = Duration::from_secs(10);

/// The network path of one peer.
#[derive(Debug)]
pub(crate) struct Path {
    phase: Phase,
    /// Where media goes: the pair ICE has nominated, or one that will do until it has.
    route: Option<Route>,
    /// It stays there, wherever str0m sends its own.
    is_held: bool,
    ice: IceConnectionState,
    restart: IceRestart,
    /// Media flows again after it did not.
    resumed: bool,
    checks: Checks,
    candidates: RemoteCandidates,
    /// Candidates of its offers that were too many, until they are counted.
    refused_candidates: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// ICE and DTLS are at work; until then it must be done.
    Connecting {
        until: Instant,
    },
    Connected,
    /// ICE has no working path; until then it must have found one.
    Disconnected {
        until: Instant,
    },
}

/// Where an ICE restart is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IceRestart {
    None,
    /// No path is known to work.
    Searching,
    /// One works; the viewer has not nominated it yet.
    Found,
    /// The same, and a keyframe was asked for.
    KeyframeRequested,
}

/// What a change of ICE's state leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IceChange {
    /// An ICE restart is through, and the viewer has been without a picture.
    pub(super) restarted: bool,
    /// A path was found again after it was lost.
    pub(super) resumed: bool,
}

impl Path {
    /// Before anything was received. `candidates` are those of the first offer, of which so many were `refused`.
    pub(super) fn new(
        checks: Checks,
        (candidates, refused): (RemoteCandidates, u64),
        now: Instant,
    ) -> Self {
        Self {
            phase: Phase::Connecting { until: now },
            route: None,
            is_held: false,
            ice: IceConnectionState::New,
            restart: IceRestart::None,
            resumed: false,
            checks,
            candidates,
            refused_candidates: refused,
        }
    }

    pub(super) fn checks(&self) -> &Checks {
        &self.checks
    }

    pub(super) fn checks_mut(&mut self) -> &mut Checks {
        &mut self.checks
    }

    pub(super) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    pub(super) fn never_connected(&self) -> bool {
        matches!(self.phase, Phase::Connecting { .. })
    }

    pub(super) fn start_connecting(&mut self, until: Instant) {
        self.phase = Phase::Connecting { until };
    }

    pub(super) fn connected(&mut self) {
        self.phase = Phase::Connected;
    }

    /// Why the peer is given up, where it is time.
    pub(super) fn overdue(&self, now: Instant) -> Option<CloseReason> {
        match self.phase {
            Phase::Connecting { until } if until <= now => Some(CloseReason::ConnectTimeout),
            Phase::Disconnected { until } if until <= now => Some(CloseReason::Vanished),
            _ => None,
        }
    }

    /// When the peer is given up, unless something changes.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let (at, reason) = match self.phase {
            Phase::Connecting { until } => (until, DeadlineReason::ConnectTimeout),
            Phase::Disconnected { until } => (until, DeadlineReason::PathTimeout),
            Phase::Connected => return None,
        };
        Some(Deadline { at, reason })
    }

    /// Where media goes, once there is such a place.
    pub(super) fn route(&self) -> Option<&Route> {
        self.route.as_ref()
    }

    /// Whether what str0m wants sent may leave. Checks go to whatever address a peer names; anything else only to
    /// where it has answered one (RFC 7675 §5.1), and media goes there too.
    pub(super) fn admit(&mut self, route: &Route, datagram: &[u8], now: Instant) -> bool {
        if is_stun(datagram) {
            return true;
        }
        let consents = self.checks.consents(route.remote(), now);
        if consents && !self.is_held {
            self.route = Some(*route);
        }
        consents
    }

    /// Follows ICE.
    pub(super) fn ice_changed(&mut self, state: IceConnectionState, now: Instant) -> IceChange {
        use IceConnectionState::{Checking, Completed, Connected, Disconnected};
        self.ice = state;
        let mut restarted = false;
        if state != Checking {
            restarted = matches!(self.restart, IceRestart::Searching | IceRestart::Found);
            self.restart = IceRestart::None;
            self.is_held = false;
        } else if !self.never_connected() {
            self.restart = IceRestart::Searching;
        }
        let resumed = match (self.phase, state) {
            (Phase::Connected, Disconnected) => {
                self.disconnect(now);
                false
            }
            (Phase::Disconnected { .. }, Connected | Completed) => {
                self.phase = Phase::Connected;
                true
            }
            _ => false,
        };
        IceChange { restarted, resumed }
    }

    /// A check of ours that went this way was answered.
    pub(super) fn check_succeeded(&mut self, route: Route) {
        // Any valid pair will do until one is nominated (RFC 8445 §12.1.1): a browser whose old path looks
        // alive to it takes seconds over that, and str0m would send to the old one until then.
        if self.restart == IceRestart::Searching {
            self.route = Some(route);
            self.is_held = true;
            self.restart = IceRestart::Found;
        }
    }

    /// Stops sending where the viewer has not answered a check for the time that consent lasts (RFC 7675
    /// §5.1), whatever ICE thinks of the path: it holds one for good that checks come from, and keeps the
    /// last one after a restart. Gives the moment to look again.
    pub(super) fn enforce_consent(&mut self, now: Instant) -> Option<Deadline> {
        let remote = self.route.as_ref()?.remote();
        let Some(until) = self.checks.consent(remote).filter(|until| now < *until) else {
            self.route = None;
            self.is_held = false;
            if self.phase == Phase::Connected {
                self.disconnect(now);
            }
            return None;
        };
        // It consents again, and ICE had not noticed that it did not; or a restart has found a path.
        let found = matches!(self.restart, IceRestart::Found | IceRestart::KeyframeRequested);
        if (found || self.ice.is_connected()) && matches!(self.phase, Phase::Disconnected { .. }) {
            self.phase = Phase::Connected;
            self.resumed = true;
        }
        Some(Deadline { at: until, reason: DeadlineReason::Consent })
    }

    fn disconnect(&mut self, now: Instant) {
        self.phase = Phase::Disconnected { until: now + VANISH_GRACE };
    }

    /// Whether a restart has found a path since the last call.
    pub(super) fn take_found(&mut self) -> bool {
        let found = self.restart == IceRestart::Found;
        if found {
            self.restart = IceRestart::KeyframeRequested;
        }
        found
    }

    /// Whether media flows again, after it did not, since the last call.
    pub(super) fn take_resumed(&mut self) -> bool {
        std::mem::take(&mut self.resumed)
    }

    /// Whether ICE is to know a candidate.
    pub(super) fn admit_candidate(&mut self, candidate: &Candidate) -> Verdict {
        self.candidates.admit(candidate)
    }

    /// Candidates that were left out of offers since the last call.
    pub(super) fn take_refused_candidates(&mut self) -> u64 {
        std::mem::take(&mut self.refused_candidates)
    }

    /// Has a later offer accepted, which may restart ICE, and gives the answer with our credentials. `accept` gets
    /// the offer without candidates that are too much.
    pub(super) fn renegotiate(
        &mut self,
        rtc: &mut Rtc,
        offer: &str,
        accept: impl FnOnce(&mut Rtc, &str) -> Result<String, NegotiateError>,
    ) -> Result<String, NegotiateError> {
        let remote = credentials::of(offer);
        let known = self.candidates.clone();
        if remote.as_ref() != Some(self.checks.remote()) {
            self.candidates.restart();
        }
        let (inner, refused) = self.candidates.filter(offer);
        self.refused_candidates += refused;
        let answer = accept(rtc, &inner);
        let local = rtc.direct_api().local_ice_credentials();
        if local != *self.checks.local() {
            self.restart_ice(rtc, local, remote);
        } else if answer.is_err() {
            self.candidates = known;
        }
        Ok(credentials::put(&answer?, self.checks.local()))
    }

    /// ICE begins anew, with credentials that str0m has drawn.
    fn restart_ice(&mut self, rtc: &mut Rtc, mut local: IceCreds, remote: Option<IceCreds>) {
        let own = entropy::named_media_loop(&self.checks.local().ufrag).unwrap_or_default();
        if let Some(drawn) = entropy::ice_credentials(own) {
            rtc.direct_api().set_local_ice_credentials(drawn.clone());
            local = drawn;
        }
        let remote = remote.unwrap_or_else(|| self.checks.remote().clone());
        self.checks.restart(local, remote);
        // Not only by the state of ICE: where it was checking before, it still is.
        self.restart = IceRestart::Searching;
    }
}

/// Has str0m send something to the pair that ICE has nominated. It does not say which one that is, and media goes
/// there too: what it sends is noted and thrown away. `ssrc` is that of a stream of ours.
pub(super) fn probe_nominated_pair(rtc: &mut Rtc, ssrc: u32) {
    rtc.direct_api().send_pli_feedback(ssrc.into(), ssrc.into());
}

/// By the first byte (RFC 7983 §7).
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first <= 3)
}
