//! H264 byte streams (ITU-T H.264 §7.3.1 and annex B).

use super::{BitstreamError, Inspection};
use crate::rtp::packetize::h264::nal_units as split;

/// `nal_unit_type` of a coded slice of an IDR picture.
pub const IDR_SLICE: u8 = 5;
/// `nal_unit_type` of a coded slice of another picture.
pub const SLICE: u8 = 1;
/// `nal_unit_type` of supplemental enhancement information.
pub const SEI: u8 = 6;
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

/// What is in an access unit, as far as it tells whether a viewer can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Contents {
    pub(crate) idr: bool,
    pub(crate) picture: bool,
    pub(crate) sps: bool,
    pub(crate) pps: bool,
    /// Slices that may refer to pictures shown later.
    pub(crate) b_slices: bool,
    /// A recovery point (§D.2.8): some decoders can start here though there is no IDR picture.
    pub(crate) recovery_point: bool,
}

pub(super) fn inspect(stream: &[u8]) -> Result<Inspection, BitstreamError> {
    let Contents { idr, picture, .. } = contents(stream)?;
    Ok(Inspection { keyframe: idr, picture })
}

/// Looks at the NAL units of an access unit.
pub(crate) fn contents(stream: &[u8]) -> Result<Contents, BitstreamError> {
    let zeros = stream.iter().take_while(|&&byte| byte == 0).count();
    if zeros < 2 || stream.get(zeros) != Some(&1) {
        return Err(BitstreamError::NoStartCode);
    }
    let (mut units, mut found) = (0, Contents::default());
    for nal in nal_units(stream) {
        let header = nal.first().copied().unwrap_or(0);
        let kind = nal_type(nal);
        // Types past 23 are taken by RTP (RFC 6184 §5.2): sent on, they would be read as packets
        // of another shape.
        if header & FORBIDDEN_BIT != 0 || !(1..=23).contains(&kind) {
            return Err(BitstreamError::NalHeader(header));
        }
        units += 1;
        found.picture |= (1..=IDR_SLICE).contains(&kind);
        found.idr |= kind == IDR_SLICE;
        found.sps |= kind == SPS;
        found.pps |= kind == PPS;
        found.b_slices |= kind == SLICE && slice_kind(nal).is_some_and(|kind| kind % 5 == 1);
        found.recovery_point |= kind == SEI && has_recovery_point(nal);
    }
    if units == 0 {
        return Err(BitstreamError::NoNalUnit);
    }
    Ok(found)
}

/// Whether a slice is the first of its picture: `first_mb_in_slice` is 0 (§7.4.3).
pub(crate) fn is_first_slice(nal: &[u8]) -> bool {
    matches!(nal_type(nal), SLICE | IDR_SLICE) && nal.get(1).is_some_and(|first| first & 0x80 != 0)
}

/// `slice_type` (§7.4.3, table 7-6): 1 and 6 are B.
fn slice_kind(nal: &[u8]) -> Option<u32> {
    let bytes = nal.get(1..)?;
    // Two numbers of 17 bits at most fit into this, but for the highest bits of absurd ones.
    let window = (0..8).fold(0, |bits: u64, i| bits << 8 | u64::from(*bytes.get(i).unwrap_or(&0)));
    let first_mb_bits = 2 * window.leading_zeros() + 1;
    let rest = window.checked_shl(first_mb_bits)?;
    let zeros = rest.leading_zeros();
    // No slice type has more than seven bits.
    (zeros <= 3).then(|| ((rest >> (63 - 2 * zeros)) - 1) as u32)
}

/// Whether one of the messages of an SEI NAL unit is a recovery point (§7.3.2.3.1).
fn has_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let mut rest = nal.get(1..).unwrap_or_default();
    // Each number is as many bytes of 255 as it takes, and what is left.
    let number = |rest: &mut &[u8]| {
        let mut sum = 0_usize;
        loop {
            let (&byte, after) = rest.split_first()?;
            *rest = after;
            sum += usize::from(byte);
            if byte != 255 {
                return Some(sum);
            }
        }
    };
    // What follows the last message is one bit and zeros.
    while rest.len() > 2 {
        let Some((kind, bytes)) = number(&mut rest).zip(number(&mut rest)) else { return false };
        if kind == RECOVERY_POINT {
            return true;
        }
        rest = rest.get(bytes..).unwrap_or_default();
    }
    false
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
    fn slices_and_messages_tell_what_a_viewer_needs_to_know() {
        let look = |nal: &[u8]| contents(&[&[0, 0, 1], nal].concat()).unwrap();
        // first_mb_in_slice 0, then slice_type 0 (P), 1 (B), 5 (P), 6 (B), 7 (I).
        for (bits, b) in [
            (0b1100_0000, false),
            (0b1010_0000, true),
            (0b1001_1000, false),
            (0b1001_1100, true),
            (0b1_0001000, false),
        ] {
            assert_eq!(look(&[0x41, bits, 0]).b_slices, b, "{bits:08b}");
            assert!(is_first_slice(&[0x41, bits, 0]));
        }
        // first_mb_in_slice 20, slice_type 1.
        assert!(look(&[0x01, 0b0000_1010, 0b1010_0000]).b_slices);
        assert!(!is_first_slice(&[0x01, 0b0000_1010, 0]) && !is_first_slice(&[0x67, 0x80]));
        for absurd in [&[0x41][..], &[0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0x41, 0x80]] {
            assert!(!look(absurd).b_slices);
        }
        // A message of type 5 before the recovery point, and one whose length is a lie.
        assert!(look(&[6, 5, 2, 9, 9, 6, 1, 0xc4, 0x80]).recovery_point);
        assert!(!look(&[6, 5, 200, 9, 9, 6, 1, 0xc4, 0x80]).recovery_point);
        assert!(!look(&[6, 255, 255, 255]).recovery_point);
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
