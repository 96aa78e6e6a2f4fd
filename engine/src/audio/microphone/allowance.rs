//! How much of one viewer is decoded.

use std::time::{Duration, Instant};

/// A viewer may send so much at once: what a network that stood still for a moment had kept.
const BURST: Duration = Duration::from_secs(1);

/// A viewer whose clock is fast, or who makes up for lost time, may send so many parts in a hundred of what it
/// takes to play.
const PERCENT: u32 = 120;

/// The least that a packet counts for, whatever it says of itself: each costs something.
const LEAST: Duration = Duration::from_millis(5);

/// Decoding costs the time of the thread that paces all sound: nobody may take more of it than a voice needs.
#[derive(Debug)]
pub(super) struct Allowance {
    left: Duration,
    at: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, at: now }
    }

    /// Takes the time that so much sound plays; false where the viewer has none left for it.
    pub(super) fn take(&mut self, sound: Duration, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at) * PERCENT / 100;
        self.left = self.left.saturating_add(earned).min(BURST);
        self.at = self.at.max(now);
        match self.left.checked_sub(sound.max(LEAST)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_gets_what_a_voice_needs_and_no_more() {
        let start = Instant::now();
        // What comes, how often, and how much of ten seconds of it is taken.
        for (every_us, ms, expected_ms) in
            [(20_000, 20, 10_000), (17_000, 20, 11_760), (400, 120, 13_000), (400, 0, 13_000)]
        {
            let (mut allowance, sound) = (Allowance::new(start), Duration::from_millis(ms));
            let taken = (0..10_000_000 / every_us)
                .filter(|n| allowance.take(sound, start + Duration::from_micros(n * every_us)))
                .count() as u64;
            let taken_ms = taken * ms.max(LEAST.as_millis() as u64);
            assert!(taken_ms.abs_diff(expected_ms) <= 130, "{every_us} µs, {ms} ms: {taken_ms}");
        }
    }
}
