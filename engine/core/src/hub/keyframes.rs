//! Who gets a keyframe, and when.

use std::time::Instant;

use visavis_types::{Refusal, VideoCodec};

use super::Hub;
use super::event::HubEvent;
use crate::keyframe::Request;
use crate::session_key::SessionKey;

impl Hub {
    /// A peer asks for a keyframe: one of as many as it may have.
    pub(super) fn want_keyframe(&mut self, key: usize, now: Instant) {
        let last_sent = self.last_keyframe(key);
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        match peer.keyframes.request(now, last_sent) {
            Request::Ask => self.ask_for_keyframe(key, now),
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
                self.ask_for_keyframe(key, now);
            }
        }
    }

    pub(super) fn last_keyframe(&mut self, key: usize) -> Option<Instant> {
        let peer = self.peers.get(key)?;
        let (session, codec) = (peer.session_key, peer.video_codec()?);
        self.sessions.get_mut(session.index())?.keyframes(codec).last_sent()
    }

    pub(super) fn ask_for_keyframe(&mut self, key: usize, now: Instant) {
        let Some(peer) = self.peers.get(key) else {
            return;
        };
        let (session, Some(codec)) = (peer.session_key, peer.video_codec()) else {
            return;
        };
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return;
        };
        state.keyframes(codec).request();
        if !self.grant_keyframe(session, codec, now)
            && !self.waiting_keyframes.contains(&(session, codec))
        {
            self.waiting_keyframes.push((session, codec));
        }
    }

    pub(super) fn is_keyframe_wanted(&mut self, session: SessionKey, codec: VideoCodec) -> bool {
        self.sessions.get_mut(session.index()).is_some_and(|s| s.keyframes(codec).is_pending())
    }

    pub(super) fn grant_keyframe(
        &mut self,
        session: SessionKey,
        codec: VideoCodec,
        now: Instant,
    ) -> bool {
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return true;
        };
        let granted = state.keyframes(codec).grant(now);
        if granted {
            self.events.push_back(HubEvent::KeyframeWanted { session, codec });
        }
        granted
    }
}
