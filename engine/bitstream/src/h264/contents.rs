//! What is in an access unit (ITU-T H.264 §7.3.1).

use super::nal::{FORBIDDEN_BIT, IDR_SLICE, PPS, SEI, SLICE, SPS, is_slice, nal_type, nal_units};
use crate::{BitReader, BitstreamError, Inspection};

/// What is in an access unit, as far as it tells whether a viewer can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// A slice of an IDR picture: a decoder can start here.
    pub idr: bool,
    /// A slice of any picture.
    pub picture: bool,
    /// A sequence parameter set.
    pub sps: bool,
    /// A picture parameter set.
    pub pps: bool,
    /// Slices that may refer to pictures shown later.
    pub b_slices: bool,
    /// A recovery point (§D.2.8): some decoders can start here though there is no IDR picture.
    pub recovery_point: bool,
}

pub(crate) fn inspect(stream: &[u8]) -> Result<Inspection, BitstreamError> {
    let Contents { idr, picture, .. } = contents(stream)?;
    Ok(Inspection { keyframe: idr, picture })
}

/// Looks at the NAL units of an access unit.
///
/// # Errors
///
/// [`BitstreamError::NoStartCode`], [`BitstreamError::NalHeader`] or [`BitstreamError::NoNalUnit`].
pub fn contents(stream: &[u8]) -> Result<Contents, BitstreamError> {
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
        found.picture |= is_slice(kind);
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
pub fn is_first_slice(nal: &[u8]) -> bool {
    matches!(nal_type(nal), SLICE | IDR_SLICE) && nal.get(1).is_some_and(|first| first & 0x80 != 0)
}

/// `slice_type` (§7.4.3, table 7-6): 1 and 6 are B.
fn slice_kind(nal: &[u8]) -> Option<u32> {
    let mut header = BitReader::new(nal.get(1..)?);
    let _first_mb = header.ue().ok()?;
    header.ue().ok().filter(|&kind| kind <= 9)
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
    BitReader::new(bits).ue().ok().filter(|&id| id <= largest)
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
