//! AV1 OBUs in the low-overhead format (AV1 specification §5).

use crate::{BitstreamError, Inspection};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// `obu_has_size_field` in the first byte of an OBU (§5.3.2).
pub const HAS_SIZE: u8 = 0x02;
const HAS_EXTENSION: u8 = 0x04;
const FORBIDDEN_BIT: u8 = 0x80;

/// One open bitstream unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// Header and, where there is one, extension header; as they are.
    pub header: &'a [u8],
    /// Without headers and size.
    pub payload: &'a [u8],
}

impl Obu<'_> {
    fn kind(&self) -> u8 {
        self.header.first().map_or(0, |header| header >> 3 & 0x0f)
    }

    /// Whether it is left out of RTP: delimiters, padding and tile lists (AV1 RTP specification §5).
    pub fn is_left_out(&self) -> bool {
        matches!(self.kind(), TEMPORAL_DELIMITER | TILE_LIST | PADDING)
    }
}

/// The OBUs of a temporal unit. Each needs a size, but for the last.
pub fn obus(unit: &[u8]) -> impl Iterator<Item = Result<Obu<'_>, BitstreamError>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let obu = split_obu(rest);
        rest = obu.map_or(&[], |(_, after)| after);
        Some(obu.map(|(obu, _)| obu).ok_or(BitstreamError::Av1Obu))
    })
}

fn split_obu(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let &first = bytes.first()?;
    if first & FORBIDDEN_BIT != 0 {
        return None;
    }
    let (header, rest) = bytes.split_at_checked(1 + usize::from(first & HAS_EXTENSION != 0))?;
    if first & HAS_SIZE == 0 {
        return Some((Obu { header, payload: rest }, &[]));
    }
    let (size, rest) = read_leb128(rest)?;
    let (payload, after) = rest.split_at_checked(size)?;
    Some((Obu { header, payload }, after))
}

/// Reads a number (§4.10.5) of 32 bits at most; gives what follows too.
pub fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (i, &byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, bytes.get(i + 1..)?));
        }
    }
    None
}

/// Appends a number.
pub fn write_leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`write_leb128`] appends.
pub const fn leb128_bytes(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// A keyframe is one that brings its sequence header: without it nothing can be decoded.
pub(crate) fn inspect(unit: &[u8]) -> Result<Inspection, BitstreamError> {
    let (mut sequence, mut key, mut picture) = (None, false, false);
    for obu in obus(unit) {
        let obu = obu?;
        match (obu.kind(), obu.payload) {
            // seq_profile, still_picture, reduced_still_picture_header (§5.5.1).
            (SEQUENCE_HEADER, [first, ..]) => sequence = Some(first & 0x08 != 0),
            (FRAME_HEADER | FRAME, [first, ..]) if !picture => {
                picture = true;
                // show_existing_frame, then frame_type, of which 0 is a key frame (§5.9.2).
                key = sequence == Some(true) || first >> 5 == 0;
            }
            (SEQUENCE_HEADER | FRAME_HEADER | FRAME, []) => return Err(BitstreamError::Av1Obu),
            _ => {}
        }
    }
    if sequence.is_none() && !picture {
        return Err(BitstreamError::Av1Obu);
    }
    Ok(Inspection { keyframe: key && sequence.is_some(), picture })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIMITER: [u8; 2] = [0x12, 0];
    const SEQUENCE: [u8; 5] = [0x0a, 3, 0, 0, 0];
    const KEY: [u8; 4] = [0x32, 2, 0x10, 7];
    const INTER: [u8; 4] = [0x32, 2, 0x30, 7];

    #[test]
    fn a_keyframe_has_its_sequence_header() {
        let look = |parts: &[&[u8]]| inspect(&parts.concat()).unwrap();
        let key = look(&[&DELIMITER, &SEQUENCE, &KEY]);
        assert_eq!(key, Inspection { keyframe: true, picture: true });
        assert!(!look(&[&DELIMITER, &KEY]).keyframe);
        assert!(!look(&[&DELIMITER, &SEQUENCE, &INTER]).keyframe);
        assert!(!look(&[&SEQUENCE]).picture);
    }

    #[test]
    fn broken_obus_are_refused() {
        let broken: [&[u8]; 7] = [
            &[],
            &[0x92, 0],    // the forbidden bit
            &[0x32, 5, 0], // longer than what there is
            &[0x36],       // an extension that is missing
            &[0x32, 0x80], // a size that does not end
            &[0x32, 0],    // a frame of nothing
            &[0x12, 0],    // a delimiter alone
        ];
        for unit in broken {
            assert_eq!(inspect(unit), Err(BitstreamError::Av1Obu), "{unit:?}");
        }
    }

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX as usize] {
            let mut bytes = Vec::new();
            write_leb128(value, &mut bytes);
            assert_eq!(bytes.len(), leb128_bytes(value));
            assert_eq!(read_leb128(&bytes), Some((value, &[][..])));
        }
        assert_eq!(read_leb128(&[0xff; 9]), None);
    }
}
