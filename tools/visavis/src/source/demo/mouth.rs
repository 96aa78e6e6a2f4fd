//! From the sound of speech to the shape of a mouth.
//!
//! Every 10 ms the power in a few bands is compared. The power in the bands of the vowels determines how far the mouth
//! opens; the second formant, whether the lips are wide as in "see" or round as in "you"; noise without voice is an `s`
//! or `f`, which shows teeth. The whole clip is available, so smoothing works in both directions and adds no delay.

use std::f32::consts::TAU;
use std::time::Duration;

/// The mouth's shape at one moment; all values 0 to 1 unless documented otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MouthShape {
    /// How far the lips are apart.
    pub open: f32,
    /// −1 narrow … 1 wide.
    pub width: f32,
    /// How much the lips are pushed forward into a ring.
    pub round: f32,
    /// How much of the teeth a hiss shows.
    pub hiss: f32,
    /// Loudness over the last quarter of a second or so: moves brows and head.
    pub stress: f32,
}

impl MouthShape {
    pub(super) fn map2(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self {
            open: f(self.open, other.open),
            width: f(self.width, other.width),
            round: f(self.round, other.round),
            hiss: f(self.hiss, other.hiss),
            stress: f(self.stress, other.stress),
        }
    }
}

/// The mouth's shapes over the length of a clip.
#[derive(Debug)]
pub struct MouthTrack {
    shapes: Vec<MouthShape>,
}

pub(super) const HOPS_PER_SECOND: usize = 100;
const BIN_HZ: usize = 150;
const BINS: usize = 46;

impl MouthTrack {
    /// Listens to a mono clip.
    pub fn analyse(samples: &[i16], rate_hz: u32) -> Self {
        let hop = (rate_hz as usize / HOPS_PER_SECOND).max(1);
        let spectrum = Spectrum::new(rate_hz, hop * 3);
        let bands: Vec<Bands> = (0..samples.len().div_ceil(hop))
            .map(|i| spectrum.bands(samples, (i * hop) as isize - hop as isize))
            .collect();
        let loudest = percentile(bands.iter().map(|b| decibel(b.voice)), 0.95);
        let raw: Vec<MouthShape> = bands.iter().map(|b| b.shape(loudest)).collect();

        let quick = smooth(&raw, 2.2);
        let calm = smooth(&raw, 4.0);
        let slow = smooth(&raw, 14.0);
        let fullest = percentile(quick.iter().map(|s| s.open), 0.97).max(0.01);
        let join = |((quick, calm), slow): ((&MouthShape, &MouthShape), &MouthShape)| MouthShape {
            open: (quick.open / fullest).min(1.0),
            width: calm.width,
            round: calm.round,
            hiss: quick.hiss,
            stress: (slow.open / fullest * 1.4).min(1.0),
        };
        Self { shapes: quick.iter().zip(&calm).zip(&slow).map(join).collect() }
    }

    /// The shape at a moment of the clip; closed and still outside it.
    pub fn at(&self, moment: Duration) -> MouthShape {
        // Hop `i` looks at the 30 ms around its middle, half a hop after its start.
        let place = moment.as_secs_f32() * HOPS_PER_SECOND as f32 - 0.5;
        let before = place.floor();
        let shape = |i: f32| {
            let found = (i >= 0.0).then(|| self.shapes.get(i as usize)).flatten();
            found.copied().unwrap_or_default()
        };
        let share = place - before;
        shape(before).map2(shape(before + 1.0), |a, b| a + (b - a) * share)
    }
}

/// Power in the bands that distinguish mouth shapes.
pub(super) struct Bands {
    /// 150–450 Hz: voiced sound, also with closed lips.
    hum: f32,
    /// 450–1050 Hz: strong first formant, an open mouth.
    open: f32,
    /// 450–2850 Hz: all that gets out through open lips.
    pub(super) voice: f32,
    /// 600–1350 Hz.
    back: f32,
    /// 1650–2850 Hz: second formant of wide vowels.
    front: f32,
    /// 3.6–6.9 kHz.
    hiss: f32,
}

impl Bands {
    pub(super) fn shape(&self, loudest_db: f32) -> MouthShape {
        let level = decibel(self.voice) - loudest_db;
        let speaking = ramp(level, -34.0, -16.0);
        let loud = ramp(level, -30.0, 0.0);
        let openness = ramp(decibel(self.open) - decibel(self.hum), -12.0, 8.0);
        let hiss = ramp(decibel(self.hiss) - decibel(self.voice), -4.0, 12.0)
            * ramp(decibel(self.hiss) - loudest_db, -42.0, -24.0);
        let tilt = decibel(self.front) - decibel(self.back);
        let round = ramp(-tilt, 15.0, 32.0) * speaking * (1.0 - hiss);
        let wide = ramp(tilt, -14.0, 4.0) * speaking;
        MouthShape {
            open: (loud * (0.35 + 0.65 * openness) * (1.0 - 0.8 * hiss)).max(0.12 * hiss),
            width: (wide + 0.5 * hiss - round).clamp(-1.0, 1.0),
            round,
            hiss,
            stress: 0.0,
        }
    }
}

/// A small Fourier transform: one cosine and one sine table per bin, under a Hann window.
pub(super) struct Spectrum {
    tables: Vec<Vec<(f32, f32)>>,
    window: usize,
}

impl Spectrum {
    pub(super) fn new(rate_hz: u32, window: usize) -> Self {
        let table = |bin: usize| {
            let turn = TAU * ((bin + 1) * BIN_HZ) as f32 / rate_hz as f32;
            (0..window)
                .map(|i| {
                    let hann = 0.5 - 0.5 * (TAU * (i as f32 + 0.5) / window as f32).cos();
                    let angle = turn * i as f32;
                    (hann * angle.cos(), hann * angle.sin())
                })
                .collect()
        };
        // Frequencies a low sample rate does not carry are left out and count as silent.
        let carried = (0..BINS).take_while(|bin| (bin + 1) * BIN_HZ * 2 < rate_hz as usize);
        Self { tables: carried.map(table).collect(), window }
    }

    pub(super) fn bands(&self, samples: &[i16], start: isize) -> Bands {
        let from = start.max(0) as usize;
        let to = (start + self.window as isize).clamp(0, samples.len() as isize) as usize;
        let skip = (from as isize - start) as usize;
        let piece = samples.get(from..to).unwrap_or_default();
        let power: Vec<f32> = self
            .tables
            .iter()
            .map(|table| {
                let (mut re, mut im) = (0.0, 0.0);
                for (&sample, &(cos, sin)) in piece.iter().zip(table.iter().skip(skip)) {
                    re += f32::from(sample) * cos;
                    im += f32::from(sample) * sin;
                }
                (re * re + im * im) / (self.window as f32 * 32_768.0).powi(2)
            })
            .collect();
        let sum = |from_hz: usize, to_hz: usize| {
            let bins = from_hz / BIN_HZ - 1..to_hz / BIN_HZ;
            power.iter().take(bins.end).skip(bins.start).sum::<f32>()
        };
        Bands {
            hum: sum(150, 450),
            open: sum(450, 1_050),
            voice: sum(450, 2_850),
            back: sum(600, 1_350),
            front: sum(1_650, 2_850),
            hiss: sum(3_600, 6_900),
        }
    }
}

pub(super) fn decibel(power: f32) -> f32 {
    10.0 * (power + 1e-9).log10()
}

/// 0 up to `from`, 1 from `to` on, a straight line between.
fn ramp(value: f32, from: f32, to: f32) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

fn percentile(values: impl Iterator<Item = f32>, share: f32) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    let at = (sorted.len() as f32 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A Gaussian average over neighbours; `sigma` in hops.
fn smooth(shapes: &[MouthShape], sigma: f32) -> Vec<MouthShape> {
    let reach = (3.0 * sigma) as isize;
    let weight = |d: isize| (-0.5 * (d as f32 / sigma).powi(2)).exp();
    let total: f32 = (-reach..=reach).map(weight).sum();
    (0..shapes.len() as isize)
        .map(|i| {
            let mut mean = MouthShape::default();
            for d in -reach..=reach {
                let Ok(at) = usize::try_from(i + d) else { continue };
                let Some(&shape) = shapes.get(at) else { continue };
                mean = mean.map2(shape, |sum, value| sum + value * weight(d) / total);
            }
            mean
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 24_000;

    /// Formants as plain tones: enough for the band comparison.
    fn vowel(seconds: f32, tones: &[(f32, f32)]) -> Vec<i16> {
        (0..(seconds * RATE as f32) as usize)
            .map(|i| {
                let t = i as f32 / RATE as f32;
                let sum: f32 = tones.iter().map(|&(hz, level)| level * (TAU * hz * t).sin()).sum();
                (sum * 8_000.0) as i16
            })
            .collect()
    }

    #[test]
    fn silence_keeps_the_mouth_shut_and_sound_opens_it() {
        let mut clip = vec![0; RATE as usize / 2];
        clip.extend(vowel(0.5, &[(150.0, 0.5), (750.0, 1.0), (1_200.0, 0.7)]));
        clip.extend(vec![0; RATE as usize / 2]);
        let track = MouthTrack::analyse(&clip, RATE);
        assert!(track.at(Duration::from_millis(200)).open < 0.02);
        assert!(track.at(Duration::from_millis(750)).open > 0.8);
        assert!(track.at(Duration::from_millis(1_300)).open < 0.02);
        assert_eq!(track.at(Duration::from_secs(60)), MouthShape::default());
    }

    #[test]
    fn see_is_wide_and_you_is_round() {
        let mut clip = vowel(0.5, &[(300.0, 1.0), (2_250.0, 0.6), (2_700.0, 0.5)]);
        clip.extend(vowel(0.5, &[(300.0, 1.0), (750.0, 0.6)]));
        let track = MouthTrack::analyse(&clip, RATE);
        let (see, you) =
            (track.at(Duration::from_millis(250)), track.at(Duration::from_millis(750)));
        assert!(see.width > 0.5 && see.round < 0.2, "{see:?}");
        assert!(you.width < 0.0 && you.round > 0.6, "{you:?}");
    }

    #[test]
    fn a_hum_with_closed_lips_stays_nearly_closed() {
        let mut clip = vowel(0.5, &[(150.0, 0.5), (750.0, 1.0), (1_200.0, 0.7)]);
        clip.extend(vowel(0.5, &[(150.0, 1.0), (300.0, 0.5)]));
        let track = MouthTrack::analyse(&clip, RATE);
        let (vowel, hum) =
            (track.at(Duration::from_millis(250)), track.at(Duration::from_millis(750)));
        assert!(hum.open < 0.3 * vowel.open, "{hum:?} {vowel:?}");
    }

    #[test]
    fn shapes_change_without_jumps() {
        let clip = crate::source::demo::speech::Speech::bundled().unwrap();
        let track = MouthTrack::analyse(clip.samples(), clip.rate_hz());
        let step = Duration::from_millis(5);
        for i in 0..(clip.duration().as_millis() / 5) as u32 {
            let (a, b) = (track.at(step * i), track.at(step * (i + 1)));
            assert!((a.open - b.open).abs() < 0.15, "at {:?}", step * i);
        }
    }
}
