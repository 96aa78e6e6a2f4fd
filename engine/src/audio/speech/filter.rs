//! Speech of any rate at the engine's.

use visavis_codec::{ResampleError, Resampler};

use crate::audio::block::SAMPLE_RATE_HZ;
use crate::audio::sound::SoundQueue;

/// From any rate to 48 kHz, without a delay: as many samples as went in take, no more and no fewer.
#[derive(Debug)]
pub(super) struct Filter {
    inner: Resampler,
    pub(super) rate: u32,
    stereo: bool,
    /// Samples on each channel that come out next and are older than what went in.
    skip: usize,
    taken: u64,
    given: u64,
    /// Reused.
    scratch: Vec<i16>,
}

impl Filter {
    pub(super) fn new(rate: u32, channels: u16) -> Result<Self, ResampleError> {
        let inner = Resampler::new(rate, channels, SAMPLE_RATE_HZ, channels)?;
        let (skip, stereo, scratch) = (inner.delay(), channels > 1, Vec::new());
        Ok(Self { inner, rate, stereo, skip, taken: 0, given: 0, scratch })
    }

    pub(super) fn process(
        &mut self,
        samples: &[i16],
        channels: u16,
        out: &mut SoundQueue,
    ) -> Result<(), ResampleError> {
        self.inner.set_channels(channels, channels)?;
        self.stereo = channels > 1;
        self.taken += (samples.len() >> usize::from(self.stereo)) as u64;
        self.run(samples, usize::MAX, out)
    }

    /// Gives what it still holds.
    pub(super) fn finish(mut self, out: &mut SoundQueue) -> Result<(), ResampleError> {
        let (rate, stereo) = (self.rate, self.stereo);
        let owed = self.taken * u64::from(SAMPLE_RATE_HZ) / u64::from(rate);
        let owed = owed.saturating_sub(self.given) as usize;
        let silence = (owed + self.inner.delay() + 1) * rate as usize / SAMPLE_RATE_HZ as usize + 2;
        let before = out.len();
        self.run(&vec![0; silence << usize::from(stereo)], owed, out)?;
        out.push_silence((before + owed).saturating_sub(out.len()));
        Ok(())
    }

    /// `most` is how many samples of each channel may come out.
    fn run(
        &mut self,
        samples: &[i16],
        most: usize,
        out: &mut SoundQueue,
    ) -> Result<(), ResampleError> {
        self.scratch.clear();
        self.inner.process(samples, &mut self.scratch)?;
        let frames = self.scratch.len() >> usize::from(self.stereo);
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let until = frames.min(skipped.saturating_add(most));
        let given = skipped << usize::from(self.stereo)..until << usize::from(self.stereo);
        out.push(self.scratch.get(given).unwrap_or_default(), self.stereo);
        self.given += (until - skipped) as u64;
        Ok(())
    }
}
