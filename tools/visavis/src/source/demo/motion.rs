//! What a living face does by itself: sway, breathe, blink, look around. All of it is a function of
//! media time, so that any frame rate shows the same motion and every run the same film.

use std::f64::consts::TAU;

use super::mouth::MouthShape;

/// Where everything that moves is at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pose {
    /// Head moved, in pixels of the portrait.
    pub shift: (f32, f32),
    /// Head tilted towards a shoulder, in degrees.
    pub roll: f32,
    /// Head turned left (−1) to right (1).
    pub yaw: f32,
    /// Head nodded up (−1) to down (1).
    pub pitch: f32,
    /// Lungs empty (0) to full (1).
    pub breath: f32,
    /// Eyelids open (0) to closed (1).
    pub blink: f32,
    /// Where the eyes look, each −1 to 1.
    pub gaze: (f32, f32),
    /// Brows at rest (0) to raised (1).
    pub brow: f32,
    /// How much of a smile.
    pub smile: f32,
}

impl Pose {
    /// The pose at `seconds` of media time, for the current state of the speech.
    pub fn at(seconds: f64, voice: &MouthShape) -> Self {
        let wave = |period: f64, phase: f64| ((seconds / period + phase) * TAU).sin() as f32;
        let stress = voice.stress;
        let gaze = gaze(seconds);
        let yaw = 0.55 * wave(7.3, 0.1) + 0.3 * wave(4.1, 0.6) + 0.25 * gaze.0;
        let pitch = 0.25 * wave(5.7, 0.3) + 0.7 * (stress - 0.35) + 0.15 * gaze.1;
        Self {
            shift: (2.6 * wave(8.9, 0.0) + 1.2 * yaw, 1.2 * wave(6.1, 0.2) + 1.8 * stress),
            roll: 1.3 * wave(9.7, 0.4) + 0.5 * wave(3.9, 0.0) * stress,
            yaw,
            pitch,
            breath: 0.5 + 0.5 * wave(4.3, 0.0),
            blink: blink(seconds),
            gaze,
            brow: (0.15 * wave(11.0, 0.5) + 0.75 * (stress - 0.25)).clamp(-0.2, 0.8),
            smile: 0.9 + 0.15 * wave(13.0, 0.0) - 0.35 * stress,
        }
    }
}

/// A number of 0 to 1 that depends on nothing but its arguments (the mixer of SplitMix64).
fn chance(slot: i64, salt: u64) -> f64 {
    let mut z = (slot as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ z >> 31) as f64 / u64::MAX as f64
}

/// 0 before 0, 1 after 1, and no corner in between.
fn ease(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// One blink every three and a half seconds or so, sometimes two in a row.
fn blink(seconds: f64) -> f32 {
    const SLOT: f64 = 3.4;
    let slot = (seconds / SLOT).floor() as i64;
    let within = seconds - slot as f64 * SLOT;
    let lid = |start: f64| ease((within - start) / 0.08) - ease((within - start - 0.11) / 0.15);
    let start = 0.3 + 2.2 * chance(slot, 1);
    let again = if chance(slot, 2) < 0.18 { lid(start + 0.32) } else { 0.0 };
    (lid(start) + again).clamp(0.0, 1.0) as f32
}

/// Small quick jumps of the eyes; most of the time they rest on the viewer.
fn gaze(seconds: f64) -> (f32, f32) {
    const SLOT: f64 = 1.15;
    let slot = (seconds / SLOT).floor() as i64;
    let target = |slot: i64| {
        if chance(slot, 3) < 0.55 {
            (0.0, 0.0)
        } else {
            (1.4 * chance(slot, 4) - 0.7, 0.8 * chance(slot, 5) - 0.4)
        }
    };
    let (from, to) = (target(slot - 1), target(slot));
    let start = 0.6 * chance(slot, 6);
    let moved = ease((seconds - slot as f64 * SLOT - start) / 0.07);
    ((from.0 + (to.0 - from.0) * moved) as f32, (from.1 + (to.1 - from.1) * moved) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn motion_is_continuous() {
        let still = MouthShape::default();
        let step = 0.002;
        for i in 0..30_000 {
            let t = f64::from(i) * step;
            let (a, b) = (Pose::at(t, &still), Pose::at(t + step, &still));
            assert!((a.blink - b.blink).abs() < 0.06, "blink at {t}");
            assert!((a.gaze.0 - b.gaze.0).abs() < 0.1, "gaze at {t}");
            assert!((a.shift.0 - b.shift.0).abs() < 0.05, "shift at {t}");
        }
    }

    #[test]
    fn eyes_blink_now_and_then_but_are_mostly_open() {
        let closed = (0..6_000).filter(|&i| blink(f64::from(i) * 0.01) > 0.5).count();
        assert!((100..600).contains(&closed), "{closed} of 6000");
    }
}
