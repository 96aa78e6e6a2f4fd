//! The shape of a mouth from sound that is only just made: as [`MouthTrack`](super::mouth::MouthTrack), but
//! with nothing known of what follows.

use std::time::Duration;

use super::mouth::{HOPS_PER_SECOND, MouthShape, Spectrum, decibel};

/// The loudest speech is taken to be no softer than this, so that noise does not open the mouth.
const SOFTEST_DB: f32 = -45.0;
/// Initial estimate of the loudest level.
const EXPECTED_DB: f32 = -30.0;
/// Decay of the estimated loudest level: 2 dB a second.
const FORGET_DB: f32 = 2.0 / HOPS_PER_SECOND as f32;
/// The widest opening is forgotten at this rate, and is no less than that.
const FORGET_OPEN: f32 = 0.05 / HOPS_PER_SECOND as f32;
const LEAST_OPEN: f32 = 0.3;

/// How much of each new hop goes into what is quick, calm and slow.
const QUICK: f32 = 0.35;
const CALM: f32 = 0.22;
const SLOW: f32 = 0.07;

/// Derives the mouth's shape from live speech.
pub struct LiveMouth {
    spectrum: Spectrum,
    hop: usize,
    /// The last 30 ms.
    window: Vec<i16>,
    loudest_db: f32,
    fullest: f32,
    quick: MouthShape,
    calm: MouthShape,
    slow: MouthShape,
}

impl LiveMouth {
    /// How much a shape is later than its sound: half a window, and what smoothing takes.
    pub const DELAY: Duration = Duration::from_millis(25);

    /// Follows mono sound of this rate.
    pub fn new(rate_hz: u32) -> Self {
        let hop = (rate_hz as usize / HOPS_PER_SECOND).max(1);
        Self {
            spectrum: Spectrum::new(rate_hz, hop * 3),
            hop,
            window: vec![0; hop * 3],
            loudest_db: EXPECTED_DB,
            fullest: LEAST_OPEN,
            quick: MouthShape::default(),
            calm: MouthShape::default(),
            slow: MouthShape::default(),
        }
    }

    /// Listens to whole hops of 10 ms; calls `each` for every one, with how long after the first sample
    /// it ends.
    pub fn push(&mut self, samples: &[i16], mut each: impl FnMut(Duration, MouthShape)) {
        let length = Duration::from_secs(1) / HOPS_PER_SECOND as u32;
        for (n, hop) in samples.chunks_exact(self.hop).enumerate() {
            self.window.rotate_left(self.hop);
            if let Some(end) = self.window.get_mut(self.hop * 2..) {
                end.copy_from_slice(hop);
            }
            each(length * (n as u32 + 1), self.follow());
        }
    }

    fn follow(&mut self) -> MouthShape {
        let bands = self.spectrum.bands(&self.window, 0);
        let forgotten = (self.loudest_db - FORGET_DB).max(SOFTEST_DB);
        self.loudest_db = forgotten.max(decibel(bands.voice));
        let shape = bands.shape(self.loudest_db);
        let towards = |share: f32| move |old: f32, new: f32| old + (new - old) * share;
        self.quick = self.quick.map2(shape, towards(QUICK));
        self.calm = self.calm.map2(shape, towards(CALM));
        self.slow = self.slow.map2(shape, towards(SLOW));
        self.fullest = (self.fullest - FORGET_OPEN).max(LEAST_OPEN).max(self.quick.open);
        MouthShape {
            open: self.quick.open / self.fullest,
            width: self.calm.width,
            round: self.calm.round,
            hiss: self.quick.hiss,
            stress: (self.slow.open / self.fullest * 1.4).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::demo::mouth::MouthTrack;
    use crate::source::demo::speech::Speech;

    fn shapes_of(samples: &[i16], rate_hz: u32) -> Vec<MouthShape> {
        let mut mouth = LiveMouth::new(rate_hz);
        let mut shapes = Vec::new();
        for piece in samples.chunks(rate_hz as usize / 50) {
            mouth.push(piece, |_, shape| shapes.push(shape));
        }
        shapes
    }

    #[test]
    fn it_opens_where_a_mouth_that_knows_the_whole_clip_opens() {
        let speech = Speech::bundled().unwrap();
        let live = shapes_of(speech.samples(), speech.rate_hz());
        let track = MouthTrack::analyse(speech.samples(), speech.rate_hz());
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        let known = |n: usize| {
            let at = Duration::from_millis(10 * (n as u64 + 1));
            track.at(at.saturating_sub(LiveMouth::DELAY)).open
        };
        let mean = |values: &mut dyn Iterator<Item = f32>| values.sum::<f32>() / live.len() as f32;
        let (mean_a, mean_b) =
            (mean(&mut live.iter().map(|shape| shape.open)), mean(&mut (0..live.len()).map(known)));
        for (n, shape) in live.iter().enumerate() {
            let (a, b) = (shape.open - mean_a, known(n) - mean_b);
            (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
        }
        let likeness = ab / (aa * bb).sqrt();
        println!("{likeness:.3}");
        assert!(likeness > 0.9, "{likeness:.3}");
    }

    #[test]
    fn soft_voices_open_it_too_and_silence_and_faint_noise_do_not() {
        let speech = Speech::bundled().unwrap();
        let widest = |samples: &[i16]| {
            let shapes = shapes_of(samples, speech.rate_hz());
            assert!(shapes.iter().all(|shape| (0.0..=1.0).contains(&shape.open)));
            shapes.iter().map(|shape| shape.open).fold(0.0, f32::max)
        };
        let soft: Vec<i16> = speech.samples().iter().map(|sample| sample / 8).collect();
        assert!(widest(speech.samples()) > 0.9 && widest(&soft) > 0.6, "{}", widest(&soft));
        assert!(widest(&[0; 24_000]) < 0.02);
        let noise: Vec<i16> = (0..48_000).map(|n: i32| (n * 7_919 % 61 - 30) as i16).collect();
        assert!(widest(&noise) < 0.1, "{}", widest(&noise));
    }
}
