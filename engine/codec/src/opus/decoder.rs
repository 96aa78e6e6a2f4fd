use super::config::{DECODER_RATES_HZ, OpusError};

/// The longest Opus packet (RFC 6716 §2.1.4).
const MAX_PACKET_MS: usize = 120;

/// Decodes Opus packets to 8, 12, 16, 24 or 48 kHz, interleaved.
///
/// Moves between threads, is used by one at a time.
pub struct OpusDecoder {
    inner: ::opus::Decoder,
    sample_rate: u32,
    channels: usize,
}

impl OpusDecoder {
    /// The rates it decodes to.
    pub const SAMPLE_RATES_HZ: [u32; 5] = DECODER_RATES_HZ;

    /// Makes a decoder whose output has this rate and 1 or 2 channels, whatever the packets have.
    ///
    /// # Errors
    ///
    /// Another rate or number of channels, or no memory.
    pub fn new(sample_rate: u32, channels: u16) -> Result<Self, OpusError> {
        let layout = match channels {
            1 => ::opus::Channels::Mono,
            2 => ::opus::Channels::Stereo,
            other => return Err(OpusError::Channels(other)),
        };
        let inner = ::opus::Decoder::new(sample_rate, layout)?;
        Ok(Self { inner, sample_rate, channels: channels.into() })
    }

    /// Decodes one packet and appends its samples to `out`; returns samples per channel.
    ///
    /// # Errors
    ///
    /// A packet that is none; `out` is unchanged then, and decoding can go on with the next.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<usize, OpusError> {
        let room = self.sample_rate as usize / 1_000 * MAX_PACKET_MS;
        self.append(packet, room, false, out)
    }

    /// Makes up for a lost packet of so many samples per channel, and appends that to `out`.
    ///
    /// # Errors
    ///
    /// A length that no packet has.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> Result<usize, OpusError> {
        self.append(&[], samples, false, out)
    }

    /// As [`conceal`](Self::conceal), from the packet after the lost one: it may carry a second copy of
    /// it (in-band FEC, RFC 6716 §2.1.7).
    ///
    /// # Errors
    ///
    /// A length that no packet has, or a packet that is none.
    pub fn recover(
        &mut self,
        next: &[u8],
        samples: usize,
        out: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        self.append(next, samples, true, out)
    }

    fn append(
        &mut self,
        packet: &[u8],
        room: usize,
        fec: bool,
        out: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        let before = out.len();
        out.resize(before + room * self.channels, 0);
        let decoded = match out.get_mut(before..) {
            Some(room) => self.inner.decode(packet, room, fec),
            None => Ok(0),
        };
        let kept = decoded.as_ref().map_or(0, |&samples| samples * self.channels);
        out.truncate(before + kept);
        Ok(decoded?)
    }

    /// Forgets what came before, as at the start of a stream.
    ///
    /// # Errors
    ///
    /// What the library says; it has no reason to.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        Ok(self.inner.reset_state()?)
    }
}

impl std::fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpusDecoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opus_silence;
    use visavis_types::PacketTime;

    const OPUS_SILENCE: [u8; 3] = opus_silence(PacketTime::Ms20);

    #[test]
    fn a_packet_is_appended_and_a_bad_one_changes_nothing() {
        let mut decoder = OpusDecoder::new(48_000, 2).unwrap();
        let mut out = vec![7; 3];
        assert_eq!(decoder.decode(&OPUS_SILENCE, &mut out), Ok(960));
        assert_eq!(out.len(), 3 + 960 * 2);
        assert_eq!(out.get(..3), Some(&[7; 3][..]));
        assert!(decoder.decode(&[0xff; 40], &mut out).is_err());
        assert_eq!(out.len(), 3 + 960 * 2);
        decoder.reset().unwrap();
        assert_eq!(decoder.decode(&OPUS_SILENCE, &mut out), Ok(960));
    }

    #[test]
    fn a_lost_packet_takes_as_long_as_it_would_have() {
        let mut decoder = OpusDecoder::new(16_000, 1).unwrap();
        let mut out = Vec::new();
        assert_eq!(decoder.decode(&OPUS_SILENCE, &mut out), Ok(320));
        assert_eq!(decoder.conceal(320, &mut out), Ok(320));
        assert_eq!(decoder.recover(&OPUS_SILENCE, 320, &mut out), Ok(320));
        assert!(decoder.conceal(321, &mut out).is_err());
        assert!(decoder.recover(&[0xff; 9], 320, &mut out).is_err());
        assert_eq!(out.len(), 960);
    }

    #[test]
    fn three_channels_are_refused() {
        assert!(matches!(OpusDecoder::new(48_000, 3), Err(OpusError::Channels(3))));
    }
}
