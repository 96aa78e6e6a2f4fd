//! Speech of any rate at the engine's.

use std::collections::VecDeque;

use visavis_codec::{ResampleError, Resampler};

use crate::audio::SAMPLE_RATE_HZ;

/// From any rate to 48 kHz mono, without a delay: as many samples as went in take, no more and no fewer.
#[derive(Debug)]
pub(super) struct Filter {
    inner: Resampler,
    /// Rate and channels.
    pub(super) takes: (u32, u16),
    /// Samples that come out next and are older than what went in.
    skip: usize,
    taken: u64,
    given: u64,
    /// Reused.
    scratch: Vec<i16>,
}

impl Filter {
    pub(super) fn new(rate: u32, channels: u16) -> Result<Self, ResampleError> {
        let inner = Resampler::new(rate, channels, SAMPLE_RATE_HZ, 1)?;
        let (skip, takes, scratch) = (inner.delay(), (rate, channels), Vec::new());
        Ok(Self { inner, takes, skip, taken: 0, given: 0, scratch })
    }

    pub(super) fn process(
        &mut self,
        samples: &[i16],
        out: &mut VecDeque<i16>,
    ) -> Result<(), ResampleError> {
        self.taken += (samples.len() / usize::from(self.takes.1)) as u64;
        self.run(samples, usize::MAX, out)
    }

    /// Gives what it still holds.
    pub(super) fn finish(mut self, out: &mut VecDeque<i16>) -> Result<(), ResampleError> {
        let (rate, channels) = self.takes;
        let owed = self.taken * u64::from(SAMPLE_RATE_HZ) / u64::from(rate);
        let owed = owed.saturating_sub(self.given) as usize;
        let silence = (owed + self.inner.delay() + 1) * rate as usize / SAMPLE_RATE_HZ as usize + 2;
        let before = out.len();
        self.run(&vec![0; silence * usize::from(channels)], owed, out)?;
        out.resize(before + owed, 0);
        Ok(())
    }

    fn run(
        &mut self,
        samples: &[i16],
        most: usize,
        out: &mut VecDeque<i16>,
    ) -> Result<(), ResampleError> {
        self.scratch.clear();
        self.inner.process(samples, &mut self.scratch)?;
        let skipped = self.skip.min(self.scratch.len());
        self.skip -= skipped;
        let before = out.len();
        out.extend(self.scratch.iter().skip(skipped).take(most));
        self.given += (out.len() - before) as u64;
        Ok(())
    }
}
