//! VP8 over RTP (RFC 7741).

use super::payloads::{Payloads, equal_fragments};

/// X: the extended control bits follow.
const EXTENDED: u8 = 0x80;
/// S: the payload starts a partition; partition 0 means it starts the frame.
const START: u8 = 0x10;
/// I: a PictureID follows.
const HAS_PICTURE_ID: u8 = 0x80;
/// M: the PictureID has 15 bits.
const LONG_PICTURE_ID: u8 = 0x80;

/// X and S octet, I octet, two octets of PictureID.
const DESCRIPTOR_BYTES: usize = 4;

/// Numbers the pictures of a rendition, so that a receiver sees at once which one is missing
/// (RFC 7741 §4.2). 15 bits, wraps.
#[derive(Debug, Default)]
pub struct PictureId(u16);

impl PictureId {
    pub(super) fn next(&mut self) -> u16 {
        let id = self.0;
        self.0 = (id + 1) & 0x7fff;
        id
    }
}

/// Appends the payloads of one VP8 frame.
pub(super) fn packetize(
    frame: &[u8],
    picture_id: &mut PictureId,
    max_payload: usize,
    out: &mut Payloads,
) {
    if frame.is_empty() {
        return;
    }
    let [id_high, id_low] = picture_id.next().to_be_bytes();
    let mut start = START;
    for piece in equal_fragments(frame, max_payload - DESCRIPTOR_BYTES) {
        let descriptor = [EXTENDED | start, HAS_PICTURE_ID, LONG_PICTURE_ID | id_high, id_low];
        // One allocation: `Arc<[u8]>` collects an iterator of known length in place.
        out.push(&[&descriptor, piece]);
        start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::unversioned::{Depacketizer, Vp8Depacketizer};

    #[test]
    fn frames_survive_a_depacketizer_that_is_not_ours() {
        let mut picture_id = PictureId(0x7ffe);
        for expected_id in [0x7ffe, 0x7fff, 0] {
            let frame: Vec<u8> = (0..3_333).map(|i| i as u8).collect();
            let mut payloads = Payloads::default();
            packetize(&frame, &mut picture_id, 1_000, &mut payloads);
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
    fn an_empty_frame_takes_no_picture_id() {
        let (mut picture_id, mut out) = (PictureId::default(), Payloads::default());
        packetize(&[], &mut picture_id, 1_000, &mut out);
        assert!(out.is_empty());
        assert_eq!(picture_id.next(), 0);
    }
}
