//! VP8 over RTP (RFC 7741).

use visavis_types::{Layering, TemporalLayer};

use super::payloads::{Payloads, equal_fragments};

/// X: the extended control bits follow.
const EXTENDED: u8 = 0x80;
/// S: the payload starts a partition; partition 0 means it starts the frame.
const START: u8 = 0x10;
/// I: a PictureID follows.
const HAS_PICTURE_ID: u8 = 0x80;
/// L: a TL0PICIDX follows.
const HAS_BASE_INDEX: u8 = 0x40;
/// T: a TID follows.
const HAS_LAYER: u8 = 0x20;
/// M: the PictureID has 15 bits.
const LONG_PICTURE_ID: u8 = 0x80;
/// Y: the picture refers to the base layer only.
const LAYER_SYNC: u8 = 0x20;

/// X and S octet, I octet, two octets of PictureID; TL0PICIDX, and TID with Y, where there are layers.
const MAX_DESCRIPTOR_BYTES: usize = 6;

/// Numbers the pictures of a rendition, so that a receiver sees at once which one is missing
/// (RFC 7741 §4.2). 15 bits, wraps.
#[derive(Debug, Default)]
pub(super) struct PictureId(u16);

impl PictureId {
    pub(super) fn next(&mut self) -> u16 {
        let id = self.0;
        self.0 = (id + 1) & 0x7fff;
        id
    }
}

/// Numbers the pictures of a rendition, and those of its base layer.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    picture: PictureId,
    /// TL0PICIDX of the last picture of the base layer.
    base: u8,
}

/// Appends the payloads of one VP8 frame.
pub(super) fn packetize(
    frame: &[u8],
    numbering: &mut Numbering,
    layers: Option<Layering>,
    max_payload: usize,
    out: &mut Payloads,
) {
    if frame.is_empty() {
        return;
    }
    if layers.is_none_or(|layers| layers.layer == TemporalLayer::BASE) {
        numbering.base = numbering.base.wrapping_add(1);
    }
    let [id_high, id_low] = numbering.picture.next().to_be_bytes();
    let mut descriptor =
        [EXTENDED | START, HAS_PICTURE_ID, LONG_PICTURE_ID | id_high, id_low, 0, 0];
    let mut len = MAX_DESCRIPTOR_BYTES - 2;
    if let Some(Layering { layer, sync, .. }) = layers {
        descriptor[1] |= HAS_BASE_INDEX | HAS_LAYER;
        let sync = sync && layer != TemporalLayer::BASE;
        descriptor[4..].copy_from_slice(&[
            numbering.base,
            layer.index() << 6 | if sync { LAYER_SYNC } else { 0 },
        ]);
        len = MAX_DESCRIPTOR_BYTES;
    }
    for piece in equal_fragments(frame, max_payload - len) {
        out.push(&[&descriptor[..len], piece]);
        descriptor[0] = EXTENDED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::unversioned::{Depacketizer, Vp8Depacketizer};

    #[test]
    fn frames_survive_a_depacketizer_that_is_not_ours() {
        let mut numbering = Numbering { picture: PictureId(0x7ffe), base: 0 };
        for expected_id in [0x7ffe, 0x7fff, 0] {
            let frame: Vec<u8> = (0..3_333).map(|i| i as u8).collect();
            let mut payloads = Payloads::default();
            packetize(&frame, &mut numbering, None, 1_000, &mut payloads);
            assert_eq!(payloads.len(), 4);
            let mut depacketizer = Vp8Depacketizer::default();
            let (mut out, mut extra) = (Vec::new(), str0m::format::CodecExtra::None);
            for (i, payload) in payloads.iter().enumerate() {
                depacketizer.depacketize(payload, &mut out, &mut extra).unwrap();
                assert_eq!(depacketizer.picture_id, expected_id);
                assert_eq!(depacketizer.is_partition_head(payload), i == 0);
            }
            assert_eq!(out, frame);
        }
    }

    #[test]
    fn layers_are_told_and_counted() {
        let mut numbering = Numbering { picture: PictureId(5), base: 254 };
        // What a decoder that is not ours makes of it: picture, base, layer, sync.
        let mut read = |layer, sync| {
            let layer = TemporalLayer::new(layer).unwrap();
            let layers = Layering { layer, sync, refers_back: [0; 3] };
            let mut payloads = Payloads::default();
            packetize(&[7; 2_500], &mut numbering, Some(layers), 1_000, &mut payloads);
            let mut depacketizer = Vp8Depacketizer::default();
            let (mut out, mut extra) = (Vec::new(), str0m::format::CodecExtra::None);
            for payload in payloads.iter() {
                assert!(payload.len() <= 1_000);
                depacketizer.depacketize(payload, &mut out, &mut extra).unwrap();
            }
            assert_eq!(out, [7; 2_500]);
            let Vp8Depacketizer { picture_id, tl0_pic_idx, tid, y, .. } = depacketizer;
            (picture_id, tl0_pic_idx, tid, y)
        };
        assert_eq!(read(0, true), (5, 255, 0, 0));
        assert_eq!(read(2, true), (6, 255, 2, 1));
        assert_eq!(read(1, false), (7, 255, 1, 0));
        assert_eq!(read(0, false), (8, 0, 0, 0));
    }

    #[test]
    fn an_empty_frame_takes_no_picture_id() {
        let (mut numbering, mut out) = (Numbering::default(), Payloads::default());
        packetize(&[], &mut numbering, None, 1_000, &mut out);
        assert!(out.is_empty());
        assert_eq!(numbering.picture.next(), 0);
    }
}
