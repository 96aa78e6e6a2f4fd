//! What one viewer is sent of its session's pictures.

use visavis_types::{Layering, RenditionId, RenditionSet, TemporalLayer};

use super::Choice;
use crate::rtp::packetize::PacketizedFrame;

/// What one viewer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selection {
    rendition: RenditionId,
    /// The rendition that it changes to at its next keyframe. Until then the old one goes on.
    next: Option<RenditionId>,
    /// The highest layer that can be decoded now of those that it is to get.
    layer: TemporalLayer,
    /// The highest that it is to get.
    highest: TemporalLayer,
    /// Nothing is decodable before a keyframe, so nothing is sent before one.
    awaiting_keyframe: bool,
}

/// Whether a frame is for a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Send,
    /// It is of the viewer's rendition, and of a layer that it does not get.
    LeaveOut,
    /// It is nothing to the viewer.
    Ignore,
}

impl Selection {
    /// Begins with the next keyframe.
    pub(crate) fn new(Choice { rendition, layer }: Choice) -> Self {
        Self { rendition, next: None, layer, highest: layer, awaiting_keyframe: true }
    }

    /// Goes on with something else. True where a keyframe is needed for that which was not before.
    pub(crate) fn change_to(&mut self, Choice { rendition, layer }: Choice) -> bool {
        self.highest = layer;
        self.layer = self.layer.min(layer);
        let before = self.wanted();
        if self.awaiting_keyframe || self.rendition == rendition {
            (self.rendition, self.next) = (rendition, None);
            return self.awaiting_keyframe && rendition != before;
        }
        self.next = Some(rendition);
        rendition != before
    }

    /// The rendition of which the viewer needs a keyframe, where it needs one.
    pub(crate) fn wanted(&self) -> RenditionId {
        self.next.unwrap_or(self.rendition)
    }

    /// The rendition that it is sent, or begins with.
    pub(crate) fn current(&self) -> RenditionId {
        self.rendition
    }

    /// The renditions that are needed for it.
    pub(crate) fn used(&self) -> RenditionSet {
        RenditionSet::EMPTY.with(self.rendition).with(self.wanted())
    }

    /// Whether the viewer sees nothing before the next keyframe.
    pub(crate) fn awaits_keyframe(&self) -> bool {
        self.awaiting_keyframe
    }

    /// What comes up to the next keyframe is of no use to the viewer.
    pub(crate) fn await_keyframe(&mut self) {
        self.awaiting_keyframe = true;
        self.rendition = self.wanted();
        self.next = None;
    }

    /// Whether a frame is for the viewer.
    pub(crate) fn judge(&self, frame: &PacketizedFrame) -> Take {
        if frame.keyframe {
            let takes = frame.rendition == self.rendition || Some(frame.rendition) == self.next;
            return if takes { Take::Send } else { Take::Ignore };
        }
        if frame.rendition != self.rendition || self.awaiting_keyframe {
            return Take::Ignore;
        }
        match frame.layers {
            Some(layers) if layers.layer > self.layer && !self.rises_with(layers) => Take::LeaveOut,
            _ => Take::Send,
        }
    }

    /// Whether more layers can be decoded from a picture on.
    fn rises_with(&self, Layering { layer, sync, .. }: Layering) -> bool {
        sync && layer <= self.highest && layer.index() <= self.layer.index() + 1
    }

    /// A frame that is for the viewer was sent.
    pub(crate) fn sent(&mut self, frame: &PacketizedFrame) {
        if frame.keyframe {
            if frame.rendition != self.rendition {
                (self.rendition, self.next) = (frame.rendition, None);
            }
            self.layer = self.highest;
            self.awaiting_keyframe = false;
        } else if self.layer < self.highest && frame.layers.is_some_and(|l| self.rises_with(l)) {
            self.layer = self.highest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packetize::Payloads;
    use std::sync::Arc;
    use std::time::Instant;
    use visavis_types::{Rung, SessionNumber, Stamps, VideoCodec};

    struct Viewer(Selection);

    impl Viewer {
        /// A frame comes: whether it is a keyframe, its layer, whether that may be taken up there.
        fn get(&mut self, rendition: RenditionId, keyframe: bool, layer: u8, sync: bool) -> Take {
            let layer = TemporalLayer::new(layer).unwrap();
            let now = Instant::now();
            let frame = PacketizedFrame {
                rendition,
                keyframe,
                layers: Some(Layering { layer, sync, refers_back: [0; 3] }),
                payloads: Arc::new(Payloads::default()),
                captured: now,
                stamps: Stamps::pushed(now),
            };
            let take = self.0.judge(&frame);
            if take == Take::Send {
                self.0.sent(&frame);
            }
            take
        }
    }

    fn choice(rendition: RenditionId, layer: u8) -> Choice {
        Choice { rendition, layer: TemporalLayer::new(layer).unwrap() }
    }

    #[test]
    fn the_old_rendition_goes_on_until_the_new_one_has_a_keyframe() {
        let low = RenditionId::lowest(SessionNumber::unique(), VideoCodec::H264);
        let high = RenditionId { rung: Rung::HIGHEST, ..low };
        let mut viewer = Viewer(Selection::new(choice(low, 3)));
        assert_eq!(viewer.get(low, false, 0, false), Take::Ignore);
        assert_eq!(viewer.get(high, true, 0, true), Take::Ignore);
        assert_eq!(viewer.get(low, true, 0, true), Take::Send);
        assert!(viewer.0.change_to(choice(high, 3)));
        assert!(!viewer.0.change_to(choice(high, 3)), "it was asked for");
        assert_eq!(viewer.0.used(), RenditionSet::EMPTY.with(low).with(high));
        assert_eq!(viewer.get(low, false, 0, false), Take::Send);
        assert_eq!(viewer.get(high, false, 0, false), Take::Ignore);
        assert_eq!(viewer.get(low, true, 0, true), Take::Send);
        assert_eq!(viewer.get(high, true, 0, true), Take::Send);
        assert_eq!(viewer.get(low, true, 0, true), Take::Ignore);
        assert_eq!(viewer.0.used(), RenditionSet::EMPTY.with(high));
        // Back, and not after all.
        assert!(viewer.0.change_to(choice(low, 3)));
        assert!(!viewer.0.change_to(choice(high, 3)));
        assert_eq!(viewer.get(low, true, 0, true), Take::Ignore);
        // What is lost anyway is not waited for.
        assert!(viewer.0.change_to(choice(low, 3)));
        viewer.0.await_keyframe();
        assert_eq!(viewer.get(high, true, 0, true), Take::Ignore);
        assert_eq!(viewer.get(low, true, 0, true), Take::Send);
    }

    #[test]
    fn layers_are_left_at_once_and_taken_up_where_that_can_be_decoded() {
        use Take::{LeaveOut, Send};
        let id = RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8);
        let mut viewer = Viewer(Selection::new(choice(id, 2)));
        assert_eq!(viewer.get(id, true, 0, true), Send);
        assert_eq!(viewer.get(id, false, 3, true), LeaveOut);
        assert_eq!(viewer.get(id, false, 2, false), Send);
        assert!(!viewer.0.change_to(choice(id, 0)));
        assert_eq!(viewer.get(id, false, 1, true), LeaveOut);
        assert_eq!(viewer.get(id, false, 0, true), Send);
        assert!(!viewer.0.change_to(choice(id, 2)));
        assert_eq!(viewer.get(id, false, 1, false), LeaveOut, "what it refers to was left out");
        assert_eq!(viewer.get(id, false, 2, true), LeaveOut, "layer 1 is missing below it");
        assert_eq!(viewer.get(id, false, 0, false), Send);
        assert_eq!(viewer.get(id, false, 1, true), Send);
        assert_eq!(viewer.get(id, false, 2, false), Send);
        assert_eq!(viewer.get(id, false, 3, true), LeaveOut, "above what it is to get");
        // A picture of the base layer after which all begin anew.
        assert!(!viewer.0.change_to(choice(id, 0)));
        assert!(!viewer.0.change_to(choice(id, 2)));
        assert_eq!(viewer.get(id, false, 0, true), Send);
        assert_eq!(viewer.get(id, false, 2, false), Send);
    }
}
