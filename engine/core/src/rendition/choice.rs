//! Which rendition a viewer gets, and up to which of its layers.

use visavis_types::{RenditionId, RenditionSet, Rung, SessionNumber, TemporalLayer, VideoCodec};

/// The most that a viewer is to get, whatever there is. All of it by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewerLimit {
    /// The best rendition.
    pub rung: Rung,
    /// The highest temporal layer.
    pub layer: TemporalLayer,
}

impl Default for ViewerLimit {
    fn default() -> Self {
        Self { rung: Rung::HIGHEST, layer: TemporalLayer::HIGHEST }
    }
}

impl ViewerLimit {
    /// What is within both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { rung: self.rung.min(other.rung), layer: self.layer.min(other.layer) }
    }
}

/// What is known of a viewer where it is chosen what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// What it decodes.
    pub(crate) codec: VideoCodec,
    pub(crate) limit: ViewerLimit,
}

/// What a viewer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) rendition: RenditionId,
    /// The highest layer of it.
    pub(crate) layer: TemporalLayer,
}

/// The best rendition in the viewer's codec that is not above its limit; where all are above that, the lowest of them.
/// Where there is none in this codec, the one that comes first if any does.
pub(crate) fn choose(session: SessionNumber, there: RenditionSet, needs: Needs) -> Choice {
    let Needs { codec, limit: ViewerLimit { rung: highest, layer } } = needs;
    let of_codec = || there.iter(session).filter(move |id| id.codec == codec);
    let best = of_codec().take_while(|id| id.rung <= highest).last();
    let rendition = best.or_else(|| of_codec().next());
    Choice { rendition: rendition.unwrap_or(RenditionId::lowest(session, codec)), layer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_within_the_limit_or_else_the_lowest_there_is() {
        use VideoCodec::{H264, Vp8};
        let session = SessionNumber::unique();
        // What there is; the codec and the limit of a viewer; what it gets.
        type Row = (&'static [(VideoCodec, u8)], (VideoCodec, u8), (VideoCodec, u8));
        const TABLE: [Row; 9] = [
            (&[(H264, 0)], (H264, 3), (H264, 0)),
            (&[(H264, 0), (Vp8, 0)], (Vp8, 3), (Vp8, 0)),
            (&[(H264, 0), (H264, 1), (H264, 2)], (H264, 3), (H264, 2)),
            (&[(H264, 0), (H264, 1), (H264, 2)], (H264, 1), (H264, 1)),
            (&[(H264, 0), (H264, 2)], (H264, 1), (H264, 0)),
            (&[(H264, 2), (H264, 3)], (H264, 1), (H264, 2)),
            (&[(H264, 0), (Vp8, 1)], (H264, 3), (H264, 0)),
            (&[(H264, 1)], (Vp8, 3), (Vp8, 0)),
            (&[], (Vp8, 3), (Vp8, 0)),
        ];
        let id = |(codec, rung)| RenditionId { session, codec, rung: Rung::new(rung).unwrap() };
        for (there, (codec, rung), given) in TABLE {
            let set =
                there.iter().map(|&one| id(one)).fold(RenditionSet::EMPTY, RenditionSet::with);
            for layer in (0..4).filter_map(TemporalLayer::new) {
                let limit = ViewerLimit { rung: Rung::new(rung).unwrap(), layer };
                let choice = choose(session, set, Needs { codec, limit });
                assert_eq!(choice, Choice { rendition: id(given), layer }, "{there:?}");
            }
        }
    }
}
