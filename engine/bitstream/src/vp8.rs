//! VP8 frames (RFC 6386 §9.1).

use crate::{BitstreamError, Inspection};

const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
const DIMENSION_MASK: u16 = 0x3fff;

/// Whether the first byte of a frame says that it is a keyframe.
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| tag & 1 == 0)
}

/// Whether a frame begins as a keyframe does, with its start code.
pub fn has_keyframe_header(frame: &[u8]) -> bool {
    is_keyframe(frame) && frame.get(3..6) == Some(&START_CODE)
}

pub(crate) fn inspect(frame: &[u8]) -> Result<Inspection, BitstreamError> {
    let broken = BitstreamError::Vp8Header;
    let [a, b, c, rest @ ..] = frame else { return Err(broken) };
    let tag = u32::from_le_bytes([*a, *b, *c, 0]);
    let (keyframe, version) = (is_keyframe(frame), (tag >> 1) & 7);
    let first_partition = (tag >> 5) as usize;
    if version > 3 || first_partition == 0 || first_partition > rest.len() {
        return Err(broken);
    }
    if keyframe {
        let Some(&[w0, w1, h0, h1]) = rest.get(3..7) else { return Err(broken) };
        let side = |low, high| u16::from_le_bytes([low, high]) & DIMENSION_MASK;
        if !has_keyframe_header(frame) || side(w0, w1) == 0 || side(h0, h1) == 0 {
            return Err(broken);
        }
    }
    Ok(Inspection { keyframe, picture: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of ten bytes of first partition and dimensions 16 × 16.
    fn frame(inter: bool) -> Vec<u8> {
        let tag = u32::from(inter) | 1 << 4 | 10 << 5;
        let mut frame = tag.to_le_bytes()[..3].to_vec();
        frame.extend([0x9d, 0x01, 0x2a, 16, 0, 16, 0, 1, 2, 3]);
        frame
    }

    #[test]
    fn the_first_bit_tells_keyframes() {
        assert!(inspect(&frame(false)).unwrap().keyframe);
        assert!(!inspect(&frame(true)).unwrap().keyframe);
        assert!(has_keyframe_header(&frame(false)) && !has_keyframe_header(&frame(true)));
        assert!(!has_keyframe_header(&frame(false)[..5]) && !is_keyframe(&[]));
    }

    #[test]
    fn broken_headers_are_refused() {
        let good = frame(false);
        for length in 0..13 {
            assert!(inspect(&good[..length]).is_err(), "{length}");
        }
        for (at, byte) in [(0, 0x0e), (3, 0), (6, 0), (8, 0), (1, 0xff)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(inspect(&bad).is_err(), "{at}");
        }
    }
}
