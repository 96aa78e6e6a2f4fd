//! Which way a peer's media goes, and whether it may.

use std::time::Instant;

use str0m::IceConnectionState;

use super::{Peer, Phase, VANISH_GRACE};
use crate::transport::Route;

/// Where an ICE restart is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IceRestart {
    None,
    /// No path is known to work.
    Searching,
    /// One works; the viewer has not nominated it yet.
    Found,
    /// The same, and a keyframe was asked for.
    Told,
}

impl Peer {
    /// A check of ours that went this way was answered.
    pub(super) fn answered(&mut self, route: Route) {
        // Any valid pair will do until one is nominated (RFC 8445 §12.1.1): a browser whose old path looks
        // alive to it takes seconds over that, and str0m would send to the old one until then.
        if self.restart == IceRestart::Searching {
            self.output.use_path(route);
            self.restart = IceRestart::Found;
        }
    }

    /// Stops sending where the viewer has not answered a check for the time that consent lasts (RFC 7675
    /// §5.1), whatever ICE thinks of the path: it holds one for good that checks come from, and keeps the
    /// last one after a restart. Gives the moment to look again.
    pub(super) fn mind_consent(&mut self, now: Instant) -> Option<Instant> {
        let remote = self.output.remote()?;
        let Some(until) = self.checks.consent(remote).filter(|until| now < *until) else {
            self.output.leave_path();
            if self.phase == Phase::Connected {
                self.phase = Phase::Disconnected { until: now + VANISH_GRACE };
            }
            return None;
        };
        // It consents again, and ICE had not noticed that it did not; or a restart has found a path.
        let usable =
            self.ice.is_connected() || matches!(self.restart, IceRestart::Found | IceRestart::Told);
        if usable && matches!(self.phase, Phase::Disconnected { .. }) {
            self.phase = Phase::Connected;
            self.resumed = true;
        }
        Some(until)
    }

    /// Has str0m send something to the pair that ICE has nominated. It does not tell which one that is,
    /// and media goes there too: what it sends is noted and thrown away.
    pub(super) fn ask_for_path(&mut self) {
        if let Some(track) =
            &self.output.tracks.video.as_ref().or(self.output.tracks.audio.as_ref())
        {
            let ssrc = track.ssrc().into();
            self.rtc.direct_api().send_pli_feedback(ssrc, ssrc);
        }
    }
}

/// Follows ICE. True when a path was found again after it was lost.
pub(super) fn ice_changed(phase: &mut Phase, state: IceConnectionState, now: Instant) -> bool {
    match (*phase, state) {
        (Phase::Connected, IceConnectionState::Disconnected) => {
            *phase = Phase::Disconnected { until: now + VANISH_GRACE };
            false
        }
        (
            Phase::Disconnected { .. },
            IceConnectionState::Connected | IceConnectionState::Completed,
        ) => {
            *phase = Phase::Connected;
            true
        }
        _ => false,
    }
}
