//! From the packets of one microphone to samples of one rate, whatever they are encoded with.

use std::time::Duration;

use visavis_bitstream::opus;
use visavis_codec::{G711Decoder, G711Law, OpusDecoder, OpusError, ResampleError, Resampler};
use visavis_types::AudioCodec;

/// Why a packet became no sound.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error(transparent)]
    Opus(#[from] OpusError),
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// Decodes what one viewer says, mono.
#[derive(Debug)]
pub(super) struct Decoder {
    sample_rate: u32,
    codec: AudioCodec,
    inner: Inner,
    /// How long the last packet was, in samples of the codec's output.
    packet_samples: usize,
}

#[derive(Debug)]
enum Inner {
    /// Decodes straight to the rate that is wanted.
    Opus(OpusDecoder),
    G711(Box<G711>),
}

#[derive(Debug)]
struct G711 {
    decoder: G711Decoder,
    resampler: Resampler,
    /// At 8 kHz; reused.
    narrow: Vec<i16>,
}

impl Inner {
    fn new(codec: AudioCodec, sample_rate: u32) -> Result<Self, DecodeError> {
        let law = match codec {
            AudioCodec::Opus => return Ok(Self::Opus(OpusDecoder::new(sample_rate, 1)?)),
            AudioCodec::Pcmu => G711Law::Mu,
            AudioCodec::Pcma => G711Law::A,
        };
        let resampler = Resampler::new(G711Law::SAMPLE_RATE_HZ, 1, sample_rate, 1)?;
        let (decoder, narrow) = (G711Decoder::new(law), Vec::new());
        Ok(Self::G711(Box::new(G711 { decoder, resampler, narrow })))
    }
}

impl Decoder {
    /// A decoder whose output has one of [`OpusDecoder::SAMPLE_RATES_HZ`].
    pub(super) fn new(codec: AudioCodec, sample_rate: u32) -> Result<Self, DecodeError> {
        let inner = Inner::new(codec, sample_rate)?;
        let mut made = Self { sample_rate, codec, inner, packet_samples: 0 };
        made.packet_samples = made.rate() as usize / 50;
        Ok(made)
    }

    /// A new stream begins, perhaps of another codec.
    pub(super) fn restart(&mut self, codec: AudioCodec) -> Result<(), DecodeError> {
        if codec != self.codec {
            *self = Self::new(codec, self.sample_rate)?;
            return Ok(());
        }
        match &mut self.inner {
            Inner::Opus(decoder) => decoder.reset()?,
            Inner::G711(g711) => {
                g711.decoder.reset();
                g711.resampler.reset();
            }
        }
        Ok(())
    }

    pub(super) fn codec(&self) -> AudioCodec {
        self.codec
    }

    /// By how much the sound is later than it was.
    pub(super) fn delay(&self) -> Duration {
        match &self.inner {
            Inner::Opus(_) => Duration::ZERO,
            Inner::G711(g711) => duration(g711.resampler.delay(), self.sample_rate),
        }
    }

    /// How long the last packet was.
    pub(super) fn packet_duration(&self) -> Duration {
        duration(self.packet_samples, self.rate())
    }

    /// Decodes a packet and appends its samples to `out`.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), DecodeError> {
        if packet.is_empty() {
            return Ok(()); // To libopus it would mean a lost packet of the greatest length.
        }
        let decoded = match &mut self.inner {
            Inner::Opus(decoder) => decoder.decode(packet, out)?,
            Inner::G711(g711) => {
                let G711 { decoder, resampler, narrow } = &mut **g711;
                narrow.clear();
                decoder.decode(packet, narrow);
                resampler.process(narrow, out)?;
                narrow.len()
            }
        };
        if decoded > 0 {
            self.packet_samples = decoded;
        }
        Ok(())
    }

    /// Makes up for a packet as long as the last one, and appends that to `out`. The packet after the
    /// lost one, where it is there, may carry a second, coarser copy of it.
    pub(super) fn conceal(
        &mut self,
        next: Option<&[u8]>,
        out: &mut Vec<i16>,
    ) -> Result<(), DecodeError> {
        let samples = self.packet_samples;
        match (&mut self.inner, next) {
            (Inner::Opus(decoder), Some(next)) => drop(decoder.recover(next, samples, out)?),
            (Inner::Opus(decoder), None) => drop(decoder.conceal(samples, out)?),
            (Inner::G711(g711), _) => {
                let G711 { decoder, resampler, narrow } = &mut **g711;
                narrow.clear();
                decoder.conceal(samples, narrow);
                resampler.process(narrow, out)?;
            }
        }
        Ok(())
    }

    /// Of what the codec itself puts out.
    fn rate(&self) -> u32 {
        match self.inner {
            Inner::Opus(_) => self.sample_rate,
            Inner::G711(_) => G711Law::SAMPLE_RATE_HZ,
        }
    }
}

/// How long a packet says that it plays; of what is no packet nothing.
pub(super) fn duration_of(codec: AudioCodec, packet: &[u8]) -> Duration {
    match codec {
        AudioCodec::Opus => duration(opus::duration(packet).unwrap_or(0) as usize, 48_000),
        AudioCodec::Pcmu | AudioCodec::Pcma => duration(packet.len(), G711Law::SAMPLE_RATE_HZ),
    }
}

fn duration(samples: usize, rate_hz: u32) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / u64::from(rate_hz))
}
