use ::opus::{Application, Bitrate as OpusBitrate, Channels, Encoder, Signal};
use visavis_types::Bitrate;

use super::config::{OpusApplication, OpusEncoderConfig, OpusError};

/// Sample rate of what is encoded.
const SAMPLE_RATE_HZ: u32 = 48_000;
/// The largest packet with one frame (RFC 6716 §3.4).
const MAX_PACKET_BYTES: usize = 1_276;
/// 0 to 10: what a voice needs; 10 takes twice the time for a difference few hear.
const COMPLEXITY: i32 = 5;
/// How much loss in-band error correction is dimensioned for.
const EXPECTED_LOSS_PERCENT: i32 = 10;
/// Bitrates libopus takes.
const BITRATE_RANGE: (u64, u64) = (6_000, 510_000);

impl From<::opus::Error> for OpusError {
    fn from(error: ::opus::Error) -> Self {
        Self::Library(error.to_string())
    }
}

/// Encodes 48 kHz sound, in-band error correction, where it is on, being made for 10 % loss.
///
/// Moves between threads, is used by one at a time.
#[derive(Debug)]
pub struct OpusEncoder {
    encoder: Encoder,
    frame_samples: usize,
    lookahead: u32,
    /// The next packet must be understood without those before it.
    independent: bool,
}

impl OpusEncoder {
    /// Whether this build has one.
    pub const IS_BUILT: bool = true;

    /// Makes an encoder.
    ///
    /// # Errors
    ///
    /// [`OpusError::Channels`] for anything but mono and stereo.
    pub fn new(config: &OpusEncoderConfig) -> Result<Self, OpusError> {
        let channels = match config.channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            other => return Err(OpusError::Channels(other)),
        };
        let (application, signal) = match config.application {
            OpusApplication::Voip => (Application::Voip, Signal::Voice),
            OpusApplication::Audio => (Application::Audio, Signal::Auto),
        };
        let mut encoder = Encoder::new(SAMPLE_RATE_HZ, channels, application)?;
        encoder.set_signal(signal)?;
        encoder.set_complexity(COMPLEXITY)?;
        encoder.set_dtx(config.settings.dtx)?;
        encoder.set_bitrate(library_bitrate(config.bitrate))?;
        let lookahead = u32::try_from(encoder.get_lookahead()?).unwrap_or(0);
        let frame_samples = config.packet_time.samples() * usize::from(config.channels);
        let mut encoder = Self { encoder, frame_samples, lookahead, independent: false };
        encoder.set_fec(config.settings.fec)?;
        Ok(encoder)
    }

    /// Encodes one frame, channels interleaved, [`samples`](visavis_types::PacketTime::samples) per channel, and appends
    /// the packet to `out`. Returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`OpusError::FrameLength`] for any other number of samples; `out` is unchanged then.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<usize, OpusError> {
        if samples.len() != self.frame_samples {
            let (expected, actual) = (self.frame_samples, samples.len());
            return Err(OpusError::FrameLength { expected, actual });
        }
        let start = out.len();
        out.resize(start + MAX_PACKET_BYTES, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        if self.independent {
            self.encoder.set_prediction_disabled(true)?;
        }
        let result = self.encoder.encode(samples, room);
        out.truncate(start + *result.as_ref().unwrap_or(&0));
        if std::mem::take(&mut self.independent) {
            self.encoder.set_prediction_disabled(false)?;
        }
        Ok(result?)
    }

    /// Begins anew in a stream that another encoder has made so far. `before` is the frame of sound before the
    /// next one, of which the end is still to be sent, or nothing after silence. A decoder then goes on without a
    /// click: it gets what it lacks, and nothing that refers to what it has not got.
    ///
    /// # Errors
    ///
    /// [`OpusError::FrameLength`] for any other number of samples.
    pub fn take_over(&mut self, before: &[i16]) -> Result<(), OpusError> {
        self.encoder.reset_state()?;
        if before.is_empty() {
            return Ok(());
        }
        self.encode(before, &mut Vec::new())?;
        self.independent = true;
        Ok(())
    }

    /// Changes the target rate from the next packet on.
    ///
    /// # Errors
    ///
    /// [`OpusError::Library`], which no bitrate is known to cause.
    pub fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), OpusError> {
        Ok(self.encoder.set_bitrate(library_bitrate(bitrate))?)
    }

    /// Turns in-band error correction on or off, from the next packet on.
    ///
    /// # Errors
    ///
    /// [`OpusError::Library`], which nothing is known to cause.
    pub fn set_fec(&mut self, fec: bool) -> Result<(), OpusError> {
        self.encoder.set_inband_fec(fec)?;
        Ok(self.encoder.set_packet_loss_perc(if fec { EXPECTED_LOSS_PERCENT } else { 0 })?)
    }

    /// By how many samples (of 1/48000 s) the decoded sound is later than the original.
    pub fn lookahead(&self) -> u32 {
        self.lookahead
    }
}

fn library_bitrate(bitrate: Bitrate) -> OpusBitrate {
    OpusBitrate::Bits(bitrate.bps().clamp(BITRATE_RANGE.0, BITRATE_RANGE.1) as i32)
}

#[cfg(test)]
mod tests {
    use visavis_types::{OpusSettings, PacketTime};

    use super::*;
    use crate::{OPUS_NOTHING_BYTES, opus_silence};

    const FRAME_SAMPLES: usize = PacketTime::Ms20.samples();

    fn encoder(channels: u16, application: OpusApplication, kbps: u64) -> OpusEncoder {
        let bitrate = Bitrate::from_kbps(kbps);
        let config = OpusEncoderConfig { channels, application, bitrate, ..Default::default() };
        OpusEncoder::new(&config).unwrap()
    }

    /// A second of a tone that climbs from 200 to 1,200 Hz, the same on all channels.
    fn sweep(channels: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let seconds = n as f64 / f64::from(SAMPLE_RATE_HZ);
            let turns = 200.0 * seconds + 500.0 * seconds * seconds;
            ((turns * std::f64::consts::TAU).sin() * 12_000.0) as i16
        };
        let count = 50 * FRAME_SAMPLES;
        (0..count).flat_map(|n| std::iter::repeat_n(sample(n), channels)).collect()
    }

    /// Normalized correlation of two sounds, the second being `lag` samples later.
    fn correlation(original: &[i16], copy: &[i16], lag: usize) -> f64 {
        let pairs = original.iter().zip(&copy[lag..]).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        pairs.for_each(|(a, b)| (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b));
        ab / (aa * bb).sqrt()
    }

    #[test]
    fn sound_comes_back_later_by_the_lookahead() {
        for (channels, application) in [(1, OpusApplication::Voip), (2, OpusApplication::Audio)] {
            let mut encoder = encoder(channels, application, 64);
            let layout = if channels == 1 { Channels::Mono } else { Channels::Stereo };
            let mut decoder = ::opus::Decoder::new(SAMPLE_RATE_HZ, layout).unwrap();
            let channels = usize::from(channels);
            let (original, mut decoded) = (sweep(channels), Vec::new());
            let mut packet = Vec::new();
            for frame in original.chunks(FRAME_SAMPLES * channels) {
                packet.clear();
                let length = encoder.encode(frame, &mut packet).unwrap();
                assert_eq!(length, packet.len());
                let mut samples = vec![0; frame.len()];
                let count = decoder.decode(&packet, &mut samples, false).unwrap();
                assert_eq!(count, FRAME_SAMPLES);
                decoded.extend(samples.into_iter().step_by(channels));
            }
            let original: Vec<i16> = original.into_iter().step_by(channels).collect();
            let fit = |lag: usize| correlation(&original, &decoded, lag);
            let best = (0..960).max_by(|&a, &b| fit(a).total_cmp(&fit(b))).unwrap();
            let lookahead = encoder.lookahead() as usize;
            assert!(best.abs_diff(lookahead) <= 8, "{application:?}: {best}, not {lookahead}");
            assert!(fit(best) > 0.95, "{application:?}: {}", fit(best));
        }
    }

    #[test]
    fn the_bitrate_is_kept_and_can_be_changed() {
        let mut encoder = encoder(1, OpusApplication::Audio, 32);
        // Noise, so that no bit is saved.
        let mut seed = 1_u32;
        let mut frame = || -> Vec<i16> {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 18) as i16 - 8_192
            };
            (0..FRAME_SAMPLES).map(|_| next()).collect()
        };
        let mut kbps = |encoder: &mut OpusEncoder| {
            let mut out = Vec::new();
            (0..50).for_each(|_| assert!(encoder.encode(&frame(), &mut out).unwrap() > 2));
            out.len() as f64 * 8.0 / 1_000.0
        };
        let low = kbps(&mut encoder);
        encoder.set_bitrate(Bitrate::from_kbps(96)).unwrap();
        let high = kbps(&mut encoder);
        assert!((25.0..40.0).contains(&low), "{low}");
        assert!((75.0..115.0).contains(&high), "{high}");
    }

    #[test]
    fn the_silent_packet_decodes_to_silence() {
        for layout in [Channels::Mono, Channels::Stereo] {
            for time in [PacketTime::Ms10, PacketTime::Ms20] {
                let mut decoder = ::opus::Decoder::new(SAMPLE_RATE_HZ, layout).unwrap();
                for _ in 0..5 {
                    let mut samples = vec![1; FRAME_SAMPLES * layout as usize];
                    let count = decoder.decode(&opus_silence(time), &mut samples, false).unwrap();
                    assert_eq!(count, time.samples());
                    assert!(samples[..count * layout as usize].iter().all(|&sample| sample == 0));
                }
            }
        }
    }

    #[test]
    fn silence_costs_nothing_with_discontinuous_transmission() {
        let packets = |dtx| {
            let settings = OpusSettings::default().dtx(dtx);
            let config = OpusEncoderConfig { settings, ..Default::default() };
            let mut encoder = OpusEncoder::new(&config).unwrap();
            let mut sent = 0;
            for _ in 0..100 {
                let length = encoder.encode(&[0; FRAME_SAMPLES], &mut Vec::new()).unwrap();
                sent += usize::from(length > OPUS_NOTHING_BYTES);
            }
            sent
        };
        assert_eq!(packets(false), 100);
        assert!(packets(true) < 40, "{}", packets(true));
    }

    #[test]
    fn packets_of_ten_milliseconds_have_half_the_samples() {
        let config = OpusEncoderConfig { packet_time: PacketTime::Ms10, ..Default::default() };
        let mut encoder = OpusEncoder::new(&config).unwrap();
        let mut packet = Vec::new();
        assert!(encoder.encode(&[0; FRAME_SAMPLES], &mut packet).is_err());
        encoder.encode(&[0; FRAME_SAMPLES / 2], &mut packet).unwrap();
        assert_eq!(opus::packet::get_nb_samples(&packet, SAMPLE_RATE_HZ).unwrap(), 480);
    }

    #[test]
    fn wrong_settings_and_lengths_are_refused() {
        let config = OpusEncoderConfig { channels: 3, ..Default::default() };
        assert_eq!(OpusEncoder::new(&config).unwrap_err(), OpusError::Channels(3));
        let mut out = vec![7];
        let result = encoder(2, OpusApplication::Voip, 32).encode(&[0; 960], &mut out);
        assert_eq!(result, Err(OpusError::FrameLength { expected: 1_920, actual: 960 }));
        assert_eq!(out, [7]);
    }
}
