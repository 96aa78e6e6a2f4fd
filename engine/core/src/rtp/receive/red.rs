//! Audio packets that carry copies of those before (RFC 2198), as viewers send them.

/// RFC 2198 §3: another block follows.
const FOLLOWED: u8 = 0x80;
/// The field for a copy's length has ten bits.
const MAX_COPY_BYTES: usize = (1 << 10) - 1;

/// What a packet with redundancy is about, without the copies of others; `None` for what is none.
pub(crate) fn primary(payload: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut copies) = (payload, 0);
    loop {
        match *rest {
            [first, _, high, low, ref following @ ..] if first & FOLLOWED != 0 => {
                copies += (usize::from(high) << 8 | usize::from(low)) & MAX_COPY_BYTES;
                rest = following;
            }
            [first, ref blocks @ ..] if first & FOLLOWED == 0 => return blocks.get(copies..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    use visavis_types::{AudioCodec, AudioPacket, AudioRendition, AudioRenditionSet};

    use crate::rtp::packetize::Redundancy;

    fn packet(rtp_time: u32, data: &[u8]) -> AudioPacket {
        AudioPacket {
            codec: AudioCodec::Opus,
            renditions: AudioRenditionSet::OPUS,
            data: Arc::from(data),
            rtp_time,
            captured: Instant::now(),
            talkspurt: false,
        }
    }

    #[test]
    fn what_it_is_about_is_found_behind_any_number_of_copies() {
        assert_eq!(primary(&[111, 1, 2]), Some(&[1, 2][..]));
        assert_eq!(primary(&[0xef, 0x0f, 0, 3, 111, 1, 2, 3, 4, 5]), Some(&[4, 5][..]));
        let two = [0xef, 0x1e, 0, 1, 0xef, 0x0f, 0, 2, 111, 1, 2, 3, 4];
        assert_eq!(primary(&two), Some(&[4][..]));
        let mut redundancy = Redundancy::default();
        redundancy.follow(&packet(0, &[9; 700]));
        assert_eq!(
            primary(redundancy.wrap(&packet(960, &[7]), 111, AudioRendition::Opus)),
            Some(&[7][..])
        );
        for broken in [&[][..], &[0xef], &[0xef, 0x0f, 0], &[0xef, 0x0f, 0, 3, 111, 1, 2]] {
            assert_eq!(primary(broken), None, "{broken:?}");
        }
    }
}
