use std::time::Duration;

use crate::UnixMillis;

/// How an audio chunk's bytes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioFormat {
    /// Signed 16-bit little-endian PCM; channels interleaved.
    #[default]
    PcmS16,
    /// 32-bit float little-endian PCM, full scale from -1 to 1; channels interleaved. What is louder is
    /// clipped, and what is no number is silence.
    PcmF32,
}

impl AudioFormat {
    /// Bytes of one sample on one channel.
    pub const fn sample_bytes(self) -> usize {
        match self {
            Self::PcmS16 => 2,
            Self::PcmF32 => 4,
        }
    }
}

/// A piece of sound, borrowed from the caller for the duration of the push.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AudioChunk<'a> {
    /// Samples as `format` says. 100 ms of 16 kHz mono [`AudioFormat::PcmS16`] is 3,200 bytes.
    pub data: &'a [u8],
    /// Sample rate in Hz, one of [`SAMPLE_RATES_HZ`](Self::SAMPLE_RATES_HZ).
    pub sample_rate: u32,
    /// 1 or 2. Viewers that do not take two hear their mix; the number may change from chunk to chunk.
    pub channels: u16,
    /// Layout of `data`. Default: [`AudioFormat::PcmS16`].
    pub format: AudioFormat,
    /// When the first sample was captured, on the clock of the video it belongs to. Default: when this was made.
    pub timestamp: UnixMillis,
}

impl<'a> AudioChunk<'a> {
    /// Sample rates the engine takes.
    pub const SAMPLE_RATES_HZ: [u32; 9] =
        [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

    /// Sound of 16-bit samples, captured now. Nothing is looked at before it is pushed.
    #[inline]
    pub fn new(data: &'a [u8], sample_rate: u32, channels: u16) -> Self {
        let (format, timestamp) = (AudioFormat::PcmS16, UnixMillis::now());
        Self { data, sample_rate, channels, format, timestamp }
    }

    crate::setters! {
        format: AudioFormat,
        timestamp: UnixMillis,
    }

    /// Checks rate, channels and length; returns the number of samples per channel.
    ///
    /// # Errors
    ///
    /// [`AudioChunkError::SampleRate`], [`AudioChunkError::Channels`] and [`AudioChunkError::Length`].
    pub fn validate(&self) -> Result<usize, AudioChunkError> {
        if !Self::SAMPLE_RATES_HZ.contains(&self.sample_rate) {
            return Err(AudioChunkError::SampleRate(self.sample_rate));
        }
        if !(1..=2).contains(&self.channels) {
            return Err(AudioChunkError::Channels(self.channels));
        }
        let frame_bytes = self.format.sample_bytes() * usize::from(self.channels);
        if self.data.is_empty() || !self.data.len().is_multiple_of(frame_bytes) {
            return Err(AudioChunkError::Length { bytes: self.data.len(), frame_bytes });
        }
        Ok(self.data.len() / frame_bytes)
    }

    /// The samples as 16-bit numbers, channels interleaved.
    pub fn samples(&self) -> Vec<i16> {
        match self.format {
            AudioFormat::PcmS16 => {
                let (pairs, _) = self.data.as_chunks::<2>();
                pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
            }
            AudioFormat::PcmF32 => {
                let (words, _) = self.data.as_chunks::<4>();
                // `as` clips, and makes 0 of what is no number.
                words
                    .iter()
                    .map(|&word| (f32::from_le_bytes(word) * 32_767.0).round() as i16)
                    .collect()
            }
        }
    }
}

/// How much sound is in one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PacketTime {
    /// 10 ms: that much sooner at the viewer, for twice the packets.
    Ms10,
    /// 20 ms.
    #[default]
    Ms20,
}

impl PacketTime {
    /// As a duration.
    pub const fn duration(self) -> Duration {
        match self {
            Self::Ms10 => Duration::from_millis(10),
            Self::Ms20 => Duration::from_millis(20),
        }
    }

    /// In samples at 48 kHz, on each channel.
    pub const fn samples(self) -> usize {
        match self {
            Self::Ms10 => 480,
            Self::Ms20 => 960,
        }
    }
}

/// What Opus does against loss and in silence.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OpusSettings {
    /// In-band error correction while a viewer loses packets, one in a hundred or more: each packet of speech carries a
    /// coarse copy of the one before (RFC 6716 §2.1.7). Costs quality at a given bitrate, so that there is none while
    /// nobody needs it. Default: on.
    pub fec: bool,
    /// Discontinuous transmission: hardly anything is sent while nobody speaks (RFC 6716 §2.1.9).
    /// Default: off.
    pub dtx: bool,
    /// Redundancy in any case: each packet carries a whole copy of the one before, for viewers that take it, and theirs
    /// too (RFC 2198). Doubles the rate of the sound; any single loss is then without a trace. Default: off, which
    /// sends copies to viewers that lose one packet in a hundred or more, for as long as they do.
    pub red: bool,
}

impl OpusSettings {
    crate::setters! {
        fec: bool,
        dtx: bool,
        red: bool,
    }
}

impl Default for OpusSettings {
    /// Error correction only.
    fn default() -> Self {
        Self { fec: true, dtx: false, red: false }
    }
}

/// Why an audio chunk was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioChunkError {
    /// The rate is none of [`AudioChunk::SAMPLE_RATES_HZ`].
    #[error(
        "invalid sample rate {0} Hz; expected 8, 11.025, 12, 16, 22.05, 24, 32, 44.1 or 48 kHz"
    )]
    SampleRate(u32),
    /// Neither mono nor stereo.
    #[error("invalid number of channels {0}; expected 1 or 2")]
    Channels(u16),
    /// Empty, or no whole number of samples.
    #[error(
        "invalid length of {bytes} bytes; expected a multiple of {frame_bytes} bytes, one sample of each channel"
    )]
    Length {
        /// Bytes given.
        bytes: usize,
        /// Bytes of one sample on all channels.
        frame_bytes: usize,
    },
    /// The session's sound is given as Opus packets already.
    #[error("this session takes encoded sound; Opus packets and PCM cannot be mixed")]
    EncodedSession,
    /// A build without the cargo feature `opus`, in a session that sends Opus.
    #[error("cannot encode Opus: this build lacks the cargo feature `opus`; push Opus packets")]
    NoOpusEncoder,
    /// A stamp so far inside an utterance.
    #[error("invalid timestamp {0} ms in an utterance; expected at most one day")]
    Timestamp(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(data: &[u8], sample_rate: u32, channels: u16) -> AudioChunk<'_> {
        AudioChunk::new(data, sample_rate, channels)
    }

    #[test]
    fn a_chunk_is_of_16_bits_and_of_now_unless_something_else_is_said() {
        let before = UnixMillis::now();
        let made = chunk(&[1, 2], 8_000, 2);
        assert_eq!((made.data, made.sample_rate, made.channels), (&[1, 2][..], 8_000, 2));
        assert_eq!(made.format, AudioFormat::PcmS16);
        assert!((before..=UnixMillis::now()).contains(&made.timestamp));
        let other = made.format(AudioFormat::PcmF32).timestamp(UnixMillis(7));
        assert_eq!((other.format, other.timestamp), (AudioFormat::PcmF32, UnixMillis(7)));
    }

    #[test]
    fn a_tenth_of_a_second_at_16_khz_is_3200_bytes() {
        assert_eq!(chunk(&[0; 3_200], 16_000, 1).validate(), Ok(1_600));
    }

    #[test]
    fn floats_are_scaled_clipped_and_never_noise() {
        let values = [0.0, 1.0, -1.0, 0.5, 7.0, -7.0, f32::NAN, f32::INFINITY];
        let data: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        let chunk = chunk(&data, 48_000, 1).format(AudioFormat::PcmF32);
        assert_eq!(chunk.validate(), Ok(8));
        let expected = [0, 32_767, -32_767, 16_384, 32_767, -32_768, 0, 32_767];
        assert_eq!(chunk.samples(), expected);
        let odd = AudioChunk { data: &data[..6], ..chunk };
        assert!(odd.validate().is_err());
    }

    #[test]
    fn unusable_chunks_are_refused() {
        assert_eq!(chunk(&[0; 2], 96_000, 1).validate(), Err(AudioChunkError::SampleRate(96_000)));
        assert_eq!(chunk(&[0; 14], 48_000, 7).validate(), Err(AudioChunkError::Channels(7)));
        assert!(chunk(&[0; 3], 48_000, 1).validate().is_err());
        assert!(chunk(&[0; 6], 48_000, 2).validate().is_err());
        assert!(chunk(&[], 48_000, 1).validate().is_err());
    }
}
