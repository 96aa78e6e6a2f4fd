//! H264 as MP4 files keep it (ISO/IEC 14496-15 §5.3): a length before each NAL unit, and the parameter
//! sets apart.

use super::nal::append_nal;
use crate::Malformed;

/// An `AVCDecoderConfigurationRecord`, the inside of an `avcC` box: what a decoder needs before the
/// first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    /// Bytes of the length before each NAL unit: 1 to 4.
    length_bytes: usize,
    /// As an Annex B byte stream.
    parameter_sets: Vec<u8>,
}

impl AvcConfig {
    /// Reads a record (§5.3.3.1).
    ///
    /// # Errors
    ///
    /// Where it ends early.
    pub fn parse(record: &[u8]) -> Result<Self, Malformed> {
        let &[_, _, _, _, lengths, sps, ref rest @ ..] = record else { return Err(Malformed) };
        let mut parameter_sets = Vec::new();
        let rest = append_sets(sps & 0x1f, rest, &mut parameter_sets)?;
        let (&pps, rest) = rest.split_first().ok_or(Malformed)?;
        append_sets(pps, rest, &mut parameter_sets)?;
        Ok(Self { length_bytes: usize::from(lengths & 3) + 1, parameter_sets })
    }

    /// The parameter sets as an Annex B byte stream.
    pub fn parameter_sets(&self) -> &[u8] {
        &self.parameter_sets
    }

    /// Appends a sample as an Annex B byte stream: start codes in the place of lengths.
    ///
    /// # Errors
    ///
    /// Where the lengths do not fit the sample; `out` has the NAL units before that.
    pub fn append_annex_b(&self, mut sample: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        while !sample.is_empty() {
            let (length, rest) = sample.split_at_checked(self.length_bytes).ok_or(Malformed)?;
            let length = length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            let (nal, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
            append_nal(nal, out);
            sample = rest;
        }
        Ok(())
    }
}

/// Appends `count` parameter sets, each with two bytes of length before it; gives what follows.
fn append_sets<'a>(
    count: u8,
    mut record: &'a [u8],
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    for _ in 0..count {
        let (&length, rest) = record.split_first_chunk().ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes(length));
        let (nal, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        append_nal(nal, out);
        record = rest;
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: [u8; 16] = [1, 66, 0, 30, 0xfd, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 1, 0x68];

    #[test]
    fn lengths_become_start_codes() {
        let config = AvcConfig::parse(&RECORD).unwrap();
        assert_eq!(config.parameter_sets(), [0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68]);
        let mut out = Vec::new();
        config.append_annex_b(&[0, 2, 7, 8, 0, 1, 9], &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9]);
        for broken in [&[0, 3, 7, 8][..], &[0]] {
            assert_eq!(config.append_annex_b(broken, &mut out), Err(Malformed));
        }
    }

    #[test]
    fn records_that_end_early_are_refused() {
        for length in 0..RECORD.len() {
            assert_eq!(AvcConfig::parse(&RECORD[..length]), Err(Malformed), "{length}");
        }
    }
}
