//! The boxes of an MP4 file (ISO/IEC 14496-12 §4.2) as slices, with checked access to their fields.
//!
//! Files are untrusted: every read checks for the end, and returns `None` there.

/// A box: its four-letter type and what is inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mp4Box<'a> {
    pub kind: [u8; 4],
    pub body: &'a [u8],
}

/// The header of a box: its type, its own length and that of the whole box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: [u8; 4],
    pub header_bytes: u64,
    /// `None`: up to the end of the file.
    pub box_bytes: Option<u64>,
}

impl Header {
    /// Reads a header out of the first 16 bytes of a box (fewer where the file ends).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let short = fields.u32()?;
        let kind = *fields.take(4)?.first_chunk()?;
        let (header_bytes, box_bytes) = match short {
            0 => (8, None),
            1 => (16, Some(fields.u64()?)),
            short => (8, Some(u64::from(short))),
        };
        let whole = box_bytes.is_none_or(|bytes| bytes >= header_bytes);
        whole.then_some(Self { kind, header_bytes, box_bytes })
    }
}

/// The boxes that follow one another in `bytes`. Ends at the first that is not whole.
pub(super) fn boxes(bytes: &[u8]) -> impl Iterator<Item = Mp4Box<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = Header::parse(rest)?;
        let length = header.box_bytes.unwrap_or(rest.len() as u64);
        let length = usize::try_from(length).ok().filter(|&l| l <= rest.len())?;
        let (this, next) = rest.split_at(length);
        rest = next;
        Some(Mp4Box { kind: header.kind, body: this.get(header.header_bytes as usize..)? })
    })
}

/// The first box of a type in `bytes`.
pub(super) fn child<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|b| &b.kind == kind).map(|b| b.body)
}

/// The first box at the end of a path of types.
pub(super) fn descendant<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |inside, kind| child(inside, kind))
}

/// Big-endian fields, read one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().copied().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().copied().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// The version that every full box starts with; its flags are skipped.
    pub(super) fn version(&mut self) -> Option<u8> {
        self.take(4)?.first().copied()
    }

    /// A field that has 64 bits in version 1 of a box and 32 before.
    pub(super) fn sized(&mut self, version: u8) -> Option<u64> {
        if version == 1 { self.u64() } else { self.u32().map(u64::from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_come_one_after_the_other_and_stop_where_one_is_cut() {
        let mut bytes = vec![0, 0, 0, 9];
        bytes.extend(b"free\x07");
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(b"wide\x00\x00\x00\x00\x00\x00\x00\x12ab");
        bytes.extend([0, 0, 0, 99]);
        bytes.extend(b"mdat");
        let found: Vec<_> = boxes(&bytes).map(|b| (b.kind, b.body.to_vec())).collect();
        assert_eq!(found, [(*b"free", vec![7]), (*b"wide", b"ab".to_vec())]);
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert_eq!(Header::parse(b"\x00\x00\x00\x04free"), None);
        assert_eq!(Header::parse(b"\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00\x08"), None);
        assert_eq!(Header::parse(b"\x00\x00"), None);
    }
}
