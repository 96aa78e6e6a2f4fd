//! VP9 frames (VP9 bitstream specification §6.2). Of a superframe the first frame is looked at.

use crate::{BitstreamError, Inspection};

const SYNC_CODE: [u8; 3] = [0x49, 0x83, 0x42];

pub(crate) fn inspect(frame: &[u8]) -> Result<Inspection, BitstreamError> {
    let broken = BitstreamError::Vp9Header;
    let &[first, ref rest @ ..] = frame else { return Err(broken) };
    let bit = |at: u8| first >> (7 - at) & 1 == 1;
    // frame_marker, then the low and the high bit of the profile.
    let profile_3 = bit(2) && bit(3);
    if first >> 6 != 2 || profile_3 && bit(4) {
        return Err(broken);
    }
    // Profile 3 has a reserved bit more before what follows.
    let next = if profile_3 { 5 } else { 4 };
    let (show_existing, inter) = (bit(next), bit(next + 1));
    let keyframe = !show_existing && !inter;
    if keyframe && profile_3 {
        // The header ends within the second byte: error_resilient_mode is its first bit.
        let shifted: Vec<u8> = rest.windows(2).take(3).map(|b| b[0] << 1 | b[1] >> 7).collect();
        return (shifted == SYNC_CODE)
            .then_some(Inspection { keyframe, picture: true })
            .ok_or(broken);
    }
    if keyframe && rest.get(..3) != Some(&SYNC_CODE) {
        return Err(broken);
    }
    Ok(Inspection { keyframe, picture: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_keyframe(frame: &[u8]) -> Result<bool, BitstreamError> {
        inspect(frame).map(|found| found.keyframe)
    }

    #[test]
    fn keyframes_of_all_profiles() {
        // Profile 0: marker 10, profile 00, no existing frame, key, shown, not resilient.
        assert_eq!(is_keyframe(&[0x82, 0x49, 0x83, 0x42, 0]), Ok(true));
        assert_eq!(is_keyframe(&[0x86, 0, 1]), Ok(false), "inter");
        assert_eq!(is_keyframe(&[0x88]), Ok(false), "an existing frame is shown");
        // Profile 3 has everything one bit later.
        assert_eq!(is_keyframe(&[0xb1, 0x24, 0xc1, 0xa1, 0]), Ok(true));
    }

    #[test]
    fn broken_headers_are_refused() {
        let broken: [&[u8]; 6] =
            [&[], &[0x02], &[0xc2], &[0x82, 0x49, 0x83], &[0x82, 0x49, 0x83, 0x43], &[0xb8]];
        for frame in broken {
            assert_eq!(is_keyframe(frame), Err(BitstreamError::Vp9Header), "{frame:?}");
        }
    }
}
