use crate::OpusError;

/// Samples per channel of the longest Opus packet, 120 ms at 48 kHz (RFC 6716 §2.1.4).
const MAX_PACKET_SAMPLES: usize = 5_760;

/// Decodes Opus packets to 48 kHz, interleaved.
///
/// Moves between threads, is used by one at a time.
pub struct OpusDecoder {
    inner: ::opus::Decoder,
    channels: usize,
}

impl OpusDecoder {
    /// Makes a decoder whose output has 1 or 2 channels, whatever the packets have.
    ///
    /// # Errors
    ///
    /// Another number of channels, or no memory.
    pub fn new(channels: u16) -> Result<Self, OpusError> {
        let layout = match channels {
            1 => ::opus::Channels::Mono,
            2 => ::opus::Channels::Stereo,
            other => return Err(OpusError::Channels(other)),
        };
        let inner = ::opus::Decoder::new(48_000, layout)?;
        Ok(Self { inner, channels: channels.into() })
    }

    /// Decodes one packet and appends its samples to `out`; returns samples per channel.
    ///
    /// # Errors
    ///
    /// A packet that is none; `out` is unchanged then, and decoding can go on with the next.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<usize, OpusError> {
        let before = out.len();
        out.resize(before + MAX_PACKET_SAMPLES * self.channels, 0);
        let decoded = match out.get_mut(before..) {
            Some(room) => self.inner.decode(packet, room, false),
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
    use crate::OPUS_SILENCE;

    #[test]
    fn a_packet_is_appended_and_a_bad_one_changes_nothing() {
        let mut decoder = OpusDecoder::new(2).unwrap();
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
    fn three_channels_are_refused() {
        assert!(matches!(OpusDecoder::new(3), Err(OpusError::Channels(3))));
    }
}
