//! The numbers of pictures in payload descriptors of VP8 and VP9, and what a viewer that is not sent every picture of
//! one rendition is sent instead of them.
//!
//! Payloads are shared by all viewers. A VP8 receiver takes a missing number for a lost picture, whose packets it
//! waits for (RFC 7741 §4.2); so a viewer that had pictures left out is sent copies of its payloads with numbers
//! that follow one another. VP9 in flexible mode counts back from a picture's own number (RFC 9628 §4.2): there,
//! numbers are moved together where the rendition changes, and otherwise stay.

use visavis_types::VideoCodec;

const PICTURE_MASK: u16 = 0x7fff;
/// M: a number of 15 bits. All that are written here are (`packetize`).
const LONG: u8 = 0x80;

/// VP8: X, I and L (RFC 7741 §4.2).
const VP8_EXTENDED: u8 = 0x80;
const VP8_HAS_PICTURE: u8 = 0x80;
const VP8_HAS_BASE: u8 = 0x40;
/// VP9: I (RFC 9628 §4.2).
const VP9_HAS_PICTURE: u8 = 0x80;

/// The number of a picture (15 bits) and of the last one in the base layer (8 bits; 0 where there are no layers), or
/// what is added to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Numbers {
    picture: u16,
    base: u8,
}

impl Numbers {
    /// Those in a payload; none in codecs that have none.
    pub(crate) fn of(codec: VideoCodec, payload: &[u8]) -> Self {
        let (picture, base) = places(codec, payload);
        let picture = picture.and_then(|at| payload.get(at..at + 2));
        let picture = picture.map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        let base = base.and_then(|at| payload.get(at).copied()).unwrap_or(0);
        Self { picture: picture & PICTURE_MASK, base }
    }

    /// What is to be added to `first` for it to come next after a picture that had these.
    pub(super) fn up_to(self, first: Self) -> Self {
        Self {
            picture: self.picture.wrapping_add(1).wrapping_sub(first.picture) & PICTURE_MASK,
            base: self.base.wrapping_add(1).wrapping_sub(first.base),
        }
    }

    #[must_use]
    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            picture: self.picture.wrapping_add(more.picture) & PICTURE_MASK,
            base: self.base.wrapping_add(more.base),
        }
    }

    /// One picture, not of the base layer, was left out.
    pub(super) fn leave_out(&mut self, codec: VideoCodec) {
        if codec == VideoCodec::Vp8 {
            self.picture = self.picture.wrapping_sub(1) & PICTURE_MASK;
        }
    }

    /// Whether it changes anything where it is added.
    pub(super) fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Adds this to the numbers in a payload.
    pub(super) fn add_to(self, codec: VideoCodec, payload: &mut [u8]) {
        let numbers = Self::of(codec, payload).plus(self);
        let (picture, base) = places(codec, payload);
        if let Some(place) = picture.and_then(|at| payload.get_mut(at..at + 2)) {
            let [high, low] = numbers.picture.to_be_bytes();
            place.copy_from_slice(&[LONG | high, low]);
        }
        if let Some(place) = base.and_then(|at| payload.get_mut(at)) {
            *place = numbers.base;
        }
    }
}

/// Where in a payload the numbers are.
fn places(codec: VideoCodec, payload: &[u8]) -> (Option<usize>, Option<usize>) {
    match (codec, payload) {
        (VideoCodec::Vp8, [first, has, id, ..]) if first & VP8_EXTENDED != 0 => {
            let picture = has & VP8_HAS_PICTURE != 0 && id & LONG != 0;
            (picture.then_some(2), (picture && has & VP8_HAS_BASE != 0).then_some(4))
        }
        (VideoCodec::Vp9, [has, id, ..]) if has & VP9_HAS_PICTURE != 0 && id & LONG != 0 => {
            (Some(1), None)
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packetize::Packetizer;
    use visavis_types::{Layering, TemporalLayer};

    #[test]
    fn numbers_are_moved_together_and_come_around() {
        let layers = Layering { layer: TemporalLayer::BASE, sync: false, refers_back: [0; 3] };
        for (codec, layers, has_base) in [
            (VideoCodec::Vp8, None, false),
            (VideoCodec::Vp8, Some(layers), true),
            (VideoCodec::Vp9, None, false),
            (VideoCodec::Vp9, Some(layers), false),
        ] {
            let mut packetizer = Packetizer::new(codec);
            let mut next =
                || packetizer.payloads(&[1, 2, 3], false, layers).get(0).unwrap().to_vec();
            let (_, _, mut payload) = (next(), next(), next());
            let at = Numbers::of(codec, &payload);
            let base = u8::from(has_base);
            assert_eq!((at.picture, at.base), (2, 3 * base));
            let (last, untouched) =
                (Numbers { picture: 0x7fff, base: 255 * base }, payload.clone());
            last.up_to(at).add_to(codec, &mut payload);
            assert_eq!(Numbers::of(codec, &payload), Numbers { picture: 0, base: 0 });
            assert!(payload.ends_with(&[1, 2, 3]) && payload.len() == untouched.len());
            // Back to where they were.
            let next = Numbers { picture: 1, base: 2 * base };
            next.up_to(Numbers::default()).add_to(codec, &mut payload);
            assert_eq!(payload, untouched);
        }
        let mut h264 = [0xff; 20];
        assert_eq!(Numbers::of(VideoCodec::H264, &h264), Numbers::default());
        Numbers { picture: 3, base: 3 }.add_to(VideoCodec::H264, &mut h264);
        assert_eq!(h264, [0xff; 20]);
        for len in 0..6 {
            Numbers { picture: 3, base: 3 }.add_to(VideoCodec::Vp8, &mut vec![0xff; len]);
        }
    }
}
