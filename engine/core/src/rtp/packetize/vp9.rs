//! VP9 over RTP (RFC 9628): non-flexible mode, one layer.

use super::payloads::{Payloads, equal_fragments};

/// I: a picture ID follows.
const HAS_PICTURE_ID: u8 = 0x80;
/// P: predicted from other pictures.
const PREDICTED: u8 = 0x40;
/// B: the frame begins here.
const BEGIN: u8 = 0x08;
/// E: the frame ends here.
const END: u8 = 0x04;
/// M: the picture ID has 15 bits.
const LONG_PICTURE_ID: u8 = 0x80;

/// The flags and two octets of picture ID.
const DESCRIPTOR_BYTES: usize = 3;

/// Appends the payloads of one frame or superframe. A superframe of several layers goes out as what
/// it is to a decoder: one thing.
pub(super) fn packetize(
    frame: &[u8],
    keyframe: bool,
    picture_id: u16,
    max_payload: usize,
    out: &mut Payloads,
) {
    if frame.is_empty() {
        return;
    }
    let [id_high, id_low] = picture_id.to_be_bytes();
    let mut flags = HAS_PICTURE_ID | BEGIN | if keyframe { 0 } else { PREDICTED };
    let mut pieces = equal_fragments(frame, max_payload - DESCRIPTOR_BYTES).peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            flags |= END;
        }
        let descriptor = [flags, LONG_PICTURE_ID | id_high, id_low];
        // One allocation: `Arc<[u8]>` collects an iterator of known length in place.
        out.push(&[&descriptor, piece]);
        flags &= !BEGIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_tell_beginning_end_and_prediction() {
        let frame = vec![7; 2_500];
        for keyframe in [true, false] {
            let mut payloads = Payloads::default();
            packetize(&frame, keyframe, 0x1234, 1_000, &mut payloads);
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
        packetize(&[1], false, 0, 1_000, &mut payloads);
        assert_eq!(payloads[0][0], 0xcc, "beginning and end in one");
    }
}
