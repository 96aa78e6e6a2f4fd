//! Who gets a keyframe, and when.

use std::time::Instant;

use visavis_types::{Refusal, RenditionId};

use super::Hub;
use super::event::HubEvent;
use crate::rendition::{KeyframeReason, Request};
use crate::session_key::SessionKey;

impl Hub {
    /// Whoever drives the hub needs a keyframe of a rendition, for another reason than its viewers'. True where the
    /// encoder should make one now, as where [`HubEvent::KeyframeWanted`] comes of what viewers need; false where that
    /// event will come, or there is no such session.
    #[must_use]
    pub fn request_keyframe(
        &mut self,
        session: SessionKey,
        rendition: RenditionId,
        reason: KeyframeReason,
        now: Instant,
    ) -> bool {
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return false;
        };
        let keyframes = &mut state.renditions.entry(rendition).keyframes;
        let granted = keyframes.request(reason, now);
        let reason = reason.name();
        tracing::debug!(session = %state.id, %rendition, reason, granted, "keyframe requested");
        let waiting = (session, rendition);
        if !granted && !self.waiting_keyframes.contains(&waiting) {
            self.waiting_keyframes.push(waiting);
        }
        granted
    }

    /// A peer asks for a keyframe: one of as many as it may have.
    pub(super) fn want_keyframe(&mut self, key: usize, now: Instant) {
        let last_sent = self.last_keyframe(key);
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.pictures().note_keyframe_request();
        match peer.keyframes.request(now, last_sent) {
            Request::Ask => self.ask_for_keyframe(key, KeyframeReason::ViewerRequest, now),
            Request::Asked => {}
            Request::Wait => self.refusals.count(Refusal::Keyframe),
        }
    }

    /// Passes on the request of a peer that had to wait, once it is time.
    pub(super) fn pass_on_keyframe_request(&mut self, key: usize, now: Instant) {
        let due = self.peers.get(key).and_then(|peer| peer.keyframes.due());
        if due.is_some_and(|due| due <= now) {
            let last_sent = self.last_keyframe(key);
            let passed = self.peers.get_mut(key).map(|peer| peer.keyframes.pass_on(now, last_sent));
            if passed == Some(true) {
                self.ask_for_keyframe(key, KeyframeReason::ViewerRequest, now);
            }
        }
    }

    pub(super) fn last_keyframe(&self, key: usize) -> Option<Instant> {
        let peer = self.peers.get(key)?;
        let (session, rendition) = (peer.session_key, peer.rendition()?);
        self.sessions.get(session.index())?.renditions.get(rendition)?.keyframes.last_sent()
    }

    /// A peer needs a keyframe of its rendition.
    pub(super) fn ask_for_keyframe(&mut self, key: usize, reason: KeyframeReason, now: Instant) {
        let Some(peer) = self.peers.get(key) else {
            return;
        };
        if let (session, Some(rendition)) = (peer.session_key, peer.rendition())
            && self.request_keyframe(session, rendition, reason, now)
        {
            self.events.push_back(HubEvent::KeyframeWanted { session, rendition });
        }
    }

    pub(super) fn is_keyframe_wanted(&self, session: SessionKey, rendition: RenditionId) -> bool {
        let state = self.sessions.get(session.index());
        let rendition = state.and_then(|state| state.renditions.get(rendition));
        rendition.is_some_and(|rendition| rendition.keyframes.is_pending())
    }

    /// Grants a request that waits, if it is time.
    pub(super) fn grant_keyframe(
        &mut self,
        session: SessionKey,
        rendition: RenditionId,
        now: Instant,
    ) -> bool {
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return true;
        };
        let granted = state.renditions.entry(rendition).keyframes.grant(now);
        if granted {
            self.events.push_back(HubEvent::KeyframeWanted { session, rendition });
        }
        granted
    }
}
