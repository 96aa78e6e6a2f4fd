//! Samples on their way, of one channel or two.

use std::collections::VecDeque;

/// Sound at 48 kHz.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sound {
    /// Interleaved.
    pub(crate) samples: Vec<i16>,
    /// Two channels, not one.
    pub(crate) stereo: bool,
}

impl Sound {
    #[cfg(test)]
    pub(super) fn mono(samples: &[i16]) -> Self {
        Self { samples: samples.to_vec(), stereo: false }
    }

    /// The left channel, or the only one.
    #[cfg(test)]
    pub(super) fn left(&self) -> Vec<i16> {
        self.samples.iter().copied().step_by(1 << usize::from(self.stereo)).collect()
    }

    /// How many samples each channel has.
    pub(super) fn frames(&self) -> usize {
        self.samples.len() >> usize::from(self.stereo)
    }

    /// Becomes nothing, of one channel or two.
    pub(super) fn begin(&mut self, stereo: bool) {
        self.samples.clear();
        self.stereo = stereo;
    }

    /// Gets two channels that are alike where it had one.
    pub(super) fn widen(&mut self) {
        if std::mem::replace(&mut self.stereo, true) {
            return;
        }
        let frames = self.samples.len();
        self.samples.resize(frames * 2, 0);
        for frame in (0..frames).rev() {
            let sample = self.samples[frame];
            self.samples[frame * 2..][..2].fill(sample);
        }
    }

    /// Gets so many sample frames: what it lacks is silence.
    pub(super) fn resize(&mut self, frames: usize) {
        self.samples.resize(frames << usize::from(self.stereo), 0);
    }

    /// Adds its samples to these, as far as there are any.
    pub(super) fn mix_into(&mut self, other: &mut Self) {
        if self.stereo {
            other.widen();
        } else if other.stereo {
            self.widen();
        }
        for (sample, under) in other.samples.iter_mut().zip(&self.samples) {
            *sample = sample.saturating_add(*under);
        }
    }
}

/// Sound that waits: each stretch of it with its own number of channels.
#[derive(Debug, Default)]
pub(super) struct SoundQueue {
    samples: VecDeque<i16>,
    stretches: VecDeque<Stretch>,
    frames: usize,
}

#[derive(Debug)]
struct Stretch {
    frames: usize,
    stereo: bool,
}

impl SoundQueue {
    /// How many samples wait on each channel.
    pub(super) fn len(&self) -> usize {
        self.frames
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Appends interleaved samples.
    pub(super) fn push(&mut self, samples: &[i16], stereo: bool) {
        self.note(samples.len() >> usize::from(stereo), stereo);
        self.samples.extend(samples);
    }

    /// Appends silence, which has as many channels as what is before it.
    pub(super) fn push_silence(&mut self, frames: usize) {
        let stereo = self.stretches.back().is_some_and(|last| last.stereo);
        self.note(frames, stereo);
        self.samples.extend(std::iter::repeat_n(0, frames << usize::from(stereo)));
    }

    fn note(&mut self, frames: usize, stereo: bool) {
        match self.stretches.back_mut().filter(|last| last.stereo == stereo) {
            Some(last) => last.frames += frames,
            None if frames > 0 => self.stretches.push_back(Stretch { frames, stereo }),
            None => {}
        }
        self.frames += frames;
    }

    /// Takes the first of it, as far as there is so much, in place of what is in `out`: with two channels where any
    /// of it has two.
    pub(super) fn take(&mut self, frames: usize, out: &mut Sound) {
        out.begin(false);
        self.take_each(frames, |samples, stereo| {
            if stereo {
                out.widen();
            }
            match out.stereo && !stereo {
                true => out.samples.extend(samples.flat_map(|sample| [sample; 2])),
                false => out.samples.extend(samples),
            }
        });
    }

    /// Drops the first of it.
    pub(super) fn skip(&mut self, frames: usize) {
        self.take_each(frames, |_, _| {});
    }

    pub(super) fn clear(&mut self) {
        self.skip(self.frames);
    }

    fn take_each(
        &mut self,
        frames: usize,
        mut each: impl FnMut(std::collections::vec_deque::Drain<'_, i16>, bool),
    ) {
        let mut left = frames.min(self.frames);
        self.frames -= left;
        while left > 0
            && let Some(first) = self.stretches.front_mut()
        {
            let (count, stereo) = (left.min(first.frames), first.stereo);
            first.frames -= count;
            left -= count;
            if first.frames == 0 {
                self.stretches.pop_front();
            }
            each(self.samples.drain(..count << usize::from(stereo)), stereo);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_keeps_its_channels_and_a_packet_of_both_has_two() {
        let (mut queue, mut packet) = (SoundQueue::default(), Sound::default());
        queue.push(&[1, 2, 3], false);
        queue.push(&[4, -4, 5, -5], true);
        queue.push_silence(1);
        queue.push(&[6, 7], false);
        assert_eq!(queue.len(), 8);
        queue.take(2, &mut packet);
        assert_eq!((&*packet.samples, packet.stereo), (&[1, 2][..], false));
        queue.take(2, &mut packet);
        assert_eq!((&*packet.samples, packet.stereo), (&[3, 3, 4, -4][..], true));
        queue.take(3, &mut packet);
        assert_eq!((&*packet.samples, packet.stereo), (&[5, -5, 0, 0, 6, 6][..], true));
        queue.take(9, &mut packet);
        assert_eq!((&*packet.samples, packet.stereo), (&[7][..], false));
        queue.take(1, &mut packet);
        assert!(queue.is_empty() && packet.samples.is_empty());
    }

    #[test]
    fn what_is_mixed_has_the_channels_of_both() {
        let mut over = Sound { samples: vec![10, 20, 30], stereo: false };
        let mut under = Sound { samples: vec![1, -1, 2, -2], stereo: true };
        under.mix_into(&mut over);
        assert_eq!(over, Sound { samples: vec![11, 9, 22, 18, 30, 30], stereo: true });
        Sound { samples: vec![5], stereo: false }.mix_into(&mut over);
        assert_eq!(over.samples, [16, 14, 22, 18, 30, 30]);
    }
}
