//! Which rendition a viewer gets.

use visavis_types::{RenditionId, RenditionSet, Rung, SessionNumber, VideoCodec};

/// What is known of a viewer where its rendition is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// What it decodes.
    pub(crate) codec: VideoCodec,
    /// The best it is to get.
    pub(crate) highest: Rung,
}

/// What a viewer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) rendition: RenditionId,
}

/// The best rendition in the viewer's codec that is not above what it is to get; where all are above that, the lowest
/// of them. Where there is none in this codec, the one that comes first if any does.
pub(crate) fn choose(session: SessionNumber, there: RenditionSet, needs: Needs) -> Choice {
    let Needs { codec, highest } = needs;
    let of_codec = || there.iter(session).filter(move |id| id.codec == codec);
    let best = of_codec().take_while(|id| id.rung <= highest).last();
    let rendition = best.or_else(|| of_codec().next());
    Choice { rendition: rendition.unwrap_or(RenditionId::lowest(session, codec)) }
}
