use earshot::Detector;

use crate::{ResampleError, Resampler};

/// What the detector hears: 16 ms at 16 kHz.
const RATE_HZ: u32 = 16_000;
const FRAME: usize = 256;

/// Tells speech from other sound, by a small neural network that has heard much of both.
///
/// Moves between threads, is used by one at a time.
pub struct VoiceDetector {
    detector: Box<Detector>,
    resampler: Resampler,
    /// Samples at 16 kHz that make no frame yet.
    pending: Vec<i16>,
}

impl VoiceDetector {
    /// How much sound one verdict is about, in milliseconds.
    pub const FRAME_MS: u32 = FRAME as u32 * 1_000 / RATE_HZ;

    /// A verdict from which on it is speech. White and pink noise up to −16 dBFS never got past 0.7, where
    /// speech gets to 0.9 within some 50 ms and beyond 0.95.
    pub const SPEECH: f32 = 0.75;

    /// A verdict below which it is none. In between, it is what it was before.
    pub const SILENCE: f32 = 0.5;

    /// Makes a detector for one stream, mono, of a rate that [`Resampler`] knows.
    ///
    /// # Errors
    ///
    /// Another rate.
    pub fn new(sample_rate: u32) -> Result<Self, ResampleError> {
        let resampler = Resampler::new(sample_rate, 1, RATE_HZ, 1)?;
        Ok(Self { detector: Detector::default_boxed(), resampler, pending: Vec::new() })
    }

    /// Takes samples of any number; calls `each` for every [`FRAME_MS`](Self::FRAME_MS) with how likely
    /// there is speech in it, from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Filter`], which no input is known to cause.
    pub fn process(
        &mut self,
        samples: &[i16],
        mut each: impl FnMut(f32),
    ) -> Result<(), ResampleError> {
        self.resampler.process(samples, &mut self.pending)?;
        let frames = self.pending.chunks_exact(FRAME);
        let rest = frames.remainder().len();
        for frame in frames {
            each(self.detector.predict_i16(frame));
        }
        self.pending.drain(..self.pending.len() - rest);
        Ok(())
    }
}

impl std::fmt::Debug for VoiceDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoiceDetector").field("resampler", &self.resampler).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fixture's speech, which is at 24 kHz.
    fn speech() -> Vec<i16> {
        let wav = include_bytes!("../../../fixtures/speech.wav");
        let samples = wav.get(44..).unwrap_or_default().chunks_exact(2);
        samples.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    fn share_of_speech(rate_hz: u32, samples: &[i16]) -> f64 {
        let mut detector = VoiceDetector::new(rate_hz).unwrap();
        let (mut frames, mut voiced) = (0, 0);
        // Twenty milliseconds at a time, as packets come.
        for packet in samples.chunks(rate_hz as usize / 50) {
            detector
                .process(packet, |score| {
                    frames += 1;
                    voiced += u32::from(score >= VoiceDetector::SPEECH);
                })
                .unwrap();
        }
        let expected = samples.len() as u32 * 1_000 / rate_hz / VoiceDetector::FRAME_MS;
        assert!(expected - frames <= 1, "{frames} frames, not {expected}");
        f64::from(voiced) / f64::from(frames)
    }

    #[test]
    fn speech_is_speech_at_every_rate() {
        for rate_hz in [8_000, 12_000, 16_000, 24_000, 48_000] {
            let mut samples = Vec::new();
            Resampler::new(24_000, 1, rate_hz, 1)
                .unwrap()
                .process(&speech(), &mut samples)
                .unwrap();
            let share = share_of_speech(rate_hz, &samples);
            println!("{rate_hz} Hz: {share:.2}");
            assert!((0.6..0.95).contains(&share), "{rate_hz} Hz: {share:.2}");
        }
    }

    #[test]
    fn silence_noise_hum_and_clicks_are_none() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16
        };
        let hiss: Vec<i16> = (0..80_000).map(|_| noise() / 16).collect();
        let hum = |n: usize| (n as f64 / 16_000.0 * 50.0 * std::f64::consts::TAU).sin() * 3_000.0;
        let hum: Vec<i16> = (0..80_000).map(|n| hum(n) as i16).collect();
        let clicks: Vec<i16> =
            (0..80_000).map(|n| if n % 8_000 < 16 { 20_000 } else { 0 }).collect();
        for (what, samples) in
            [("silence", vec![0; 80_000]), ("hiss", hiss), ("hum", hum), ("clicks", clicks)]
        {
            let share = share_of_speech(16_000, &samples);
            println!("{what}: {share:.3}");
            assert!(share == 0.0, "{what}: {share:.3}");
        }
    }
}
