//! H264 byte streams (ITU-T H.264 §7.3.1 and annex B).

use super::{BitstreamError, Inspection};
use crate::packetize::h264::nal_units as split;

/// `nal_unit_type` of a coded slice of an IDR picture.
pub const IDR_SLICE: u8 = 5;
/// `nal_unit_type` of a sequence parameter set.
pub const SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub const PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub const DELIMITER: u8 = 9;

const FORBIDDEN_BIT: u8 = 0x80;
const TYPE_MASK: u8 = 0x1f;

/// `nal_unit_type`, or 0 (unspecified) for an empty unit.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & TYPE_MASK)
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros.
pub fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(stream).filter(|nal| !nal.is_empty())
}

pub(super) fn inspect(stream: &[u8]) -> Result<Inspection, BitstreamError> {
    let zeros = stream.iter().take_while(|&&byte| byte == 0).count();
    if zeros < 2 || stream.get(zeros) != Some(&1) {
        return Err(BitstreamError::NoStartCode);
    }
    let (mut units, mut picture, mut keyframe) = (0, false, false);
    for nal in nal_units(stream) {
        let header = nal.first().copied().unwrap_or(0);
        let kind = nal_type(nal);
        // Types past 23 are taken by RTP (RFC 6184 §5.2): sent on, they would be read as packets
        // of another shape.
        if header & FORBIDDEN_BIT != 0 || !(1..=23).contains(&kind) {
            return Err(BitstreamError::NalHeader(header));
        }
        units += 1;
        picture |= (1..=IDR_SLICE).contains(&kind);
        keyframe |= kind == IDR_SLICE;
    }
    if units == 0 {
        return Err(BitstreamError::NoNalUnit);
    }
    Ok(Inspection { keyframe, picture })
}

/// `seq_parameter_set_id` of an SPS, `pic_parameter_set_id` of a PPS; `None` for other NAL units and
/// for broken ones.
pub fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    let (bits, largest) = match nal_type(nal) {
        // After profile, constraint flags and level.
        SPS => (nal.get(4..)?, 31),
        PPS => (nal.get(1..)?, 255),
        _ => return None,
    };
    exp_golomb(bits).filter(|&id| id <= largest)
}

/// The unsigned Exp-Golomb number (§9.1) that `bytes` begin with, if it has 17 bits at most.
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let window = (0..4).fold(0, |bits: u32, i| bits << 8 | u32::from(*bytes.get(i).unwrap_or(&0)));
    let zeros = window.leading_zeros();
    if zeros > 8 || bytes.len() * 8 < (2 * zeros + 1) as usize {
        return None;
    }
    Some((window >> (31 - 2 * zeros)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idr_picture_is_a_keyframe_and_parameter_sets_are_no_picture() {
        let look = |stream: &[u8]| inspect(stream).unwrap();
        let idr = look(&[0, 0, 0, 1, 0x67, 66, 0, 31, 0x80, 0, 0, 1, 0x65, 9]);
        assert_eq!(idr, Inspection { keyframe: true, picture: true });
        assert_eq!(look(&[0, 0, 1, 0x41, 9]), Inspection { keyframe: false, picture: true });
        let sets = look(&[0, 0, 0, 1, 0x67, 66, 0, 31, 0x80, 0, 0, 1, 0x68, 0x80]);
        assert_eq!(sets, Inspection { keyframe: false, picture: false });
    }

    #[test]
    fn what_is_no_byte_stream_is_refused() {
        for avcc in [&[0, 0, 0, 2, 0x65, 9][..], &[0x65, 9], &[0; 40], &[0, 1, 0x65]] {
            assert_eq!(inspect(avcc), Err(BitstreamError::NoStartCode), "{avcc:?}");
        }
        assert_eq!(inspect(&[0, 0, 1]), Err(BitstreamError::NoNalUnit));
        for header in [0xe5, 0x7c, 0x78, 0x60] {
            let refused = inspect(&[0, 0, 1, header, 1]);
            assert_eq!(refused, Err(BitstreamError::NalHeader(header)));
        }
    }

    #[test]
    fn parameter_sets_tell_their_ids() {
        assert_eq!(parameter_set_id(&[0x67, 66, 0, 31, 0b1000_0000]), Some(0));
        assert_eq!(parameter_set_id(&[0x67, 66, 0, 31, 0b0101_0000]), Some(1));
        assert_eq!(parameter_set_id(&[0x68, 0b0010_1000]), Some(4));
        assert_eq!(parameter_set_id(&[0x68, 0, 0b1000_0000, 0]), Some(255));
        for broken in [
            &[0x67][..],
            &[0x67, 66, 0, 31],
            &[0x68],
            &[0x68, 0],
            &[0x65, 0x80],
            &[],
            &[0x68, 0, 0x80, 0x80],
        ] {
            assert_eq!(parameter_set_id(broken), None, "{broken:?}");
        }
    }
}
