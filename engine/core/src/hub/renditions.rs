//! Who gets which rendition.

use std::time::Instant;

use visavis_types::{PeerId, RenditionSet};

use super::Hub;
use crate::rendition::{KeyframeReason, Needs, ViewerLimit, choose};
use crate::session_key::SessionKey;

impl Hub {
    /// What there is of a session's pictures, where that is not the lowest rung of each codec. Viewers change to
    /// what is best for them at the next keyframe of that, which is asked for; until then, what they get goes on.
    ///
    /// To be called by the driver of the hub when rungs are added or taken away. Without a call there is the lowest rung of
    /// each codec.
    pub fn set_renditions(&mut self, session: SessionKey, there: RenditionSet, now: Instant) {
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return;
        };
        state.there = there;
        for key in state.peers.clone() {
            self.choose_rendition(key, now);
        }
        self.update_active(session);
    }

    /// The most that a viewer is to get from now on; an unknown one is ignored.
    ///
    /// To be called by the driver of the hub with what a viewer's network is estimated to carry, or what the viewer asks
    /// for. Without a call a viewer gets the best there is.
    pub fn limit_viewer(&mut self, id: PeerId, limit: ViewerLimit, now: Instant) {
        if let Some(&key) = self.peer_by_id.get(&id)
            && let Some(peer) = self.peers.get_mut(key)
        {
            peer.limit = limit;
            let session = peer.session_key;
            self.choose_rendition(key, now);
            self.update_active(session);
        }
    }

    /// Finds out what a peer gets.
    pub(super) fn choose_rendition(&mut self, key: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if let Some(state) = self.sessions.get(peer.session_key.index())
            && let Some(codec) = peer.video_codec()
        {
            let needs = Needs { codec, limit: peer.limit };
            let is_changing = peer.select(choose(state.number, state.there, needs));
            // Who joins asks when it has joined.
            if is_changing && peer.is_connected() {
                self.ask_for_keyframe(key, KeyframeReason::RenditionChange, now);
            }
        }
    }
}
