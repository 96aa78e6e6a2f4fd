//! Losses, and whether they are for want of bandwidth.

use super::micros::{Micros, seconds};

/// Packets by which the loss is averaged.
const AVERAGED: f64 = 400.0;
/// Losses above those that the path has anyway are looked into from here on.
const NOTABLE: f64 = 0.1;
/// For so long less is sent, to see what becomes of them.
const TRIAL: Micros = 2_000_000;
/// What is sent meanwhile, of what arrives.
const LESS: f64 = 0.75;
/// So much of them remains where sending less makes no difference.
const REMAINS: f64 = 0.7;
/// A policer's limit is tried to be passed by more and more: after so many seconds, by all of it.
const PATIENCE: f64 = 10.0;

/// Losses where there is no queue to speak of: either the path loses so much anyway, or more is sent than a policer lets
/// pass. Sending less for a while tells which.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Of late, all of them.
    recent: f64,
    /// Of late, those without a queue.
    average: f64,
    /// What the path loses anyway.
    inherent: f64,
    trial: Option<Trial>,
    /// What a policer lets pass, and since when that is known.
    limit: Option<(f64, Micros)>,
}

#[derive(Debug)]
struct Trial {
    until: Micros,
    loss_before: f64,
    rate_before: f64,
    throughput: f64,
}

impl Losses {
    /// The part of packets that is lost, of late.
    pub(super) fn recent(&self) -> f64 {
        self.recent
    }

    /// The part of packets that is lost where there is no queue, of late.
    pub(super) fn average(&self) -> f64 {
        self.average
    }

    /// The most that a policer lets pass, in bits a second.
    pub(super) fn limit(&self, now: Micros) -> f64 {
        let grown = |(limit, since)| limit * (1.0 + (seconds(now - since) / PATIENCE).powi(2));
        self.limit.map_or(f64::INFINITY, grown)
    }

    /// Whether less is sent to see what becomes of losses.
    pub(super) fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Notes how many of all packets were lost, and whether that was `without_queue`. Gives a rate where another is called
    /// for.
    pub(super) fn note(
        &mut self,
        now: Micros,
        (lost, all): (u32, u32),
        without_queue: bool,
        (rate, throughput): (f64, f64),
    ) -> Option<f64> {
        let (lost, all) = (f64::from(lost), f64::from(all));
        let weight = (all / AVERAGED).min(1.0);
        self.recent += (lost / all - self.recent) * weight;
        if without_queue {
            self.average += (lost / all - self.average) * weight;
        }
        if let Some(Trial { loss_before, rate_before, throughput, .. }) =
            self.trial.take_if(|trial| trial.until <= now)
        {
            if self.average > REMAINS * loss_before {
                self.inherent = self.average;
                return Some(rate_before);
            }
            self.limit = Some((throughput, now));
        }
        self.inherent = self.inherent.min(self.average);
        if self.trial.is_some() || self.average < self.inherent + NOTABLE {
            return None;
        }
        let (until, loss_before) = (now + TRIAL, self.average);
        self.trial = Some(Trial { until, loss_before, rate_before: rate, throughput });
        Some(LESS * throughput.min(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports of 20 packets each 50 ms for so many seconds; gives the rate at the end.
    fn send(
        losses: &mut Losses,
        from: Micros,
        seconds: Micros,
        mut rate: f64,
        policer: f64,
        lost: u32,
    ) -> f64 {
        for turn in 0..seconds * 20 {
            let over = (20.0 * (1.0 - policer / rate)).max(0.0) as u32;
            let lost = lost.max(over);
            let throughput = rate * (1.0 - f64::from(lost) / 20.0);
            let now = from + turn * 50_000;
            rate = losses.note(now, (lost, 20), true, (rate, throughput)).unwrap_or(rate);
        }
        rate
    }

    #[test]
    fn what_a_path_loses_anyway_takes_nothing_from_it() {
        let mut losses = Losses::default();
        assert_eq!(send(&mut losses, 0, 20, 2e6, f64::INFINITY, 4), 2e6);
        assert!((losses.average() - 0.2).abs() < 0.01);
        assert_eq!(losses.limit(20_000_000), f64::INFINITY);
        assert!(!losses.is_on_trial());
    }

    #[test]
    fn a_policer_is_found_and_its_limit_is_tried_again_later() {
        let mut losses = Losses::default();
        let rate = send(&mut losses, 0, 10, 2e6, 1e6, 0);
        assert!((0.7e6..1e6).contains(&rate), "{rate}");
        let limit = losses.limit(10_000_000);
        assert!((0.9e6..1.7e6).contains(&limit), "{limit}");
        assert!(losses.limit(60_000_000) > 2.0 * limit);
    }
}
