//! Any sample rate to any other, by a windowed sinc.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable as _, Async, FixedAsync, Indexing, Resampler as _, Resizable as _,
    SincInterpolationParameters, WindowFunction,
};
use visavis_types::AudioChunk;

use crate::Downmix;

/// Length of the filter in samples of the lower rate: its half is the delay, 1 ms at 16 kHz.
const FILTER_TAPS: usize = 32;
/// The most by which [`Resampler::correct`] changes the rate: a hundredth of a semitone is 580 ppm.
const MAX_CORRECTION: f64 = 0.001;
/// Sample frames the filter takes at once; longer input goes through in pieces.
const MAX_BLOCK: usize = 1_024;

/// Why there is no resampler, or no sound out of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// The rate is none of [`AudioChunk::SAMPLE_RATES_HZ`].
    #[error("a sample rate of {0} Hz; known are 8, 11.025, 12, 16, 22.05, 24, 32, 44.1 and 48 kHz")]
    SampleRate(u32),
    /// Neither mono nor stereo.
    #[error("invalid number of channels {0}; expected 1 or 2")]
    Channels(u16),
    /// The filter refused.
    #[error("resampling failed: {0}")]
    Filter(String),
}

/// Turns a stream of interleaved 16-bit samples into another rate, mono or stereo.
///
/// Stereo becomes mono as [`Downmix`] does it, mono becomes stereo by doubling. Between equal
/// rates nothing is filtered, and with equal channels the samples stay what they are. Going down, what
/// the lower rate cannot carry is taken out first.
///
/// Moves between threads, is used by one at a time.
pub struct Resampler {
    input_channels: usize,
    output_channels: usize,
    downmix: Downmix,
    /// Absent between equal rates that need no correction.
    filter: Option<Filter>,
    /// The last samples that went by, should another filter be needed.
    recent: Vec<i16>,
    input_hz: u32,
    output_hz: u32,
    /// The correction in effect.
    relative: f64,
}

/// The filter and its memory. It works on as few channels as input and output have.
struct Filter {
    sinc: Async<f32>,
    channels: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Sample frames that come out next and were heard already.
    skip: usize,
}

impl Resampler {
    /// Makes a resampler from one rate to another, both of [`AudioChunk::SAMPLE_RATES_HZ`], and from
    /// 1 or 2 channels to 1 or 2.
    ///
    /// # Errors
    ///
    /// For other rates and numbers of channels.
    pub fn new(
        input_hz: u32,
        input_channels: u16,
        output_hz: u32,
        output_channels: u16,
    ) -> Result<Self, ResampleError> {
        let unknown = |rate: &&u32| !AudioChunk::SAMPLE_RATES_HZ.contains(*rate);
        if let Some(&wrong) = [input_hz, output_hz].iter().find(unknown) {
            return Err(ResampleError::SampleRate(wrong));
        }
        if let Some(&wrong) =
            [input_channels, output_channels].iter().find(|c| !(1..=2).contains(*c))
        {
            return Err(ResampleError::Channels(wrong));
        }
        let [input_channels, output_channels] = [input_channels, output_channels].map(usize::from);
        let filter = if input_hz == output_hz {
            None
        } else {
            Some(Filter::new(input_hz, output_hz, input_channels.min(output_channels))?)
        };
        let (recent, relative, downmix) = (Vec::new(), 1.0, Downmix::default());
        Ok(Self {
            input_channels,
            output_channels,
            downmix,
            filter,
            recent,
            input_hz,
            output_hz,
            relative,
        })
    }

    /// By how many output samples per channel the sound is later than it was.
    pub fn delay(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.sinc.output_delay())
    }

    /// Takes samples of any number and appends what they become to `out`; over time that is as
    /// long as the input. Samples that do not fill the last sample frame are ignored.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Filter`], which no input is known to cause.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) -> Result<(), ResampleError> {
        let (from, to) = (self.input_channels, self.output_channels);
        self.remember(samples);
        let Some(filter) = &mut self.filter else {
            for frame in samples.chunks_exact(from) {
                match *frame {
                    [left, right] if to == 1 => {
                        out.push(self.downmix.mix(left, right).round() as i16);
                    }
                    _ => push_frame(frame, to, out),
                }
            }
            return Ok(());
        };
        for block in samples.chunks(MAX_BLOCK * from) {
            filter.input.clear();
            for frame in block.chunks_exact(from) {
                match *frame {
                    [left, right] if to == 1 => {
                        filter.input.push(self.downmix.mix(left, right));
                    }
                    _ => filter.input.extend(frame.iter().map(|&sample| f32::from(sample))),
                }
            }
            let skipped = filter.skip;
            let filtered = filter.run()?.chunks_exact(from.min(to));
            let left = skipped.saturating_sub(filtered.len());
            for frame in filtered.skip(skipped) {
                let mut rounded = [0; 2];
                rounded.iter_mut().zip(frame).for_each(|(to, &from)| *to = from.round() as i16);
                push_frame(rounded.get(..frame.len()).unwrap_or_default(), to, out);
            }
            filter.skip = left;
        }
        Ok(())
    }

    /// Makes so many parts in a million more samples out of what comes from now on, for a source whose
    /// clock is not ours. At most 1,000 in either direction, which is no step that can be heard.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Filter`], which no correction is known to cause.
    pub fn correct(&mut self, ppm: f64) -> Result<(), ResampleError> {
        let relative = 1.0 + (ppm / 1e6).clamp(-MAX_CORRECTION, MAX_CORRECTION);
        if self.filter.is_none() {
            if ppm == 0.0 {
                return Ok(());
            }
            self.begin_to_filter()?;
        }
        self.relative = relative;
        self.filter.as_mut().map_or(Ok(()), |filter| filter.correct(relative, true))
    }

    /// Takes and gives other numbers of channels from now on, 1 or 2. What comes out goes on as if it had been so
    /// all the time, at the sample where it was or the one beside it.
    ///
    /// # Errors
    ///
    /// Other numbers of channels.
    pub fn set_channels(
        &mut self,
        input_channels: u16,
        output_channels: u16,
    ) -> Result<(), ResampleError> {
        if let Some(&wrong) =
            [input_channels, output_channels].iter().find(|c| !(1..=2).contains(*c))
        {
            return Err(ResampleError::Channels(wrong));
        }
        let [input, output] = [input_channels, output_channels].map(usize::from);
        if (self.input_channels, self.output_channels) == (input, output) {
            return Ok(());
        }
        match (self.input_channels, input) {
            (1, 2) => self.recent = self.recent.iter().flat_map(|&sample| [sample; 2]).collect(),
            (2, 1) => {
                let (frames, _) = self.recent.as_chunks::<2>();
                self.recent = frames.iter().map(|[left, right]| left.midpoint(*right)).collect();
            }
            _ => {}
        }
        let before = self.input_channels.min(self.output_channels);
        (self.input_channels, self.output_channels) = (input, output);
        let channels = input.min(output);
        if let Some(old) = self.filter.as_ref().filter(|_| channels != before) {
            let mut filter = Filter::new(self.input_hz, self.output_hz, channels)?;
            filter.correct(self.relative, false)?;
            let skip = old.skip;
            // All that comes of these was heard.
            filter.skip = usize::MAX;
            self.filter = Some(filter);
            let recent = std::mem::take(&mut self.recent);
            self.process(&recent, &mut Vec::new())?;
            self.filter.iter_mut().for_each(|filter| filter.skip = skip);
        }
        Ok(())
    }

    /// Goes on with a filter, at the very sample that would have been the next without.
    fn begin_to_filter(&mut self) -> Result<(), ResampleError> {
        let channels = self.input_channels.min(self.output_channels);
        let mut filter = Filter::new(self.input_hz, self.output_hz, channels)?;
        let recent = std::mem::take(&mut self.recent);
        // The library counts its delay from one sample earlier.
        let delay = filter.sinc.output_delay().saturating_sub(1);
        filter.skip = recent.len() / self.input_channels + delay;
        self.filter = Some(filter);
        self.process(&recent, &mut Vec::new())
    }

    fn remember(&mut self, samples: &[i16]) {
        let most = taps(self.input_hz, self.output_hz) * self.input_channels;
        let kept = samples.get(samples.len().saturating_sub(most)..).unwrap_or_default();
        let excess = (self.recent.len() + kept.len()).saturating_sub(most);
        self.recent.drain(..excess);
        self.recent.extend_from_slice(kept);
    }

    /// Forgets everything that went through, as if new.
    pub fn reset(&mut self) {
        self.recent.clear();
        self.downmix.reset();
        if let Some(filter) = &mut self.filter {
            filter.sinc.reset();
            filter.skip = 0;
        }
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("input_channels", &self.input_channels)
            .field("output_channels", &self.output_channels)
            .field("delay", &self.delay())
            .finish_non_exhaustive()
    }
}

impl Filter {
    fn new(input_hz: u32, output_hz: u32, channels: usize) -> Result<Self, ResampleError> {
        let ratio = f64::from(output_hz) / f64::from(input_hz);
        // Of the windows, Hann keeps the most of the highest frequencies with a filter this short
        // (6.5 kHz out of 16 kHz sound loses 0.3 dB), and leaves noise 65 dB below the sound. Where it
        // ends follows from its length and the lower of the two rates; rubato sees to that. Its length
        // is in input samples, of which the same slope takes more where there are more.
        let taps = taps(input_hz, output_hz);
        let parameters = SincInterpolationParameters::new(taps, WindowFunction::Hann);
        let most = 1.0 + 2.0 * MAX_CORRECTION;
        let sinc =
            Async::new_sinc(ratio, most, &parameters, MAX_BLOCK, channels, FixedAsync::Input)
                .map_err(|error| ResampleError::Filter(error.to_string()))?;
        let output = vec![0.0; sinc.output_frames_max() * channels];
        let input = Vec::with_capacity(MAX_BLOCK * channels);
        Ok(Self { sinc, channels, input, output, skip: 0 })
    }

    /// Makes so much more of what comes from now on, by and by or at once.
    fn correct(&mut self, relative: f64, ramp: bool) -> Result<(), ResampleError> {
        let set = self.sinc.set_resample_ratio_relative(relative, ramp);
        set.map_err(|error| ResampleError::Filter(error.to_string()))
    }

    /// Filters what is in `input`, at most [`MAX_BLOCK`] sample frames of it.
    fn run(&mut self) -> Result<&[f32], ResampleError> {
        let frames = self.input.len() / self.channels;
        if frames == 0 {
            return Ok(&[]);
        }
        let failed = |error: &dyn std::fmt::Display| ResampleError::Filter(error.to_string());
        self.sinc.set_chunk_size(frames).map_err(|error| failed(&error))?;
        let room = self.output.len() / self.channels;
        let input = InterleavedSlice::new(&self.input, self.channels, frames)
            .map_err(|error| failed(&error))?;
        let mut output = InterleavedSlice::new_mut(&mut self.output, self.channels, room)
            .map_err(|error| failed(&error))?;
        let (_, written) = self
            .sinc
            .process_into_buffer(&input, &mut output, Some(&Indexing::new()))
            .map_err(|error| failed(&error))?;
        Ok(self.output.get(..written * self.channels).unwrap_or_default())
    }
}

/// The filter's length in input samples.
fn taps(input_hz: u32, output_hz: u32) -> usize {
    FILTER_TAPS * input_hz.div_ceil(output_hz) as usize
}

/// Appends one sample frame with another number of channels.
fn push_frame(frame: &[i16], channels: usize, out: &mut Vec<i16>) {
    match *frame {
        [mono] if channels == 2 => out.extend([mono, mono]),
        _ => out.extend_from_slice(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL_HZ: u32 = 48_000;

    /// One channel of a tone, from sample frame 0 on or, with a negative `offset`, later.
    fn tone(hz: f64, rate_hz: u32, frames: usize, offset: f64) -> Vec<f64> {
        let sample = |n: usize| {
            let turns = hz * (n as f64 + offset) / f64::from(rate_hz);
            (turns * std::f64::consts::TAU).sin() * 16_000.0
        };
        (0..frames).map(sample).collect()
    }

    fn rounded(samples: &[f64]) -> Vec<i16> {
        samples.iter().map(|sample| sample.round() as i16).collect()
    }

    /// Feeds a stream in chunks of growing, uneven lengths.
    fn in_chunks(resampler: &mut Resampler, samples: &[i16], channels: usize) -> Vec<i16> {
        let (mut out, mut rest, mut frames) = (Vec::new(), samples, 1);
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at((frames * channels).min(rest.len()));
            resampler.process(chunk, &mut out).unwrap();
            (rest, frames) = (tail, frames * 2 % 3_001);
        }
        out
    }

    fn power(samples: impl Iterator<Item = f64>) -> f64 {
        samples.map(|sample| sample * sample).sum()
    }

    /// How well samples fit a tone of the given frequency, whatever its phase and level:
    /// (level relative to the original tone in dB, signal to noise in dB).
    fn fit(samples: &[i16], hz: f64, rate_hz: u32) -> (f64, f64) {
        let count = samples.len();
        let quarter = f64::from(rate_hz) / 4.0 / hz;
        let (sin, cos) = (tone(hz, rate_hz, count, 0.0), tone(hz, rate_hz, count, quarter));
        let dot = |wave: &[f64]| -> f64 {
            let sum: f64 = samples.iter().zip(wave).map(|(&a, b)| f64::from(a) * b).sum();
            sum / power(wave.iter().copied())
        };
        let (a, b) = (dot(&sin), dot(&cos));
        let fitted = |n: usize| a * sin[n] + b * cos[n];
        let noise = power((0..count).map(|n| f64::from(samples[n]) - fitted(n)));
        let signal = power((0..count).map(fitted));
        (20.0 * a.hypot(b).log10(), 10.0 * (signal / noise).log10())
    }

    /// A second of a tone, from one rate to another, without its first and last tenth.
    fn convert_tone(hz: f64, from_hz: u32, to_hz: u32) -> Vec<i16> {
        let mut resampler = Resampler::new(from_hz, 1, to_hz, 1).unwrap();
        let input = rounded(&tone(hz, from_hz, from_hz as usize, 0.0));
        let mut output = in_chunks(&mut resampler, &input, 1);
        let tenth = to_hz as usize / 10;
        output.drain(tenth..tenth * 9).collect()
    }

    #[test]
    fn a_tone_keeps_its_frequency_level_and_purity_between_all_rates() {
        for from_hz in AudioChunk::SAMPLE_RATES_HZ {
            for to_hz in AudioChunk::SAMPLE_RATES_HZ {
                let output = convert_tone(1_000.0, from_hz, to_hz);
                let (level_db, snr_db) = fit(&output, 1_000.0, to_hz);
                println!("{from_hz} → {to_hz} Hz: {level_db:+.3} dB, SNR {snr_db:.1} dB");
                assert!(level_db.abs() < 0.1, "{from_hz} → {to_hz} Hz: {level_db:.2} dB");
                assert!(snr_db >= 60.0, "{from_hz} → {to_hz} Hz: {snr_db:.1} dB");
            }
        }
    }

    #[test]
    fn speech_frequencies_pass_and_images_do_not() {
        for (low_hz, hz) in [(8_000, 3_000.0), (16_000, 6_500.0), (24_000, 10_000.0)] {
            for (from_hz, to_hz) in [(low_hz, FULL_HZ), (FULL_HZ, low_hz)] {
                let (level_db, snr_db) = fit(&convert_tone(hz, from_hz, to_hz), hz, to_hz);
                println!("{from_hz} → {to_hz} Hz: {hz} Hz at {level_db:+.2} dB, {snr_db:.1} dB");
                assert!(level_db > -1.0, "{from_hz} → {to_hz} Hz: {level_db:.2} dB");
                assert!(snr_db >= 60.0, "{from_hz} → {to_hz} Hz: {snr_db:.1} dB");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_does_not_come_back_as_something_else() {
        for (hz, from_hz, to_hz) in [
            (6_000.0, FULL_HZ, 8_000),
            (5_000.0, FULL_HZ, 8_000),
            (5_000.0, 16_000, 8_000),
            (10_000.0, FULL_HZ, 16_000),
            (15_000.0, FULL_HZ, 24_000),
        ] {
            let left = convert_tone(hz, from_hz, to_hz);
            let mean = power(left.iter().map(|&s| f64::from(s))) / left.len() as f64;
            // Relative to the tone as it was; what is all zeros is given as if it were rounding noise.
            let level_db = 10.0 * (mean.max(0.01) / (16_000.0_f64.powi(2) / 2.0)).log10();
            println!("{hz} Hz, {from_hz} → {to_hz} Hz: {level_db:.1} dB");
            assert!(level_db < -60.0, "{hz} Hz, {from_hz} → {to_hz} Hz: {level_db:.1} dB");
        }
    }

    #[test]
    fn chunk_borders_cannot_be_heard() {
        for rate_hz in AudioChunk::SAMPLE_RATES_HZ {
            let noise = |n: usize| ((n * 7_919 % 20_011) as i32 - 10_000) as i16;
            let input: Vec<i16> = (0..20_000).map(noise).collect();
            let mut whole = Vec::new();
            Resampler::new(rate_hz, 2, FULL_HZ, 2).unwrap().process(&input, &mut whole).unwrap();
            let pieces = in_chunks(&mut Resampler::new(rate_hz, 2, FULL_HZ, 2).unwrap(), &input, 2);
            let count = whole.len().min(pieces.len());
            assert!(whole.len().abs_diff(pieces.len()) <= 2, "{} {}", whole.len(), pieces.len());
            // Rounding may fall either way where the position was summed up differently.
            let worst = whole[..count].iter().zip(&pieces).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(1), "{rate_hz} Hz: {worst:?}");
        }
    }

    #[test]
    fn the_output_is_as_long_as_the_input() {
        for rate_hz in AudioChunk::SAMPLE_RATES_HZ {
            let mut resampler = Resampler::new(rate_hz, 1, FULL_HZ, 2).unwrap();
            let mut frames = 0;
            for _ in 0..1_500 {
                let mut out = Vec::new();
                resampler.process(&vec![0; rate_hz as usize / 25], &mut out).unwrap();
                frames += out.len() / 2;
            }
            let missing = 60 * FULL_HZ as usize - frames;
            assert!(missing <= 2 * resampler.delay() + 2, "{rate_hz} Hz: {missing}");
        }
    }

    #[test]
    fn the_delay_is_what_is_said() {
        for (from_hz, to_hz) in [
            (8_000, FULL_HZ),
            (16_000, FULL_HZ),
            (44_100, FULL_HZ),
            (FULL_HZ, 8_000),
            (FULL_HZ, 16_000),
            (24_000, 8_000),
            (8_000, 16_000),
        ] {
            let mut resampler = Resampler::new(from_hz, 1, to_hz, 1).unwrap();
            let mut input = vec![0; 6_000];
            input[1_200] = 20_000;
            let output = in_chunks(&mut resampler, &input, 1);
            let peak = (0..output.len()).max_by_key(|&n| output[n]).unwrap();
            let expected = 1_200 * to_hz as usize / from_hz as usize + resampler.delay();
            println!("{from_hz} → {to_hz} Hz: peak at {peak}, expected at {expected}");
            assert!(peak.abs_diff(expected) <= 1, "{from_hz} → {to_hz} Hz: {peak}, not {expected}");
        }
    }

    #[test]
    fn a_corrected_rate_is_that_much_faster_and_cannot_be_heard() {
        for rate_hz in [16_000, 24_000, 48_000] {
            let mut resampler = Resampler::new(rate_hz, 1, FULL_HZ, 1).unwrap();
            let input = rounded(&tone(440.0, rate_hz, 20 * rate_hz as usize, 0.0));
            let mut output = Vec::new();
            for (second, chunk) in input.chunks(rate_hz as usize).enumerate() {
                for piece in chunk.chunks(rate_hz as usize / 50) {
                    resampler.process(piece, &mut output).unwrap();
                }
                // From nothing to 400 ppm, there and back.
                let ppm = 400.0 * (second as f64 / 19.0 * std::f64::consts::PI).sin();
                resampler.correct(ppm).unwrap();
            }
            let heard = &output[200..]; // A tone has no beginning.
            // A step of a tone of this level and frequency is at most 922; a click would be more.
            let step = heard.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
            assert!(step <= 935, "{rate_hz} Hz: a step of {step}");
            let bend = |w: &[i16]| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs();
            let sharpest = heard.windows(3).map(bend).max().unwrap();
            assert!(sharpest <= 60, "{rate_hz} Hz: bent by {sharpest}");
            // The mean of a half wave, for 19 of 20 seconds.
            let gained = output.len() as f64 - 20.0 * 48_000.0;
            let held_back = resampler.delay() as f64;
            let expected = 400e-6 * 0.637 * 48_000.0 * 19.0;
            assert!(
                (gained - expected).abs() < held_back + 20.0,
                "{rate_hz} Hz: {gained}, not {expected}"
            );
        }
    }

    #[test]
    fn a_reset_resampler_is_a_new_one() {
        let input = rounded(&tone(700.0, 16_000, 5_000, 0.0));
        let mut resampler = Resampler::new(16_000, 1, FULL_HZ, 1).unwrap();
        let first = in_chunks(&mut resampler, &input, 1);
        resampler.reset();
        assert_eq!(in_chunks(&mut resampler, &input, 1), first);
    }

    #[test]
    fn between_equal_rates_samples_stay_what_they_are() {
        let input: Vec<i16> = (0..2_000).map(|n| (n * 31 % 65_536 - 32_768) as i16).collect();
        for rate_hz in AudioChunk::SAMPLE_RATES_HZ {
            for channels in [1, 2] {
                let mut resampler = Resampler::new(rate_hz, channels, rate_hz, channels).unwrap();
                assert_eq!(in_chunks(&mut resampler, &input, channels.into()), input);
                assert_eq!(resampler.delay(), 0);
            }
        }
    }

    #[test]
    fn channels_are_mixed_and_doubled() {
        let convert = |from, to, samples: &[i16]| {
            let mut out = Vec::new();
            Resampler::new(FULL_HZ, from, FULL_HZ, to).unwrap().process(samples, &mut out).unwrap();
            out
        };
        assert_eq!(convert(2, 1, &[100, 300, i16::MAX, i16::MAX, -5, 5]), [200, i16::MAX, 0]);
        assert_eq!(convert(1, 2, &[1, -2]), [1, 1, -2, -2]);
        // An incomplete sample frame at the end is left out.
        assert_eq!(convert(2, 2, &[1, 2, 3]), [1, 2]);
        let mut out = Vec::new();
        let stereo: Vec<i16> = [8_000, 0].repeat(1_600);
        Resampler::new(16_000, 2, FULL_HZ, 1).unwrap().process(&stereo, &mut out).unwrap();
        assert!(out[1_000..4_000].iter().all(|&sample| (3_990..4_010).contains(&sample)));
        out.clear();
        Resampler::new(16_000, 1, FULL_HZ, 2).unwrap().process(&[5_000; 1_600], &mut out).unwrap();
        assert!(out.chunks_exact(2).all(|frame| frame[0] == frame[1]));
    }

    #[test]
    fn sound_goes_on_where_its_channels_change() {
        for rate_hz in [48_000, 44_100, 32_000, 24_000, 16_000, 8_000] {
            let input = rounded(&tone(440.0, rate_hz, rate_hz as usize, 0.0));
            let convert = |changes: &[u16]| {
                let mut resampler = Resampler::new(rate_hz, 1, FULL_HZ, 1).unwrap();
                let mut out = Vec::new();
                for (chunk, channels) in input.chunks(rate_hz as usize / 10).zip(changes) {
                    resampler.set_channels(*channels, *channels).unwrap();
                    let count = usize::from(*channels);
                    let wide: Vec<i16> =
                        chunk.iter().flat_map(|s| std::iter::repeat_n(*s, count)).collect();
                    let mut given = Vec::new();
                    resampler.process(&wide, &mut given).unwrap();
                    out.extend(given.into_iter().step_by(count));
                }
                out
            };
            let (plain, changed) = (convert(&[1; 10]), convert(&[1, 2, 2, 1, 2, 1, 1, 2, 1, 1]));
            // One sample at each change, at most.
            assert!(plain.len().abs_diff(changed.len()) <= 6, "{rate_hz} Hz");
            assert!(rate_hz != FULL_HZ || plain == changed);
            let step = changed.windows(2).map(|two| two[1].abs_diff(two[0])).max().unwrap();
            // The tone itself takes steps of 922.
            println!(
                "{rate_hz} Hz: {} and {} samples, steps of {step}",
                plain.len(),
                changed.len()
            );
            assert!(step < 1_900, "{rate_hz} Hz: a step of {step}");
        }
        let mut resampler = Resampler::new(24_000, 1, FULL_HZ, 1).unwrap();
        assert_eq!(resampler.set_channels(3, 1), Err(ResampleError::Channels(3)));
    }

    #[test]
    fn loud_sound_is_clipped_not_wrapped() {
        let square: Vec<i16> =
            (0..1_600).map(|n| if n / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut out = Vec::new();
        Resampler::new(16_000, 1, FULL_HZ, 1).unwrap().process(&square, &mut out).unwrap();
        // The filter overshoots at the edges; a wrapped sample would jump by almost 65,536.
        let leap = out.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
        assert!(leap < 40_000, "{leap}");
        assert!(out.contains(&i16::MAX));
    }

    #[test]
    fn other_rates_and_channels_are_refused() {
        let new = |from, to: (u32, u16)| Resampler::new(from, 1, to.0, to.1).map(|_| ());
        assert_eq!(new(9_600, (FULL_HZ, 1)), Err(ResampleError::SampleRate(9_600)));
        assert_eq!(new(16_000, (9_600, 1)), Err(ResampleError::SampleRate(9_600)));
        assert_eq!(new(16_000, (8_000, 3)), Err(ResampleError::Channels(3)));
        let silent = Resampler::new(16_000, 0, FULL_HZ, 1).map(|_| ());
        assert_eq!(silent, Err(ResampleError::Channels(0)));
    }
}
