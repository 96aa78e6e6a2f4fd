//! VP9 over RTP (RFC 9628): non-flexible mode where there is one layer. Where there are more it is flexible mode,
//! in which each picture names those that it refers to: a receiver then takes none for missing that was left out.

use visavis_types::Layering;

use super::payloads::{Payloads, equal_fragments};

/// I: a picture ID follows.
const HAS_PICTURE_ID: u8 = 0x80;
/// P: predicted from other pictures.
const PREDICTED: u8 = 0x40;
/// L: the layer follows.
const HAS_LAYER: u8 = 0x20;
/// F: flexible mode.
const FLEXIBLE: u8 = 0x10;
/// B: the frame begins here.
const BEGIN: u8 = 0x08;
/// E: the frame ends here.
const END: u8 = 0x04;
/// M: the picture ID has 15 bits.
const LONG_PICTURE_ID: u8 = 0x80;
/// U: higher layers may be taken up from here.
const SWITCHING_UP: u8 = 0x10;
/// N: one more P_DIFF follows.
const ANOTHER: u8 = 0x01;

/// The flags and two octets of picture ID; where there are layers, the layer and up to three P_DIFF.
const DESCRIPTOR_BYTES: usize = 3;
const MAX_DESCRIPTOR_BYTES: usize = DESCRIPTOR_BYTES + 1 + 3;

/// A payload descriptor.
struct Descriptor {
    bytes: [u8; MAX_DESCRIPTOR_BYTES],
    len: usize,
}

impl Descriptor {
    fn new(picture_id: u16, keyframe: bool, layers: Option<Layering>) -> Self {
        let [id_high, id_low] = picture_id.to_be_bytes();
        let flags = HAS_PICTURE_ID | BEGIN | if keyframe { 0 } else { PREDICTED };
        let mut bytes = [0; MAX_DESCRIPTOR_BYTES];
        bytes[..DESCRIPTOR_BYTES].copy_from_slice(&[flags, LONG_PICTURE_ID | id_high, id_low]);
        let mut descriptor = Self { bytes, len: DESCRIPTOR_BYTES };
        if let Some(Layering { layer, sync, refers_back }) = layers {
            descriptor.bytes[0] |= HAS_LAYER | FLEXIBLE;
            descriptor.push(layer.index() << 5 | if sync { SWITCHING_UP } else { 0 });
            if !keyframe {
                let mut named = refers_back.into_iter().filter(|back| (1..=127).contains(back));
                descriptor.push(named.next().unwrap_or(1) << 1);
                for back in named {
                    descriptor.bytes[descriptor.len - 1] |= ANOTHER;
                    descriptor.push(back << 1);
                }
            }
        }
        descriptor
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

/// Appends the payloads of one frame or superframe. A superframe of several spatial layers goes out as what
/// it is to a decoder: one thing.
pub(super) fn packetize(
    frame: &[u8],
    (picture_id, keyframe, layers): (u16, bool, Option<Layering>),
    max_payload: usize,
    out: &mut Payloads,
) {
    if frame.is_empty() {
        return;
    }
    let Descriptor { mut bytes, len } = Descriptor::new(picture_id, keyframe, layers);
    let mut pieces = equal_fragments(frame, max_payload - len).peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            bytes[0] |= END;
        }
        out.push(&[&bytes[..len], piece]);
        bytes[0] &= !BEGIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::TemporalLayer;

    #[test]
    fn descriptors_tell_beginning_end_and_prediction() {
        let frame = vec![7; 2_500];
        for keyframe in [true, false] {
            let mut payloads = Payloads::default();
            packetize(&frame, (0x1234, keyframe, None), 1_000, &mut payloads);
            let predicted = if keyframe { 0 } else { PREDICTED };
            let flags: Vec<u8> = payloads.iter().map(|payload| payload[0] & !predicted).collect();
            assert_eq!(flags, [0x88, 0x80, 0x84]);
            for payload in payloads.iter() {
                assert_eq!(payload[0] & PREDICTED, predicted);
                assert_eq!(payload[1..3], [0x92, 0x34]);
            }
            assert_eq!(payloads[0].len(), payloads[1].len());
            assert!(payloads[0].len() <= 1_000);
        }
        let mut payloads = Payloads::default();
        packetize(&[1], (0, false, None), 1_000, &mut payloads);
        assert_eq!(payloads[0][0], 0xcc, "beginning and end in one");
    }

    #[test]
    fn pictures_of_layers_name_what_they_refer_to() {
        let layer = TemporalLayer::new(2).unwrap();
        let descriptor = |keyframe, sync, refers_back| {
            let mut payloads = Payloads::default();
            let layers = Some(Layering { layer, sync, refers_back });
            packetize(&[0xff], (0x1234, keyframe, layers), 1_000, &mut payloads);
            payloads[0].split(|byte| *byte == 0xff).next().unwrap().to_vec()
        };
        assert_eq!(descriptor(true, true, [0; 3]), [0xbc, 0x92, 0x34, 0x50]);
        assert_eq!(descriptor(false, true, [2, 0, 0]), [0xfc, 0x92, 0x34, 0x50, 4]);
        assert_eq!(descriptor(false, false, [1, 0, 3]), [0xfc, 0x92, 0x34, 0x40, 3, 6]);
        assert_eq!(descriptor(false, false, [0; 3]), [0xfc, 0x92, 0x34, 0x40, 2], "the one before");
    }
}
