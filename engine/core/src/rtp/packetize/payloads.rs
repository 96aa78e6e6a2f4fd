use std::ops::{Index, Range};

/// The largest RTP payload made, in bytes.
///
/// 1,200 bytes is what every path to a browser is known to carry. Off go 12 bytes of RTP header, up
/// to 28 of header extensions, 16 of SRTP tag (AES-GCM, RFC 7714) and, in a retransmission, 2 of
/// original sequence number (RFC 4588 §4).
pub const MAX_PAYLOAD_BYTES: usize = 1_200 - 12 - 28 - 16 - 2;

/// A row of RTP payloads in one piece of memory: two allocations a picture, however many packets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payloads {
    bytes: Vec<u8>,
    /// Where each payload ends.
    ends: Vec<usize>,
}

impl Payloads {
    pub(crate) fn with_capacity(payloads: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(payloads) }
    }

    /// Appends one payload, given in parts.
    pub fn push(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
    }

    /// How many payloads these are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all payloads together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// One payload.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }

    /// The payloads in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.range(0..self.len())
    }

    /// Some of them in order.
    ///
    /// # Panics
    ///
    /// Where there are not so many.
    pub(crate) fn range(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = range.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let ends = self.ends[range].iter();
        ends.map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }

    /// The end of a range from `first` on, of so many bytes at most, but of one payload at least.
    pub(crate) fn end_of(&self, first: usize, bytes: usize) -> usize {
        let before = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        let fit = self.ends.partition_point(|&end| end <= before.saturating_add(bytes));
        fit.max(first + 1).min(self.len())
    }
}

impl Index<usize> for Payloads {
    type Output = [u8];

    /// # Panics
    ///
    /// Where there is no such payload.
    fn index(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

impl<P: AsRef<[u8]>> FromIterator<P> for Payloads {
    fn from_iter<I: IntoIterator<Item = P>>(payloads: I) -> Self {
        let mut all = Self::default();
        for payload in payloads {
            all.push(&[payload.as_ref()]);
        }
        all
    }
}

/// Splits `data` into the fewest pieces of at most `max` bytes, equal in length but for the last,
/// which may be shorter.
pub(super) fn equal_fragments(data: &[u8], max: usize) -> std::slice::Chunks<'_, u8> {
    let pieces = data.len().div_ceil(max.max(1)).max(1);
    data.chunks(data.len().div_ceil(pieces).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_out_as_they_went_in() {
        let mut payloads = Payloads::default();
        assert!(payloads.is_empty());
        payloads.push(&[&[1, 2], &[3]]);
        payloads.push(&[]);
        payloads.push(&[&[4]]);
        let expected: [&[u8]; 3] = [&[1, 2, 3], &[], &[4]];
        assert_eq!(payloads.iter().collect::<Vec<_>>(), expected);
        for (index, payload) in expected.into_iter().enumerate() {
            assert_eq!(payloads.get(index), Some(payload));
            assert_eq!(&payloads[index], payload);
        }
        assert_eq!(payloads.get(3), None);
        assert_eq!((payloads.len(), payloads.bytes()), (3, 4));
        assert_eq!(expected.into_iter().collect::<Payloads>(), payloads);
    }

    #[test]
    fn fragments_are_equal_but_for_the_last() {
        for len in [1, 2, 99, 100, 101, 199, 200, 201, 5_003] {
            let data = vec![7; len];
            let sizes: Vec<usize> = equal_fragments(&data, 100).map(<[u8]>::len).collect();
            let (last, rest) = sizes.split_last().unwrap();
            assert_eq!(sizes.iter().sum::<usize>(), len);
            assert_eq!(sizes.len(), len.div_ceil(100));
            assert!(rest.iter().all(|s| s == &rest[0] && s >= last && *s <= 100), "{sizes:?}");
        }
    }
}
