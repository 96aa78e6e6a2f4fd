//! From the bytes of an upload to samples, piece by piece: never more than a piece is in memory.

use std::io::Read;

use super::format::{Pcm, SpeechFormat};
use super::mp3::Mp3Reader;
use super::samples::{DecodeError, Layout, SampleReader, Sound};
use super::wav::WavReader;

/// Reads an upload.
pub(crate) enum Decoder<R> {
    /// Before the first byte is read.
    Unopened(R, SpeechFormat),
    Samples(SampleReader<R>),
    Wav(WavReader<R>),
    Mp3(Box<Mp3Reader<R>>),
    Ended,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(bytes: R, format: SpeechFormat) -> Self {
        Self::Unopened(bytes, format)
    }

    /// Fills `samples` (channels interleaved) with the next piece; `None` at the end.
    pub(crate) fn next(&mut self, samples: &mut Vec<i16>) -> Result<Option<Sound>, DecodeError> {
        samples.clear();
        if let Self::Unopened(..) = self
            && let Self::Unopened(bytes, format) = std::mem::replace(self, Self::Ended)
        {
            *self = match format {
                SpeechFormat::Wav => Self::Wav(WavReader::new(bytes)),
                SpeechFormat::Mp3 => Self::Mp3(Box::new(Mp3Reader::new(bytes))),
                SpeechFormat::Pcm(Pcm { sample_rate, channels, big_endian }) => {
                    let layout = if big_endian { Layout::S16Be } else { Layout::S16Le };
                    let sound = Sound { sample_rate, channels };
                    Self::Samples(SampleReader::new(bytes, sound, layout))
                }
            };
        }
        match self {
            Self::Samples(reader) => reader.next(samples),
            Self::Wav(reader) => reader.next(samples),
            Self::Mp3(reader) => reader.next(samples),
            Self::Unopened(..) | Self::Ended => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::tests::Dripping;
    use super::*;

    #[test]
    fn pcm_comes_in_pieces_and_its_torn_end_is_left_out() {
        let pcm = Pcm { sample_rate: 8_000, channels: 2, big_endian: false };
        let bytes: Vec<u8> = (0..1_500_i16).flat_map(i16::to_le_bytes).chain([1, 2, 3]).collect();
        let mut decoder = Decoder::new(Dripping(&bytes), SpeechFormat::Pcm(pcm));
        let (mut samples, mut all, mut longest) = (Vec::new(), Vec::new(), 0);
        while let Some(sound) = decoder.next(&mut samples).unwrap() {
            assert_eq!(sound, Sound { sample_rate: 8_000, channels: 2 });
            longest = longest.max(samples.len());
            all.extend_from_slice(&samples);
        }
        assert_eq!(all, (0..1_500).collect::<Vec<i16>>());
        assert_eq!(longest, 2 * 8_000 / 25);
    }
}
