use std::time::Duration;

use fastrand::Rng;

use crate::conditions::{Conditions, Reordering};

/// What chance decides. Each matter has a generator of its own, which is asked once for each packet: packet 17 is lost
/// or not whatever the jitter is, and what is lost at 1 % is lost at 2 % too.
#[derive(Debug)]
pub(crate) struct Draws {
    losses: Rng,
    bursts: Rng,
    is_bad: bool,
    jitter: Rng,
    reordering: Rng,
    duplicates: Rng,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        let mut seeds = Rng::with_seed(seed);
        Self {
            losses: seeds.fork(),
            bursts: seeds.fork(),
            is_bad: false,
            jitter: seeds.fork(),
            reordering: seeds.fork(),
            duplicates: seeds.fork(),
        }
    }

    pub(crate) fn is_lost(&mut self, conditions: &Conditions) -> bool {
        let alone = self.losses.f64() < conditions.loss;
        let (loss, step) = (self.bursts.f64(), self.bursts.f64());
        let Some(model) = conditions.bursts else {
            self.is_bad = false;
            return alone;
        };
        let (loss_here, leaves) = match self.is_bad {
            true => (model.loss_in_bad, model.bad_to_good),
            false => (model.loss_in_good, model.good_to_bad),
        };
        self.is_bad ^= step < leaves;
        alone | (loss < loss_here)
    }

    /// How long a packet is held back, if it is.
    pub(crate) fn hold_back(&mut self, reordering: Option<Reordering>) -> Option<Duration> {
        let drawn = self.reordering.f64();
        reordering.filter(|those| drawn < those.probability).map(|those| those.delay)
    }

    pub(crate) fn is_duplicated(&mut self, probability: f64) -> bool {
        self.duplicates.f64() < probability
    }

    /// |N(0, σ²)|, at most 3 σ, by the sum of twelve equally distributed numbers: in integers, so that no two machines
    /// round differently.
    pub(crate) fn jitter(&mut self, sigma: Duration) -> Duration {
        if sigma.is_zero() {
            return Duration::ZERO;
        }
        let sum: i64 = (0..12).map(|_| i64::from(self.jitter.u32(..))).sum();
        let deviation = u128::from((sum - (6_i64 << 32)).unsigned_abs()).min(3 << 32);
        let nanos = sigma.as_nanos().saturating_mul(deviation) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::GilbertElliott;

    const PACKETS: usize = 100_000;

    fn losses(seed: u64, conditions: &Conditions) -> Vec<bool> {
        let mut draws = Draws::new(seed);
        (0..PACKETS).map(|_| draws.is_lost(conditions)).collect()
    }

    fn part(losses: &[bool]) -> f64 {
        losses.iter().filter(|lost| **lost).count() as f64 / losses.len() as f64
    }

    /// If another version of the generator gives other numbers, outcomes that were noted down are void.
    #[test]
    fn the_stream_of_a_seed_is_always_the_same() {
        let mut draws = Draws::new(1);
        let jitter: Vec<_> =
            (0..3).map(|_| draws.jitter(Duration::from_millis(5)).as_micros()).collect();
        let lost = losses(1, &Conditions { loss: 0.5, ..Conditions::default() });
        assert_eq!(jitter, [564, 4_418, 781]);
        assert_eq!(lost[..16].iter().fold(0, |bits, lost| bits << 1 | u16::from(*lost)), 43_156);
    }

    #[test]
    fn losses_are_as_many_as_asked_for_and_not_in_bursts() {
        let lost = losses(1, &Conditions { loss: 0.05, ..Conditions::default() });
        // Six standard deviations.
        assert!((part(&lost) - 0.05).abs() < 0.004, "{}", part(&lost));
        let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
        assert!((pairs / PACKETS as f64 - 0.0025).abs() < 0.001, "{pairs}");
        assert_eq!(part(&losses(1, &Conditions::default())), 0.0);
        assert_eq!(part(&losses(1, &Conditions { loss: 1.0, ..Conditions::default() })), 1.0);
    }

    #[test]
    fn what_is_lost_at_one_percent_is_lost_at_two() {
        let of = |loss| losses(9, &Conditions { loss, ..Conditions::default() });
        let (one, two) = (of(0.01), of(0.02));
        assert!(one.iter().zip(&two).all(|(one, two)| !one || *two));
        assert!(part(&one) < part(&two));
    }

    #[test]
    fn bursts_have_their_length_and_their_share() {
        let model = GilbertElliott::bursts(0.04, 5.0);
        assert!((model.average_loss() - 0.04).abs() < 1e-9);
        let lost = losses(3, &Conditions { bursts: Some(model), ..Conditions::default() });
        assert!((part(&lost) - 0.04).abs() < 0.006, "{}", part(&lost));
        let begins = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let length = part(&lost) * PACKETS as f64 / begins;
        assert!((length - 5.0).abs() < 0.6, "{length}");
    }

    #[test]
    fn both_states_can_lose_a_part() {
        let model = GilbertElliott {
            good_to_bad: 0.01,
            bad_to_good: 0.03,
            loss_in_good: 0.002,
            loss_in_bad: 0.3,
        };
        let lost = losses(4, &Conditions { bursts: Some(model), ..Conditions::default() });
        assert!((model.average_loss() - 0.0765).abs() < 1e-9);
        assert!((part(&lost) - 0.0765).abs() < 0.015, "{}", part(&lost));
    }

    #[test]
    fn jitter_is_half_a_normal_distribution_cut_at_three_sigma() {
        let (mut draws, sigma) = (Draws::new(5), Duration::from_millis(5));
        let drawn: Vec<_> =
            (0..PACKETS).map(|_| draws.jitter(sigma).as_secs_f64() / 0.005).collect();
        let mean = drawn.iter().sum::<f64>() / PACKETS as f64;
        assert!((mean - 0.798).abs() < 0.02, "{mean}");
        let within = drawn.iter().filter(|deviation| **deviation <= 1.0).count() as f64;
        assert!((within / PACKETS as f64 - 0.683).abs() < 0.02, "{within}");
        assert!(drawn.iter().all(|deviation| *deviation <= 3.0));
        assert!(drawn.iter().any(|deviation| *deviation > 2.5));
    }
}
