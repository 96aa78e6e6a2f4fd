//! What one viewer is sent of its session's pictures.

use visavis_types::RenditionId;

use super::choice::Choice;

/// What one viewer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selection {
    rendition: RenditionId,
    /// Nothing is decodable before a keyframe, so nothing is sent before one.
    awaiting_keyframe: bool,
}

impl Selection {
    /// Begins with the next keyframe.
    pub(crate) fn new(choice: Choice) -> Self {
        Self { rendition: choice.rendition, awaiting_keyframe: true }
    }

    /// Of which rendition the viewer needs a keyframe, where it needs one.
    pub(crate) fn rendition(&self) -> RenditionId {
        self.rendition
    }

    /// Whether the viewer sees nothing before the next keyframe.
    pub(crate) fn awaits_keyframe(&self) -> bool {
        self.awaiting_keyframe
    }

    /// What comes up to the next keyframe is of no use to the viewer.
    pub(crate) fn await_keyframe(&mut self) {
        self.awaiting_keyframe = true;
    }

    /// Whether a frame is for the viewer.
    pub(crate) fn takes(&self, rendition: RenditionId, keyframe: bool) -> bool {
        self.rendition == rendition && (keyframe || !self.awaiting_keyframe)
    }

    /// Such a frame was sent.
    pub(crate) fn sent(&mut self) {
        self.awaiting_keyframe = false;
    }
}
