//! Samples as files have them, and what all readers of uploads share.

use std::io::{self, ErrorKind, Read};

use visavis::audio::AudioChunk;

/// A piece of sound is so long at most, in parts of a second: short enough for speech that is uploaded
/// while it is made.
pub(crate) const PIECES_A_SECOND: u32 = 25;

/// What a piece of sound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sound {
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
}

/// Why there is no more sound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes are not what they should be.
    #[error("{0}")]
    Unusable(String),
    /// The bytes do not come.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DecodeError {
    pub(crate) fn unusable(why: impl Into<String>) -> Self {
        Self::Unusable(why.into())
    }
}

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Unsigned, which is how WAV has 8 bits.
    U8,
    S16Le,
    S16Be,
    S24Le,
    S32Le,
    F32Le,
}

impl Layout {
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::S16Le | Self::S16Be => 2,
            Self::S24Le => 3,
            Self::S32Le | Self::F32Le => 4,
        }
    }

    pub(crate) fn sample(self, bytes: &[u8]) -> i16 {
        match (self, bytes) {
            (Self::U8, &[byte]) => (i16::from(byte) - 128) << 8,
            (Self::S16Be, &[high, low]) => i16::from_be_bytes([high, low]),
            (Self::S16Le, &[low, high])
            | (Self::S24Le, &[_, low, high])
            | (Self::S32Le, &[_, _, low, high]) => i16::from_le_bytes([low, high]),
            (Self::F32Le, &[a, b, c, d]) => {
                // A cast saturates, and makes 0 of what is no number.
                (f32::from_le_bytes([a, b, c, d]) * 32_767.0) as i16
            }
            _ => 0,
        }
    }
}

/// Reads samples that stand one behind the other, up to the end.
pub(crate) struct SampleReader<R> {
    bytes: R,
    sound: Sound,
    layout: Layout,
    piece: Vec<u8>,
}

impl<R: Read> SampleReader<R> {
    pub(crate) fn new(bytes: R, sound: Sound, layout: Layout) -> Self {
        let frames = (sound.sample_rate / PIECES_A_SECOND).max(1) as usize;
        let piece = vec![0; frames * usize::from(sound.channels) * layout.bytes()];
        Self { bytes, sound, layout, piece }
    }

    pub(crate) fn next(&mut self, samples: &mut Vec<i16>) -> Result<Option<Sound>, DecodeError> {
        let length = fill(&mut self.bytes, &mut self.piece)?;
        // What is no whole frame is the torn end of a file.
        let frame = self.layout.bytes() * usize::from(self.sound.channels);
        let whole = self.piece.get(..length - length % frame).unwrap_or_default();
        let layout = self.layout;
        samples.extend(whole.chunks_exact(layout.bytes()).map(|bytes| layout.sample(bytes)));
        Ok((!samples.is_empty()).then_some(self.sound))
    }
}

/// Reads until the room is full or the end has come; returns how much it was.
pub(crate) fn fill(bytes: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = room.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match bytes.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Skips this many bytes, or up to the end.
pub(crate) fn skip(bytes: &mut impl Read, count: u64) -> io::Result<()> {
    io::copy(&mut bytes.take(count), &mut io::sink()).map(drop)
}

/// Whether sound of this rate and number of channels can be played.
pub(crate) fn check(sound: Sound) -> Result<Sound, DecodeError> {
    let Sound { sample_rate, channels } = sound;
    if !AudioChunk::SAMPLE_RATES_HZ.contains(&sample_rate) {
        return Err(DecodeError::unusable(format!("unsupported sample rate {sample_rate} Hz")));
    }
    if !(1..=2).contains(&channels) {
        let why = format!("unsupported number of channels {channels}; expected 1 or 2");
        return Err(DecodeError::unusable(why));
    }
    Ok(sound)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Gives bytes in pieces of one, as the worst network would.
    pub(crate) struct Dripping<'a>(pub(crate) &'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            let Some(place) = room.first_mut() else { return Ok(0) };
            (*place, self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn every_layout_gives_the_same_samples() {
        for (layout, bytes) in [
            (Layout::U8, &[0x00, 0xc0][..]),
            (Layout::S16Le, &[0x00, 0x80, 0x00, 0x40]),
            (Layout::S16Be, &[0x80, 0x00, 0x40, 0x00]),
            (Layout::S24Le, &[0xff, 0x00, 0x80, 0xff, 0x00, 0x40]),
            (Layout::S32Le, &[0xff, 0xff, 0x00, 0x80, 0xff, 0xff, 0x00, 0x40]),
        ] {
            let sound = Sound { sample_rate: 16_000, channels: 1 };
            let mut reader = SampleReader::new(bytes, sound, layout);
            let mut samples = Vec::new();
            assert_eq!(reader.next(&mut samples).unwrap(), Some(sound));
            assert_eq!(samples, [-32_768, 16_384], "{layout:?}");
        }
        let floats: Vec<u8> =
            [0.5, -1.0, 7.0, f32::NAN].into_iter().flat_map(f32::to_le_bytes).collect();
        let samples: Vec<_> =
            floats.chunks_exact(4).map(|bytes| Layout::F32Le.sample(bytes)).collect();
        assert_eq!(samples, [16_383, -32_767, 32_767, 0]);
    }
}
