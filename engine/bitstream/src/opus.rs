//! Opus packets (RFC 6716 §3).

/// Why an Opus packet is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpusPacketError {
    /// Nothing in it.
    #[error("an empty Opus packet")]
    Empty,
    /// More than any Opus packet can have.
    #[error("an Opus packet of {0} bytes")]
    TooLarge(usize),
    /// Its frames do not fit what its first bytes say of them (RFC 6716 §3.4).
    #[error("an Opus packet whose frames do not fit its header")]
    Framing,
}

/// The largest frame (RFC 6716 §3.2.1).
const MAX_FRAME_BYTES: usize = 1_275;
/// The most frames in a packet: 120 ms of 2.5 ms each.
const MAX_FRAMES: usize = 48;
/// 120 ms.
const MAX_SAMPLES: u32 = 5_760;

/// How long a packet plays, in samples at 48 kHz; also checks its framing.
///
/// # Errors
///
/// When it breaks a rule of RFC 6716 §3.4.
pub fn duration(packet: &[u8]) -> Result<u32, OpusPacketError> {
    let (&toc, body) = packet.split_first().ok_or(OpusPacketError::Empty)?;
    if packet.len() > MAX_FRAME_BYTES * MAX_FRAMES {
        return Err(OpusPacketError::TooLarge(packet.len()));
    }
    let frames = match toc & 3 {
        0 => one(body),
        1 => two_equal(body),
        2 => two(body),
        _ => many(body),
    };
    let frames = frames.ok_or(OpusPacketError::Framing)?;
    let samples = frame_samples(toc) * frames;
    if samples > MAX_SAMPLES { Err(OpusPacketError::Framing) } else { Ok(samples) }
}

/// Samples of one frame, by the configuration number (RFC 6716 §3.1, table 2).
fn frame_samples(toc: u8) -> u32 {
    let config = u32::from(toc >> 3);
    match config {
        0..12 => [480, 960, 1_920, 2_880][(config % 4) as usize], // SILK
        12..16 => [480, 960][(config % 2) as usize],              // hybrid
        _ => 120 << (config % 4),                                 // CELT
    }
}

fn one(body: &[u8]) -> Option<u32> {
    (body.len() <= MAX_FRAME_BYTES).then_some(1)
}

fn two_equal(body: &[u8]) -> Option<u32> {
    (body.len().is_multiple_of(2) && body.len() / 2 <= MAX_FRAME_BYTES).then_some(2)
}

fn two(body: &[u8]) -> Option<u32> {
    let (first, rest) = frame_length(body)?;
    let second = rest.len().checked_sub(first)?;
    (second <= MAX_FRAME_BYTES).then_some(2)
}

fn many(body: &[u8]) -> Option<u32> {
    const VARIABLE: u8 = 0x80;
    const PADDED: u8 = 0x40;
    let (&header, mut rest) = body.split_first()?;
    let frames = usize::from(header & 0x3f);
    if !(1..=MAX_FRAMES).contains(&frames) {
        return None;
    }
    let mut padding = 0;
    // A byte of 255 stands for 254 and says that another follows.
    let mut more = header & PADDED != 0;
    while more {
        let (&bytes, after) = rest.split_first()?;
        rest = after;
        padding += usize::from(bytes.min(254));
        more = bytes == 255;
    }
    if header & VARIABLE != 0 {
        let mut before_last = 0;
        for _ in 1..frames {
            let (length, after) = frame_length(rest)?;
            before_last += length;
            rest = after;
        }
        let last = rest.len().checked_sub(padding + before_last)?;
        (last <= MAX_FRAME_BYTES).then_some(frames as u32)
    } else {
        let bytes = rest.len().checked_sub(padding)?;
        let fits = bytes.is_multiple_of(frames) && bytes / frames <= MAX_FRAME_BYTES;
        fits.then_some(frames as u32)
    }
}

/// Reads a frame length (RFC 6716 §3.2.1); gives it and what follows.
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [first, ref rest @ ..] if first < 252 => Some((first.into(), rest)),
        [first, second, ref rest @ ..] => {
            Some((usize::from(second) * 4 + usize::from(first), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_table() {
        let of = |config: u8| duration(&[config << 3, 1]).unwrap();
        assert_eq!([of(0), of(1), of(2), of(3)], [480, 960, 1_920, 2_880]);
        assert_eq!([of(12), of(13), of(15)], [480, 960, 960]);
        assert_eq!([of(16), of(17), of(18), of(31)], [120, 240, 480, 960]);
        assert_eq!(duration(&[0xf8]), Ok(960), "a packet of nothing but its first byte is silence");
    }

    #[test]
    fn packets_of_several_frames() {
        assert_eq!(duration(&[0xf9, 1, 2, 3, 4]), Ok(1_920));
        assert_eq!(duration(&[0xfa, 2, 1, 2, 3]), Ok(1_920));
        assert_eq!(duration(&[0xfb, 3, 1, 2, 3]), Ok(2_880));
        // Variable lengths 1 and 2, a rest of 1, and two bytes of padding.
        assert_eq!(duration(&[0xfb, 0xc3, 2, 1, 2, 9, 9, 9, 9, 0, 0]), Ok(2_880));
    }

    #[test]
    fn broken_framing_is_refused() {
        assert_eq!(duration(&[]), Err(OpusPacketError::Empty));
        let broken: [&[u8]; 8] = [
            &[0xf9, 1],                      // two equal frames of half a byte
            &[0xfa],                         // no length
            &[0xfa, 5, 1],                   // a length past the end
            &[0xfb],                         // no count
            &[0xfb, 0],                      // no frame
            &[0xfb, 49],                     // too many
            &[0xfb, 7, 1, 2, 3, 4, 5, 6, 7], // 140 ms
            &[0xfb, 0x41, 9, 1],             // padding past the end
        ];
        for packet in broken {
            assert_eq!(duration(packet), Err(OpusPacketError::Framing), "{packet:?}");
        }
        assert!(duration(&[0xf8; 1_300]).is_err());
        assert!(matches!(duration(&[0xfb; 70_000]), Err(OpusPacketError::TooLarge(_))));
    }
}
