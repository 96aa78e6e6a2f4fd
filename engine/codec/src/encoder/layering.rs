//! What pictures of temporal layers refer to.

use visavis_types::{Layering, TemporalLayer};

/// Pictures that are kept for others to refer to, at most.
const PLACES: usize = 3;

/// A set of places, one bit for each.
pub(crate) type Places = u8;

/// Every place.
pub(crate) const ALL_PLACES: Places = (1 << PLACES) - 1;

/// Which pictures are kept for others to refer to, as the encoder and all decoders have them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// How many pictures there were.
    pictures: u64,
    places: [KeptPicture; PLACES],
}

#[derive(Debug, Clone, Copy, Default)]
struct KeptPicture {
    number: u64,
    layer: u8,
}

impl Kept {
    /// Of several places, that with the newest picture. The other encoders choose by places alone.
    #[cfg(any(test, feature = "h264"))]
    pub(crate) fn newest(&self, among: Places) -> Places {
        let newest = self.among(among).max_by_key(|(_, kept)| kept.number);
        newest.map_or(0, |(place, _)| 1 << place)
    }

    /// The next picture: which it refers to, and where it is kept. A keyframe refers to none and is kept in all
    /// places.
    ///
    /// A picture may refer to several of the base layer, or to one of the layers up to its own at most, the newest
    /// of them: so no later one ever refers to a picture of its layer that came before it.
    pub(crate) fn next(
        &mut self,
        layer: u8,
        keyframe: bool,
        refers_to: Places,
        kept_in: Places,
    ) -> Option<Layering> {
        let (refers_to, kept_in) = if keyframe { (0, ALL_PLACES) } else { (refers_to, kept_in) };
        let (number, mut refers_back) = (self.pictures, [0; PLACES]);
        for (to, (_, kept)) in refers_back.iter_mut().zip(self.among(refers_to)) {
            *to = u8::try_from(number - kept.number).unwrap_or(0);
        }
        let sync = self.among(refers_to).all(|(_, kept)| kept.layer == 0);
        for (place, kept) in self.places.iter_mut().enumerate() {
            if kept_in & 1 << place != 0 {
                *kept = KeptPicture { number, layer };
            }
        }
        self.pictures += 1;
        Some(Layering { layer: TemporalLayer::new(layer)?, sync, refers_back })
    }

    fn among(&self, places: Places) -> impl Iterator<Item = (usize, &KeptPicture)> {
        self.places.iter().enumerate().filter(move |(place, _)| places & 1 << place != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_name_what_they_refer_to_and_where_layers_may_be_taken_up() {
        let mut kept = Kept::default();
        let mut next = |layer, keyframe, refers_to, kept_in| {
            let layering = kept.next(layer, keyframe, refers_to, kept_in).unwrap();
            assert_eq!(layering.layer.index(), layer);
            (layering.refers_back, layering.sync)
        };
        assert_eq!(next(0, true, 0b1, 0b1), ([0, 0, 0], true));
        for _ in 0..3 {
            assert_eq!(next(2, false, 0b1, 0), ([1, 0, 0], true));
            assert_eq!(next(1, false, 0b1, 0b10), ([2, 0, 0], true));
            assert_eq!(next(2, false, 0b11, 0), ([3, 1, 0], false));
            assert_eq!(next(0, false, 0b1, 0b1), ([4, 0, 0], true));
        }
        assert_eq!(next(0, true, 0b1, 0b1), ([0, 0, 0], true));
        assert_eq!(next(2, false, 0b10, 0), ([1, 0, 0], true));
        assert_eq!((kept.newest(0b111).count_ones(), kept.newest(0)), (1, 0));
    }
}
