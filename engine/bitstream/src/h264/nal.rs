//! NAL units in a byte stream (ITU-T H.264 §7.3.1 and annex B), and emulation prevention (§7.4.1).

/// `nal_unit_type` of a coded slice of a picture that is no IDR picture.
pub const SLICE: u8 = 1;
/// `nal_unit_type` of a coded slice of an IDR picture.
pub const IDR_SLICE: u8 = 5;
/// `nal_unit_type` of supplemental enhancement information.
pub const SEI: u8 = 6;
/// `nal_unit_type` of a sequence parameter set.
pub const SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub const PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub const DELIMITER: u8 = 9;
/// `nal_unit_type` of filler data.
pub const FILLER: u8 = 12;
/// The type of a payload of several NAL units (RFC 6184 §5.7.1), which only RTP has.
pub const STAP_A: u8 = 24;
/// The type of a payload that is a piece of a NAL unit (RFC 6184 §5.8), which only RTP has.
pub const FU_A: u8 = 28;

/// `forbidden_zero_bit` of the header.
pub const FORBIDDEN_BIT: u8 = 0x80;
/// `nal_unit_type` in the header.
pub const TYPE_MASK: u8 = 0x1f;
/// What goes before every NAL unit that is written.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// `nal_unit_type`, or 0 (unspecified) for an empty unit.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & TYPE_MASK)
}

/// Whether a type is that of a coded slice, with or without data partitioning.
pub fn is_slice(kind: u8) -> bool {
    (SLICE..=IDR_SLICE).contains(&kind)
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros. What is before the
/// first start code is no NAL unit, and one with nothing in it is left out.
pub fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = split_at_start(stream).map(|(_, after)| after);
    let units = std::iter::from_fn(move || {
        let current = rest?;
        let (nal, after) = match split_at_start(current) {
            Some((before, after)) => (before, Some(after)),
            None => (current, None),
        };
        rest = after;
        // A four-byte start code's first zero, and trailing zeros, belong to no NAL unit.
        let end = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        nal.get(..end)
    });
    units.filter(|nal| !nal.is_empty())
}

/// Appends a NAL unit with a start code.
pub fn append_nal(nal: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// Splits at the first `00 00 01`: what is before it, what is after it.
fn split_at_start(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 2;
    while let Some(&byte) = data.get(at) {
        // Looking at every third byte is enough while it is larger than one.
        if byte == 0 {
            at += 1;
            continue;
        }
        if byte == 1 && matches!(data.get(at - 2..at), Some([0, 0])) {
            return Some((data.get(..at - 2)?, data.get(at + 1..)?));
        }
        at += 3;
    }
    None
}

/// What a NAL unit's payload says without its emulation prevention bytes.
pub fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        rbsp.push(byte);
    }
    rbsp
}

/// Appends an RBSP with the emulation prevention bytes it needs.
pub fn escape_into(rbsp: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_out_whole_with_either_start_code() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0, 4];
        let found: Vec<&[u8]> = nal_units(&stream).collect();
        assert_eq!(found, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 4]]);
        assert_eq!(found.into_iter().map(nal_type).collect::<Vec<_>>(), [7, 8, 5]);
    }

    #[test]
    fn no_start_code_is_no_unit() {
        assert_eq!(nal_units(&[1, 2, 3, 0, 0]).count(), 0);
        assert_eq!(nal_units(&[]).count(), 0);
    }

    #[test]
    fn what_is_empty_is_no_unit_and_start_codes_may_follow_one_another() {
        let stream = [7, 7, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0x65, 1, 0, 0, 0, 0, 0, 1];
        assert_eq!(nal_units(&stream).collect::<Vec<_>>(), [&[0x65, 1][..]]);
        for bytes in [&[0, 0][..], &[0, 0, 1], &[0, 0, 0, 1], &[0; 50], &[0, 1, 0x65]] {
            assert_eq!(nal_units(bytes).count(), 0, "{bytes:?}");
        }
    }

    #[test]
    fn emulation_prevention_goes_both_ways() {
        for rbsp in [&[0, 0, 0, 0, 0, 1][..], &[0, 0, 3], &[9, 0, 0, 2, 0, 0, 4], &[0, 0]] {
            let mut escaped = Vec::new();
            escape_into(rbsp, &mut escaped);
            let forbidden = escaped.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3);
            assert!(!forbidden, "{escaped:?}");
            assert_eq!(unescape(&escaped), rbsp);
        }
    }
}
