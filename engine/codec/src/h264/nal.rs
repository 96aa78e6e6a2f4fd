//! NAL units in a byte stream (ITU-T H.264 §7.3.1 and annex B).

/// `nal_unit_type` of a coded slice of an IDR picture.
pub(super) const IDR_SLICE: u8 = 5;
/// `nal_unit_type` of a sequence parameter set.
pub(super) const SPS: u8 = 7;
/// Length of the start code that goes before every NAL unit we write.
pub(super) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// `nal_unit_type`, or 0 (unspecified) for an empty unit.
pub(super) fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// Whether a type is that of a coded slice, with or without data partitioning.
pub(super) fn is_slice(kind: u8) -> bool {
    (1..=5).contains(&kind)
}

/// The NAL units of an Annex B byte stream, without start codes and without trailing zeros.
pub(super) fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = next_start(stream).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let current = rest?;
        let (nal, after) = match next_start(current) {
            Some((before, after)) => (before, Some(after)),
            None => (current, None),
        };
        rest = after;
        let end = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        nal.get(..end)
    })
}

/// Splits at the first `00 00 01`: what is before it, what is after it.
fn next_start(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.windows(3).position(|window| window == [0, 0, 1])?;
    Some((data.get(..at)?, data.get(at + 3..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_out_whole_with_either_start_code() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0, 4];
        let found: Vec<&[u8]> = units(&stream).collect();
        assert_eq!(found, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 4]]);
        assert_eq!(found.into_iter().map(kind).collect::<Vec<_>>(), [7, 8, 5]);
    }

    #[test]
    fn no_start_code_is_no_unit() {
        assert_eq!(units(&[1, 2, 3, 0, 0]).count(), 0);
        assert_eq!(units(&[]).count(), 0);
    }
}
