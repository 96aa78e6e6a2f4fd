//! What an upload is, by its `Content-Type`.

use visavis::audio::AudioChunk;

/// What the bytes of an upload are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpeechFormat {
    /// RIFF WAVE; rate and channels are in the file.
    Wav,
    /// MPEG layer III frames, tags around them.
    Mp3,
    /// Signed 16-bit samples without a header.
    Pcm(Pcm),
}

/// Samples without a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pcm {
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    pub(crate) big_endian: bool,
}

/// Why a content type is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error(
        "unsupported Content-Type; expected audio/wav, audio/mpeg, audio/pcm;rate=…;channels=… or audio/L16;rate=…;channels=…"
    )]
    Unsupported,
    #[error(
        "missing or unsupported rate of audio/pcm or audio/L16; expected one such as rate=16000"
    )]
    Rate,
    #[error("invalid channels; expected 1 or 2")]
    Channels,
}

impl SpeechFormat {
    /// Reads a `Content-Type` (RFC 9110 §8.3.1). `audio/L16` is in network byte order (RFC 3551 §4.5.11),
    /// `audio/pcm` as a sound card and every speech model have it, little-endian.
    pub(crate) fn parse(content_type: &str) -> Result<Self, FormatError> {
        let mut parts = content_type.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let big_endian = match kind.as_str() {
            "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => return Ok(Self::Wav),
            "audio/mpeg" | "audio/mp3" | "audio/x-mp3" | "audio/mpeg3" => return Ok(Self::Mp3),
            "audio/pcm" | "audio/x-pcm" => false,
            "audio/l16" => true,
            _ => return Err(FormatError::Unsupported),
        };
        let (mut sample_rate, mut channels) = (None, Some(1));
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "rate" => sample_rate = value.parse().ok(),
                "channels" => channels = value.parse().ok(),
                _ => {}
            }
        }
        let sample_rate = sample_rate
            .filter(|rate| AudioChunk::SAMPLE_RATES_HZ.contains(rate))
            .ok_or(FormatError::Rate)?;
        let channels =
            channels.filter(|count| (1..=2).contains(count)).ok_or(FormatError::Channels)?;
        Ok(Self::Pcm(Pcm { sample_rate, channels, big_endian }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_say_what_an_upload_is() {
        let pcm = |sample_rate, channels, big_endian| {
            Ok(SpeechFormat::Pcm(Pcm { sample_rate, channels, big_endian }))
        };
        for (text, expected) in [
            ("audio/wav", Ok(SpeechFormat::Wav)),
            ("Audio/X-WAV; codecs=1", Ok(SpeechFormat::Wav)),
            ("audio/mpeg", Ok(SpeechFormat::Mp3)),
            ("audio/pcm;rate=16000;channels=1", pcm(16_000, 1, false)),
            ("audio/pcm; rate=\"24000\"", pcm(24_000, 1, false)),
            ("audio/L16; channels=2; rate=44100", pcm(44_100, 2, true)),
            ("audio/pcm", Err(FormatError::Rate)),
            ("audio/pcm;rate=17", Err(FormatError::Rate)),
            ("audio/pcm;rate=16000;channels=7", Err(FormatError::Channels)),
            ("audio/pcm;rate=16000;channels=two", Err(FormatError::Channels)),
            ("audio/ogg", Err(FormatError::Unsupported)),
            ("application/json", Err(FormatError::Unsupported)),
            ("", Err(FormatError::Unsupported)),
        ] {
            assert_eq!(SpeechFormat::parse(text), expected, "{text}");
        }
    }
}
