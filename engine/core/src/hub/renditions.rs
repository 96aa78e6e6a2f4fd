//! Who gets which rendition.

use std::time::Instant;

use visavis_types::{Bitrate, PeerId, RenditionId, RenditionSet, Rung, VideoCodec};

use super::{Hub, HubEvent};
use crate::deadline::{Deadline, DeadlineReason};
use crate::rendition::{Capacity, KeyframeReason, Needs, RungBitrate, ViewerLimit, choose};
use crate::session_key::SessionKey;

/// An encoder that makes less than this part of what it was told has a picture that does not need it.
const ENCODED_OF_TOLD: f64 = 0.9;

impl Hub {
    /// What there is of a session's pictures, where that is not the lowest rung of each codec. Viewers change to
    /// what is best for them at the next keyframe of that, which is asked for; until then, what they get goes on.
    ///
    /// `bitrates` are what the renditions of each rung should take, whatever the codec; none where that is not known. Viewers
    /// whose networks take less get a lower rung than the highest; before that, an encoder may make less
    /// ([`HubEvent::BitrateWanted`]). That is for sessions of one viewer.
    ///
    /// To be called by the driver of the hub when rungs are added or taken away. Without a call there is the lowest rung of
    /// each codec.
    pub fn set_renditions(
        &mut self,
        session: SessionKey,
        (there, bitrates): (RenditionSet, [Option<RungBitrate>; Rung::COUNT]),
        now: Instant,
    ) {
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return;
        };
        state.there = there;
        state.renditions.expect(bitrates);
        for key in state.peers.clone() {
            self.choose_rendition(key, now);
        }
        self.update_active(session);
    }

    /// The most that a viewer is to get from now on; an unknown one is ignored.
    ///
    /// To be called by the driver of the hub with what a viewer asks for, or may have. Without a call a viewer gets the best
    /// there is that its network takes.
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

    /// What a peer has reported may mean that its network takes less than it gets, or more.
    pub(super) fn follow_network(&mut self, key: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.take_sound_changed() {
            let session = peer.session_key;
            self.update_active(session);
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.quality.resume(now) {
            self.change_rendition(key, now);
            return;
        }
        let Some(capacity) = peer.take_capacity(now) else { return };
        if peer.quality.is_best(capacity) && peer.target.less().is_none() {
            return;
        }
        let Some(state) = self.sessions.get(peer.session_key.index()) else { return };
        let Some(codec) = peer.video_codec() else { return };
        self.steps.clear();
        state.renditions.steps((state.number, codec), state.there, now, &mut self.steps);
        // Whether there is more is tried by an encoder that makes less than it may, and makes all that it was told to.
        let less = peer.target.less().map(|less| ENCODED_OF_TOLD * less);
        for step in &mut self.steps {
            step.grows &= less.is_some_and(|less| step.takes >= less);
        }
        let is_changed = peer.quality.note(capacity, &self.steps, now);
        if is_changed {
            peer.target.begin_anew();
            let limit = peer.quality.limit();
            peer.network().note_limiting(limit != ViewerLimit::default());
            let (rung, layer) = (limit.rung, limit.layer.index());
            tracing::debug!(peer = %peer.id(), %rung, layer, "what its network takes has changed");
            match peer.quality.paused_until() {
                Some(at) => {
                    peer.pause_pictures();
                    let resumes = Some(Deadline { at, reason: DeadlineReason::Quality });
                    peer.deadline = Deadline::earliest([peer.deadline, resumes]);
                    self.file_deadline(key);
                }
                None => self.change_rendition(key, now),
            }
        }
        self.follow_with_encoder(key, codec, capacity);
    }

    /// Has the encoder make what its only viewer's network takes, where it does that.
    fn follow_with_encoder(&mut self, key: usize, codec: VideoCodec, capacity: Capacity) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(state) = self.sessions.get(peer.session_key.index()) else { return };
        // The rung that it gets, or is about to.
        let limit = peer.limit.and(peer.quality.limit());
        let highest = self.steps.iter().rfind(|step| step.limit <= limit);
        let Some(rung) = highest.or(self.steps.first()).map(|step| step.limit.rung) else { return };
        let Some(range) = state.renditions.followed(rung) else { return };
        if let Some(bitrate) = peer.target.note(capacity, range) {
            let is_limiting = peer.quality.limit() != ViewerLimit::default();
            peer.network().note_limiting(is_limiting || peer.target.less().is_some());
            peer.pictures().note_bitrate(Some(bitrate));
            let rendition = RenditionId { session: state.number, codec, rung };
            let session = peer.session_key;
            self.events.push_back(HubEvent::BitrateWanted { session, rendition, bitrate });
        }
    }

    /// Goes on with what a peer's network takes, from a keyframe on.
    fn change_rendition(&mut self, key: usize, now: Instant) {
        self.choose_rendition(key, now);
        let Some(peer) = self.peers.get(key) else { return };
        let session = peer.session_key;
        if peer.awaits_keyframe() {
            self.ask_for_keyframe(key, KeyframeReason::RenditionChange, now);
        }
        self.update_active(session);
    }

    /// Finds out what a peer gets.
    pub(super) fn choose_rendition(&mut self, key: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(codec) = peer.video_codec() else {
            peer.pictures().note_none();
            return;
        };
        if let Some(state) = self.sessions.get(peer.session_key.index()) {
            let needs = Needs { codec, limit: peer.limit.and(peer.quality.limit()) };
            let choice = choose(state.number, state.there, needs);
            let is_changing = peer.select(choice);
            let most = state.renditions.most(choice.rendition.rung);
            let is_other = peer.pictures().note((codec, choice.rendition.rung, choice.layer));
            let less = peer.target.less().map(|less| Bitrate::from_bps(less as u64));
            peer.pictures().note_bitrate(less.or(most));
            let is_connected = peer.is_connected();
            if is_other
                && is_connected
                && let Some(picture) = peer.pictures().status()
            {
                let (session, id) = (peer.session_key, peer.id());
                let is_limited = peer.quality.limit() != ViewerLimit::default();
                let changed = HubEvent::PictureChanged { session, peer: id, picture, is_limited };
                self.events.push_back(changed);
            }
            // Who joins asks when it has joined.
            if is_changing && is_connected {
                self.ask_for_keyframe(key, KeyframeReason::RenditionChange, now);
            }
        }
    }
}
