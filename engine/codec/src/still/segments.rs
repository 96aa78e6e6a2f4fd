//! What a JPEG file says before its pixels: which tables it has, and how it is to be turned.

use std::borrow::Cow;

/// The segments of a JPEG file (ITU-T T.81 §B.1.1) up to its first scan.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Segments<'a> {
    /// Where the first scan begins.
    scan: Option<usize>,
    has_tables: bool,
    pub(super) exif: Option<&'a [u8]>,
}

impl<'a> Segments<'a> {
    pub(super) fn read(file: &'a [u8]) -> Self {
        const TABLES: u8 = 0xc4;
        const SCAN: u8 = 0xda;
        const APPLICATION_1: u8 = 0xe1;
        const EXIF: &[u8] = b"Exif\0\0";
        let mut found = Self::default();
        let mut at = 2;
        while let Some(&[0xff, marker]) = file.get(at..).and_then(|rest| rest.first_chunk()) {
            match marker {
                // A byte that fills up.
                0xff => at += 1,
                // Those without a length.
                0x01 | 0xd0..=0xd8 => at += 2,
                SCAN => {
                    found.scan = Some(at);
                    break;
                }
                _ => {
                    let Some(&[high, low]) = file.get(at + 2..).and_then(|rest| rest.first_chunk())
                    else {
                        break;
                    };
                    let end = at + 2 + usize::from(u16::from_be_bytes([high, low]).max(2));
                    let body = file.get(at + 4..end).unwrap_or_default();
                    found.has_tables |= marker == TABLES;
                    if marker == APPLICATION_1 && found.exif.is_none() {
                        found.exif = body.strip_prefix(EXIF);
                    }
                    at = end;
                }
            }
        }
        found
    }

    /// The file with the tables that cameras leave out, which send one picture after the other (Motion
    /// JPEG).
    pub(super) fn with_tables(&self, file: &'a [u8]) -> Cow<'a, [u8]> {
        match self.scan.filter(|_| !self.has_tables).and_then(|scan| file.split_at_checked(scan)) {
            Some((before, after)) => {
                let tables: Vec<u8> = TABLES.concat();
                let length = (tables.len() as u16 + 2).to_be_bytes();
                Cow::Owned([before, &[0xff, 0xc4], &length, &tables, after].concat())
            }
            None => Cow::Borrowed(file),
        }
    }
}

/// How a picture is to be turned to be upright: `Orientation` of Exif, 1 to 8; 1 where nothing is said.
pub(super) fn orientation(exif: &[u8]) -> u8 {
    read_orientation(exif).filter(|turned| (1..=8).contains(turned)).unwrap_or(1)
}

/// Looks through the first directory of a TIFF file (TIFF 6.0 §2).
fn read_orientation(tiff: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x0112;
    const ENTRY_BYTES: usize = 12;
    /// No directory of a photo is longer.
    const MOST: usize = 1_000;
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let bytes = |at: usize, count: usize| tiff.get(at..at.checked_add(count)?);
    let word = |at: usize| {
        let &[a, b] = bytes(at, 2)?.first_chunk()?;
        Some(if little { u16::from_le_bytes([a, b]) } else { u16::from_be_bytes([a, b]) })
    };
    let &[a, b, c, d] = bytes(4, 4)?.first_chunk()?;
    let directory =
        if little { u32::from_le_bytes([a, b, c, d]) } else { u32::from_be_bytes([a, b, c, d]) };
    let directory = usize::try_from(directory).ok()?;
    let entries = usize::from(word(directory)?).min(MOST);
    let entry = (0..entries)
        .map(|index| directory + 2 + index * ENTRY_BYTES)
        .find(|&at| word(at) == Some(ORIENTATION))?;
    // A value of 16 bits stands in the first half of its field.
    u8::try_from(word(entry + 8)?).ok()
}

/// The Huffman tables of ITU-T T.81 annex K, each with its class and number before it.
const TABLES: [&[u8]; 4] = [LUMA_DC, CHROMA_DC, LUMA_AC, CHROMA_AC];

/// Table K.3: how many codes there are of each length, and what they stand for.
#[rustfmt::skip]
const LUMA_DC: &[u8] = &[
    0x00,
    0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
];

/// Table K.4: how many codes there are of each length, and what they stand for.
#[rustfmt::skip]
const CHROMA_DC: &[u8] = &[
    0x01,
    0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
];

/// Table K.5: how many codes there are of each length, and what they stand for.
#[rustfmt::skip]
const LUMA_AC: &[u8] = &[
    0x10,
    0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05, 0x04, 0x04, 0x00, 0x00, 0x01, 0x7d,
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

/// Table K.6: how many codes there are of each length, and what they stand for.
#[rustfmt::skip]
const CHROMA_AC: &[u8] = &[
    0x11,
    0x00, 0x02, 0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77,
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of two entries, the second of them this orientation.
    fn exif(little: bool, turned: u16) -> Vec<u8> {
        let word = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut tiff = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        tiff.extend(long(8));
        tiff.extend(word(2));
        for (tag, value) in [(0x010f, 7), (0x0112, turned)] {
            tiff.extend(word(tag));
            tiff.extend(word(3));
            tiff.extend(long(1));
            tiff.extend(word(value));
            tiff.extend(word(0));
        }
        tiff
    }

    #[test]
    fn the_orientation_is_read_in_both_byte_orders_and_from_nothing_broken() {
        for little in [true, false] {
            for turned in 1..=8 {
                assert_eq!(orientation(&exif(little, turned)), turned as u8);
            }
            assert_eq!(orientation(&exif(little, 9)), 1);
            assert_eq!(orientation(&exif(little, 0x0601)), 1);
            let whole = exif(little, 6);
            assert!((0..whole.len() - 2).all(|length| orientation(&whole[..length]) == 1));
            let mut far = exif(little, 6);
            far[4..8].fill(0xff);
            assert_eq!(orientation(&far), 1);
        }
    }

    #[test]
    fn segments_end_where_the_file_does() {
        let mut file = vec![0xff, 0xd8, 0xff, 0xff, 0xe1, 0, 12];
        file.extend(b"Exif\0\0II*\0");
        file.extend([0xff, 0xda, 0, 2]);
        let segments = Segments::read(&file);
        assert_eq!((segments.exif, segments.scan), (Some(&b"II*\0"[..]), Some(17)));
        assert_eq!(segments.with_tables(&file).len(), file.len() + 420);
        for length in 0..17 {
            let torn = &file[..length];
            let segments = Segments::read(torn);
            assert_eq!(segments.scan, None);
            assert_eq!(&*segments.with_tables(torn), torn);
        }
    }
}
