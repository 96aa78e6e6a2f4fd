//! The sound of an MP4 file, decoded.

use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units;
use symphonia::default::codecs::AacDecoder;
use visavis_codec::OpusDecoder;

use super::clip::AudioInfo;
use super::movie::AudioConfig;

/// One of the decoders. Its output is interleaved and of a kind the engine takes.
pub(super) enum Decoder {
    Aac(Box<AacDecoder>),
    Opus(OpusDecoder),
}

impl Decoder {
    /// Sets up the decoder a track needs. The error is the end of a sentence: "has …".
    pub(super) fn new(config: &AudioConfig) -> Result<(Self, AudioInfo), String> {
        match config {
            AudioConfig::Opus { channels, .. } => {
                let decoder =
                    OpusDecoder::new(48_000, *channels).map_err(|e| format!("has {e}"))?;
                let info = AudioInfo { rate_hz: 48_000, channels: *channels };
                Ok((Self::Opus(decoder), info))
            }
            AudioConfig::Aac(config) => {
                let mut parameters = AudioCodecParameters::new();
                parameters.for_codec(CODEC_ID_AAC).with_extra_data(config.clone().into());
                let options = AudioDecoderOptions::default();
                let decoder = AacDecoder::try_new(&parameters, &options)
                    .map_err(|e| format!("has AAC sound of a special kind ({e})"))?;
                let found = decoder.codec_params();
                let channels = found.channels.as_ref().map_or(0, |c| c.count()) as u16;
                let rate_hz = found.sample_rate.unwrap_or(0);
                if !visavis::audio::AudioChunk::SAMPLE_RATES_HZ.contains(&rate_hz) {
                    return Err(format!("has sound of {rate_hz} Hz"));
                }
                if !(1..=2).contains(&channels) {
                    return Err(format!("has sound on {channels} channels"));
                }
                Ok((Self::Aac(Box::new(decoder)), AudioInfo { rate_hz, channels }))
            }
        }
    }

    /// Decodes one packet into `out`, replacing what is in there.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), String> {
        out.clear();
        match self {
            Self::Opus(decoder) => decoder.decode(packet, out).map(drop).map_err(|e| e.to_string()),
            Self::Aac(decoder) => {
                let (pts, length) = (units::Timestamp::new(0), units::Duration::new(1_024));
                let packet = Packet::new(0, pts, length, packet);
                let decoded = decoder.decode(&packet).map_err(|e| e.to_string())?;
                decoded.copy_to_vec_interleaved(out);
                Ok(())
            }
        }
    }
}
