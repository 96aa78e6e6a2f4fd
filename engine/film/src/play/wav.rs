//! A WAV file as the sound of a clip, mixed down to two channels where it has more.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};

use super::clip::{AudioInfo, OpenError, broken, unreadable};
use crate::SourceError;

/// The WAV file of the same name beside a file, if there is one.
pub(super) fn beside(path: &Path) -> Option<PathBuf> {
    let wav = path.with_extension("wav");
    wav.is_file().then_some(wav)
}

/// A WAV file being read.
pub(super) struct WavSound {
    path: PathBuf,
    reader: WavReader<BufReader<File>>,
    info: AudioInfo,
}

/// Sample frames read at a time.
const BATCH: usize = 1_024;

impl WavSound {
    /// Opens a file and checks that it is of a kind that can be sent.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let reader = start(path)?;
        let spec = reader.spec();
        let rate_hz = spec.sample_rate;
        if !visavis::audio::AudioChunk::SAMPLE_RATES_HZ.contains(&rate_hz) {
            let reason = format!("has a WAV file of {rate_hz} Hz beside it");
            return Err(OpenError::Unsupported(reason));
        }
        if !(1..=8).contains(&spec.channels) {
            let reason = format!("it has {} channels", spec.channels);
            return Err(broken(path, reason).into());
        }
        let info = AudioInfo { rate_hz, channels: spec.channels.min(2) };
        Ok(Self { path: path.to_owned(), reader, info })
    }

    pub(super) fn info(&self) -> AudioInfo {
        self.info
    }

    /// Appends the next samples; `false` at the end.
    pub(super) fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, SourceError> {
        let spec = self.reader.spec();
        let channels = usize::from(spec.channels);
        let wanted = BATCH * channels;
        let bits = u32::from(spec.bits_per_sample);
        let samples: Result<Vec<f32>, _> = match spec.sample_format {
            SampleFormat::Float => self.reader.samples::<f32>().take(wanted).collect(),
            SampleFormat::Int => {
                let full = (1u64 << bits.clamp(1, 32).saturating_sub(1)) as f32;
                let samples = self.reader.samples::<i32>().take(wanted);
                samples.map(|s| s.map(|s| s as f32 / full)).collect()
            }
        };
        let samples = samples.map_err(|e| broken(&self.path, e.to_string()))?;
        for frame in samples.chunks_exact(channels.max(1)) {
            let (left, right) = to_stereo(frame);
            out.push(to_s16(left));
            if self.info.channels == 2 {
                out.push(to_s16(right));
            }
        }
        Ok(samples.len() == wanted)
    }

    pub(super) fn rewind(&mut self) -> Result<(), SourceError> {
        self.reader = start(&self.path)?;
        Ok(())
    }
}

fn start(path: &Path) -> Result<WavReader<BufReader<File>>, SourceError> {
    WavReader::open(path).map_err(|error| match error {
        hound::Error::IoError(error) => unreadable(path, error),
        other => broken(path, other.to_string()),
    })
}

fn to_s16(sample: f32) -> i16 {
    // A float that is no number becomes silence.
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// Mixes one sample of each channel, in the order WAV files have them (front left and right, centre,
/// bass, back, side), down to left and right. Centre and surround go in at −3 dB, the bass channel
/// is left out, and the sum is scaled so that it cannot clip (ITU-R BS.775).
fn to_stereo(frame: &[f32]) -> (f32, f32) {
    const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let side = |own: f32, others: &[f32]| {
        let sum = own + others.iter().map(|s| s * HALF_POWER).sum::<f32>();
        sum / (1.0 + others.len() as f32 * HALF_POWER)
    };
    match *frame {
        [mono] => (mono, mono),
        [l, r] => (l, r),
        [l, r, c] => (side(l, &[c]), side(r, &[c])),
        [l, r, bl, br] => (side(l, &[bl]), side(r, &[br])),
        [l, r, c, bl, br] | [l, r, c, _, bl, br] => (side(l, &[c, bl]), side(r, &[c, br])),
        [l, r, c, _, back, sl, sr] => (side(l, &[c, back, sl]), side(r, &[c, back, sr])),
        [l, r, c, _, bl, br, sl, sr, ..] => (side(l, &[c, bl, sl]), side(r, &[c, br, sr])),
        [] => (0.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surround_is_mixed_without_the_bass_and_without_clipping() {
        let all_on = to_stereo(&[1.0; 6]);
        assert!((all_on.0 - 1.0).abs() < 1e-6 && (all_on.1 - 1.0).abs() < 1e-6);
        assert_eq!(to_stereo(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), (0.0, 0.0));
        let (l, r) = to_stereo(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert!(l == r && l > 0.25);
        let (l, r) = to_stereo(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(l > 0.25 && r == 0.0);
    }

    #[test]
    fn six_channels_of_24_bits_become_two_of_16() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = hound::WavSpec {
            channels: 6,
            sample_rate: 48_000,
            bits_per_sample: 24,
            sample_format: SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for _ in 0..1_500 {
            for value in [1 << 22, 0, 0, 0, 0, 0] {
                writer.write_sample(value).unwrap();
            }
        }
        writer.finalize().unwrap();
        let mut sound = WavSound::open(&path).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(sound.info(), AudioInfo { rate_hz: 48_000, channels: 2 });
        let mut out = Vec::new();
        while sound.read(&mut out).unwrap() {}
        assert_eq!(out.len(), 3_000);
        assert!(out[0] > 6_000 && out[1] == 0, "{} {}", out[0], out[1]);
        sound.rewind().unwrap();
        assert!(sound.read(&mut out).unwrap());
    }

    #[test]
    fn rates_the_engine_does_not_take_are_left_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 96_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        hound::WavWriter::create(&path, spec).unwrap().finalize().unwrap();
        assert!(matches!(WavSound::open(&path), Err(OpenError::Unsupported(_))));
    }
}
