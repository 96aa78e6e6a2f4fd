//! VP9 payloads (RFC 9628 §4.2).

use super::broken::BrokenPayload;

const HAS_PICTURE_ID: u8 = 0x80;
const PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGIN: u8 = 0x08;
const HAS_STRUCTURE: u8 = 0x02;

const MAX_REFERENCES: usize = 3;

pub(super) fn is_start(payload: &[u8]) -> bool {
    payload.first().is_some_and(|flags| flags & BEGIN != 0)
}

/// Appends what follows the descriptor.
pub(super) fn depacketize(payload: &[u8], unit: &mut Vec<u8>) -> Result<(), BrokenPayload> {
    let frame = after_descriptor(payload).filter(|frame| !frame.is_empty()).ok_or(BrokenPayload)?;
    unit.extend_from_slice(frame);
    Ok(())
}

fn after_descriptor(payload: &[u8]) -> Option<&[u8]> {
    let (&flags, mut rest) = payload.split_first()?;
    if flags & HAS_PICTURE_ID != 0 {
        let long = rest.first()? & 0x80 != 0;
        rest = rest.get(1 + usize::from(long)..)?;
    }
    if flags & HAS_LAYERS != 0 {
        // In non-flexible mode TL0PICIDX follows the layer indices.
        rest = rest.get(1 + usize::from(flags & FLEXIBLE == 0)..)?;
    }
    if flags & FLEXIBLE != 0 && flags & PREDICTED != 0 {
        let another = |difference: &u8| difference & 1 != 0;
        let more = rest.iter().take_while(|difference| another(difference)).count();
        if more >= MAX_REFERENCES {
            return None;
        }
        rest = rest.get(more + 1..)?;
    }
    if flags & HAS_STRUCTURE != 0 {
        rest = after_structure(rest)?;
    }
    Some(rest)
}

/// Skips the scalability structure (RFC 9628 §4.2.1).
fn after_structure(bytes: &[u8]) -> Option<&[u8]> {
    let (&flags, mut rest) = bytes.split_first()?;
    let (layers, resolutions, group) =
        (usize::from(flags >> 5) + 1, flags & 0x10 != 0, flags & 0x08 != 0);
    if resolutions {
        rest = rest.get(layers * 4..)?;
    }
    if group {
        let (&pictures, after) = rest.split_first()?;
        rest = after;
        for _ in 0..pictures {
            let (&picture, after) = rest.split_first()?;
            rest = after.get(usize::from(picture >> 2 & 3)..)?;
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_of(payload: &[u8]) -> Option<Vec<u8>> {
        let mut unit = Vec::new();
        depacketize(payload, &mut unit).ok().map(|()| unit)
    }

    #[test]
    fn descriptors_of_all_shapes_are_skipped() {
        let shapes: [&[u8]; 8] = [
            &[0x0c, 9],
            &[0x8c, 0x05, 9],
            &[0x8c, 0x92, 0x34, 9],
            &[0xac, 0x05, 0x20, 0x07, 9],          // layers, TL0PICIDX
            &[0xbc, 0x05, 0x20, 9],                // flexible: no TL0PICIDX
            &[0xdc, 0x05, 0x03, 0x04, 9],          // two references
            &[0x8e, 0x05, 0x10, 1, 64, 0, 240, 9], // a resolution
            &[0x8e, 0x05, 0x08, 2, 0x04, 1, 0x00, 9], // a picture group
        ];
        for shape in shapes {
            assert_eq!(rest_of(shape), Some(vec![9]), "{shape:?}");
            for length in 0..shape.len() - 1 {
                assert_eq!(rest_of(&shape[..length]), None, "{shape:?} {length}");
            }
        }
        assert_eq!(rest_of(&[0x50, 1, 1, 1, 1, 9]), None, "four references");
    }
}
