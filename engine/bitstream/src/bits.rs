//! Bits and Exp-Golomb codes (ITU-T H.264 §7.2, §9.1).

/// The data ended before the syntax did, or holds a code longer than 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bitstream that ends early or has an impossible code")]
pub struct Malformed;

/// Reads an RBSP from its most significant bit on. Every read is [`Malformed`] past the end.
#[derive(Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// `u(1)`.
    ///
    /// # Errors
    ///
    /// At the end of the data.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        let byte = self.data.get(self.position / 8).ok_or(Malformed)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// `u(count)`; at most 32 bits.
    ///
    /// # Errors
    ///
    /// At the end of the data.
    pub fn bits(&mut self, count: u32) -> Result<u32, Malformed> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// `ue(v)`.
    ///
    /// # Errors
    ///
    /// At the end of the data, and for a code of more than 32 bits.
    pub fn ue(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Malformed);
            }
        }
        Ok(((1_u64 << zeros) - 1) as u32 + self.bits(zeros)?)
    }

    /// `se(v)`.
    ///
    /// # Errors
    ///
    /// As [`ue`](Self::ue).
    pub fn se(&mut self) -> Result<i64, Malformed> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 1 { code / 2 + 1 } else { -(code / 2) })
    }
}

/// Writes an RBSP.
#[derive(Debug, Default)]
pub struct BitWriter {
    data: Vec<u8>,
    used: u32,
}

impl BitWriter {
    /// `u(1)`.
    pub fn flag(&mut self, value: bool) {
        if self.used.is_multiple_of(8) {
            self.data.push(0);
        }
        if let Some(last) = self.data.last_mut() {
            *last |= u8::from(value) << (7 - self.used % 8);
        }
        self.used += 1;
    }

    /// `u(count)`; at most 32 bits.
    pub fn bits(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            self.flag(value >> shift & 1 == 1);
        }
    }

    /// `ue(v)`.
    pub fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        for shift in (0..2 * length - 1).rev() {
            self.flag(code.checked_shr(shift).unwrap_or(0) & 1 == 1);
        }
    }

    /// Bits `from..to` of other data, as they are.
    ///
    /// # Errors
    ///
    /// Where the data ends before `to`.
    pub fn copy(&mut self, data: &[u8], from: usize, to: usize) -> Result<(), Malformed> {
        let mut reader = BitReader { data, position: from };
        while reader.position < to {
            self.flag(reader.flag()?);
        }
        Ok(())
    }

    /// `rbsp_trailing_bits()`, then the bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.flag(true);
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_table() {
        // H.264 table 9-2: 1, 010, 011, 00100, ...
        let mut writer = BitWriter::default();
        (0..4).for_each(|value| writer.ue(value));
        assert_eq!(writer.finish(), [0b1010_0110, 0b0100_1000]);
    }

    #[test]
    fn codes_read_back_as_written() {
        let values = [0, 1, 2, 3, 254, 255, 65_535, 1 << 20, u32::MAX - 1];
        let mut writer = BitWriter::default();
        values.into_iter().for_each(|value| writer.ue(value));
        writer.bits(0b1011, 4);
        let data = writer.finish();
        let mut reader = BitReader::new(&data);
        assert!(values.into_iter().all(|value| reader.ue() == Ok(value)));
        assert_eq!(reader.bits(4), Ok(0b1011));
    }

    #[test]
    fn signed_codes_alternate() {
        let mut writer = BitWriter::default();
        (0..5).for_each(|code| writer.ue(code));
        let data = writer.finish();
        let mut reader = BitReader::new(&data);
        assert_eq!([(); 5].map(|()| reader.se().unwrap()), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn short_and_endless_data_is_malformed() {
        assert_eq!(BitReader::new(&[]).flag(), Err(Malformed));
        assert_eq!(BitReader::new(&[1]).bits(9), Err(Malformed));
        assert_eq!(BitReader::new(&[0; 16]).ue(), Err(Malformed));
    }
}
