//! AV1 payloads (RTP Payload Format For AV1, version 1.0, §4), to OBUs with sizes.

use visavis_bitstream::av1::{HAS_SIZE, obus, read_leb128, write_leb128};

use super::broken::BrokenPayload;

const CONTINUES: u8 = 0x80;
const TO_BE_CONTINUED: u8 = 0x40;

pub(super) fn is_start(payload: &[u8]) -> bool {
    payload.first().is_some_and(|header| header & CONTINUES == 0)
}

/// Puts OBUs together.
#[derive(Debug, Default)]
pub(crate) struct Av1Depacketizer {
    /// An OBU that goes on in the next packet.
    open: Vec<u8>,
}

impl Av1Depacketizer {
    /// Appends the OBUs that end in this payload.
    pub(super) fn depacketize(
        &mut self,
        payload: &[u8],
        unit: &mut Vec<u8>,
    ) -> Result<(), BrokenPayload> {
        let (&header, mut rest) = payload.split_first().ok_or(BrokenPayload)?;
        // 0: any number of elements, each with its length.
        let counted = usize::from(header >> 4 & 3);
        if (header & CONTINUES != 0) == self.open.is_empty() {
            return Err(BrokenPayload);
        }
        let mut index = 0_usize;
        while !rest.is_empty() {
            index += 1;
            let element = if index == counted {
                std::mem::take(&mut rest)
            } else {
                let (length, after) = read_leb128(rest).ok_or(BrokenPayload)?;
                let (element, after) = after.split_at_checked(length).ok_or(BrokenPayload)?;
                rest = after;
                element
            };
            self.open.extend_from_slice(element);
            if rest.is_empty() && header & TO_BE_CONTINUED != 0 {
                return Ok(());
            }
            close(&self.open, unit)?;
            self.open.clear();
        }
        Ok(())
    }
}

/// Appends an OBU with its size.
fn close(obu: &[u8], unit: &mut Vec<u8>) -> Result<(), BrokenPayload> {
    // A sender may leave the size in, though it should not.
    let Some(Ok(obu)) = obus(obu).next() else { return Err(BrokenPayload) };
    let (&first, extension) = obu.header.split_first().ok_or(BrokenPayload)?;
    unit.push(first | HAS_SIZE);
    unit.extend_from_slice(extension);
    write_leb128(obu.payload.len(), unit);
    unit.extend_from_slice(obu.payload);
    Ok(())
}

#[cfg(test)]
mod tests {

    use visavis_types::VideoCodec;

    use super::*;
    use crate::rtp::packetize::{MAX_PAYLOAD_BYTES, Packetizer};

    fn obu(kind: u8, bytes: usize) -> Vec<u8> {
        let mut obu = vec![kind << 3 | HAS_SIZE];
        write_leb128(bytes, &mut obu);
        obu.extend((0..bytes).map(|i| (i * 7) as u8));
        obu
    }

    fn round_trip(unit: &[u8]) -> Vec<u8> {
        let payloads = Packetizer::new(VideoCodec::Av1).payloads(unit, true, None);
        let (mut depacketizer, mut out) = (Av1Depacketizer::default(), Vec::new());
        for payload in payloads.iter() {
            assert!(payload.len() <= MAX_PAYLOAD_BYTES);
            depacketizer.depacketize(payload, &mut out).unwrap();
        }
        assert!(depacketizer.open.is_empty());
        out
    }

    #[test]
    fn units_of_every_shape_come_back() {
        let shapes: [&[usize]; 7] = [
            &[10, 4_000],
            &[5_000],
            &[1],
            &[3, 3, 3, 3, 3, 3, 3],
            &[1_130, 1_130, 1_130],
            &[400, 400, 400, 400, 400, 400],
            &[0, 20_000, 1, 130, 126, 127, 128, 5_000],
        ];
        for sizes in shapes {
            let unit: Vec<u8> = sizes.iter().flat_map(|&bytes| obu(6, bytes)).collect();
            assert_eq!(round_trip(&unit), unit, "{sizes:?}");
        }
        for bytes in 1_100..1_160 {
            let unit = [obu(1, 10), obu(6, bytes), obu(5, 3)].concat();
            assert_eq!(round_trip(&unit), unit, "{bytes}");
        }
    }

    #[test]
    fn lengths_on_every_element_and_sizes_left_in() {
        let (mut depacketizer, mut out) = (Av1Depacketizer::default(), Vec::new());
        let payload = [0x00, 3, 0x08, 1, 2, 4, 0x32, 2, 8, 9];
        assert_eq!(depacketizer.depacketize(&payload, &mut out), Ok(()));
        assert_eq!(out, [0x0a, 2, 1, 2, 0x32, 2, 8, 9]);
    }

    #[test]
    fn a_payload_may_have_more_than_255_elements() {
        let payload = [&[0x00][..], &[2, 0x30, 7].repeat(300)].concat();
        let (mut depacketizer, mut out) = (Av1Depacketizer::default(), Vec::new());
        assert_eq!(depacketizer.depacketize(&payload, &mut out), Ok(()));
        assert_eq!(out, [0x32, 1, 7].repeat(300));
    }

    #[test]
    fn broken_payloads_are_refused() {
        let broken: [&[u8]; 6] =
            [&[], &[0x90, 1], &[0x00, 5, 1], &[0x00, 0x80], &[0x10, 0xff], &[0x20, 1, 0x36, 1]];
        for payload in broken {
            let mut depacketizer = Av1Depacketizer::default();
            let refused = depacketizer.depacketize(payload, &mut Vec::new());
            assert_eq!(refused, Err(BrokenPayload), "{payload:?}");
        }
        let mut depacketizer = Av1Depacketizer::default();
        assert_eq!(depacketizer.depacketize(&[0x50, 0x30, 1], &mut Vec::new()), Ok(()));
        let unrelated = depacketizer.depacketize(&[0x10, 0x30, 1], &mut Vec::new());
        assert_eq!(unrelated, Err(BrokenPayload), "the fragment before was to go on");
    }
}
