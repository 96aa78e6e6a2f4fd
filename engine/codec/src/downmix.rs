//! Two channels to one that is as loud.

/// How many sample frames are looked at together: 10 ms at 48 kHz.
const BLOCK: usize = 480;

/// The share of what is known that each block leaves: some 100 ms at 48 kHz.
const KEPT: f32 = 0.9;

/// Where the mean of both channels has less than this share of their power, they cancel each other out.
const CANCELS: f32 = 0.05;

/// From this share on it is the mean again.
const ADDS_UP: f32 = 0.15;

/// Softer sound, in full scale squared, is silence, and decides nothing.
const SILENCE: f32 = 1e-6;

/// Makes one channel of two: their mean, and where they cancel each other out (recorded or cabled in opposite phase)
/// the louder of them alone. It goes over from the one to the other within 10 ms.
///
/// Moves between threads, is used by one at a time.
#[derive(Debug, Default)]
pub struct Downmix {
    /// Power of left, right and mean, as far as it is remembered.
    power: [f32; 3],
    /// The same of the block that is coming in, and how many sample frames it has.
    block: [f32; 3],
    frames: usize,
    /// The share of the one channel in what comes out, and where that goes.
    alone: f32,
    cancels: bool,
    right: bool,
}

impl Downmix {
    /// Mixes one sample of each channel.
    pub fn mix(&mut self, left: i16, right: i16) -> f32 {
        let (left, right) = (f32::from(left), f32::from(right));
        let mean = f32::midpoint(left, right);
        for (sum, sample) in self.block.iter_mut().zip([left, right, mean]) {
            *sum += sample * sample;
        }
        self.frames += 1;
        if self.frames == BLOCK {
            self.decide();
        }
        let step = 1.0 / BLOCK as f32;
        let towards = if self.cancels { step } else { -step };
        self.alone = (self.alone + towards).clamp(0.0, 1.0);
        if self.alone == 0.0 {
            return mean;
        }
        let one = if self.right { right } else { left };
        mean + (one - mean) * self.alone
    }

    /// Forgets what was heard, as if new.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn decide(&mut self) {
        const FULL_SCALE: f32 = 32_768.0 * 32_768.0;
        for (power, block) in self.power.iter_mut().zip(&mut self.block) {
            let now = *block / (BLOCK as f32 * FULL_SCALE);
            *power = *power * KEPT + now * (1.0 - KEPT);
            *block = 0.0;
        }
        self.frames = 0;
        let [left, right, mean] = self.power;
        let both = f32::midpoint(left, right);
        if both < SILENCE {
            return;
        }
        if mean < both * CANCELS {
            // The other channel only where nothing of this one is heard yet: no jump.
            if self.alone == 0.0 {
                self.right = right > left;
            }
            self.cancels = true;
        } else if mean > both * ADDS_UP {
            self.cancels = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(n: usize, hz: f64) -> f64 {
        (n as f64 / 48_000.0 * hz * std::f64::consts::TAU).sin() * 10_000.0
    }

    /// The level of what comes out of a second of it, after the first fifth.
    fn level(mut channels: impl FnMut(usize) -> (f64, f64)) -> f64 {
        let mut mix = Downmix::default();
        let out: Vec<f64> = (0..48_000)
            .map(|n| {
                let (left, right) = channels(n);
                f64::from(mix.mix(left as i16, right as i16))
            })
            .collect();
        let step = out.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f64::max);
        assert!(step < 1_500.0, "a jump of {step}");
        let heard = &out[9_600..];
        (heard.iter().map(|sample| sample * sample).sum::<f64>() / heard.len() as f64).sqrt()
    }

    #[test]
    fn one_channel_of_two_is_never_silent_and_keeps_its_level() {
        let alone = 10_000.0 / 2.0_f64.sqrt();
        for (name, level) in [
            ("alike", level(|n| (tone(n, 440.0), tone(n, 440.0)))),
            ("opposite", level(|n| (tone(n, 440.0), -tone(n, 440.0)))),
            ("nearly opposite", level(|n| (tone(n, 440.0), -0.9 * tone(n, 440.0)))),
        ] {
            assert!((level / alone - 1.0).abs() < 0.05, "{name}: {level} of {alone}");
        }
        // Each with a voice of its own: both are heard.
        let both = level(|n| (tone(n, 440.0), tone(n, 700.0)));
        assert!((both / alone - 0.5_f64.sqrt()).abs() < 0.05, "{both}");
        let one = level(|n| (tone(n, 440.0), 0.0));
        assert!((one / alone - 0.5).abs() < 0.05, "{one}");
    }

    #[test]
    fn channels_that_are_alike_come_out_as_they_are() {
        let mut mix = Downmix::default();
        assert!((-3_000..3_000).all(|sample: i16| mix.mix(sample, sample) == f32::from(sample)));
    }
}
