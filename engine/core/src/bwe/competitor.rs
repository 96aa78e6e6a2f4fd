//! Whether a long queue is ours.

use std::collections::VecDeque;
use std::time::Duration;

use super::micros::Micros;

/// A queue as long as this may be that of somebody who does not mind. Ours are shorter.
const LONG: Duration = Duration::from_millis(100);
/// A queue that is ours gets shorter within this time once less is sent.
const PATIENCE: Micros = 1_200_000;
/// More reports than browsers send in half of that.
const MAX_QUEUES: usize = 64;
/// So much less was sent, and the queue is as long as ever.
const GIVEN_WAY: f64 = 0.8;
const AS_LONG: f64 = 0.9;
/// What is sent is what is to be sent, or little more.
const FOLLOWS: f64 = 1.6;
/// The length of a queue changes by more than this.
const STEADY: Duration = Duration::from_millis(8);
/// How long to keep up with a competitor before looking whether it is still there, the first time and at most.
const FIRST: Micros = 8_000_000;
const LONGEST: Micros = 30_000_000;
/// A competitor that was not seen for so long is a new one.
const FORGOTTEN: Micros = 20_000_000;

/// Looks for others that fill the queue whatever we do, as TCP does: yielding to them would never end. A queue that is
/// ours gets shorter when less is sent, or as little as may be.
#[derive(Debug, Default)]
pub(super) struct Competitor {
    /// Since when the queue is long, and what was to be sent then.
    long: Option<(Micros, f64)>,
    /// The queue of late, while it is long.
    queues: VecDeque<(Micros, Duration)>,
    until: Option<Micros>,
    period: Micros,
}

/// What a queue is that does not get shorter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found {
    /// Somebody else's. What was sent before we gave way to it.
    Competitor(f64),
    /// None: the way has become longer. What was sent before.
    LongerPath(f64),
}

impl Competitor {
    /// Looks at the queue, and at what is to be sent, and is. While more is, as pictures come in few sizes, nothing can be
    /// said. Who sends the `least` has given way, for nothing more can be.
    pub(super) fn look(
        &mut self,
        now: Micros,
        queue: Duration,
        (rate, sent): (f64, f64),
        least: f64,
    ) -> Option<Found> {
        if queue < LONG || self.is_there(now) {
            (self.long, self.queues) = (None, VecDeque::new());
            return None;
        }
        let (since, before) = self.long.get_or_insert((now, rate));
        if sent > FOLLOWS * rate {
            *since = now;
        }
        let (since, before) = (*since, *before);
        // Viewers say how often they report: only so many count.
        while self.queues.len() >= MAX_QUEUES
            || self.queues.front().is_some_and(|(at, _)| now - at > PATIENCE / 2)
        {
            self.queues.pop_front();
        }
        self.queues.push_back((now, queue));
        if now - since < PATIENCE || rate > least.max(GIVEN_WAY * before) {
            return None;
        }
        let queues = self.queues.iter().map(|(_, queue)| *queue);
        let (first, least, most) = (queues.clone().next()?, queues.clone().min()?, queues.max()?);
        if queue < first.mul_f64(AS_LONG) {
            return None;
        }
        (self.long, self.queues) = (None, VecDeque::new());
        if most - least < STEADY {
            return Some(Found::LongerPath(before));
        }
        let again = self.until.is_some_and(|until| now - until < FORGOTTEN);
        self.period = if again { (2 * self.period).min(LONGEST) } else { FIRST };
        self.until = Some(now + self.period);
        Some(Found::Competitor(before))
    }

    /// Whether there is one, as far as is known.
    pub(super) fn is_there(&self, now: Micros) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: f64 = 1e5;

    /// What is found by reports each 50 ms, and when.
    fn look(
        competitor: &mut Competitor,
        from: Micros,
        queue_ms: impl Fn(Micros) -> u64,
        rate: impl Fn(Micros) -> f64,
    ) -> Option<(Micros, Found)> {
        (0..100).map(|turn| turn * 50).find_map(|ms| {
            let queue = Duration::from_millis(queue_ms(ms));
            let found = competitor.look(from + ms * 1_000, queue, (rate(ms), rate(ms)), LEAST)?;
            Some((ms, found))
        })
    }

    fn yields(ms: Micros) -> f64 {
        2e6 * 0.98_f64.powi((ms / 50) as i32)
    }

    #[test]
    fn a_queue_that_grows_while_we_give_way_is_somebody_elses() {
        let mut competitor = Competitor::default();
        let grows = |ms| 150 + ms as u64 / 50;
        let found = look(&mut competitor, 0, grows, yields);
        assert_eq!(found, Some((1_200, Found::Competitor(2e6))));
        assert!(competitor.is_there(9_100_000) && !competitor.is_there(9_200_000));
        let again = look(&mut competitor, 9_200_000, grows, yields);
        assert_eq!(again, Some((1_200, Found::Competitor(2e6))));
        assert!(competitor.is_there(9_200_000 + 17_000_000), "the next time for longer");
    }

    #[test]
    fn a_queue_that_gets_shorter_is_ours_and_one_that_we_do_not_yield_to_may_be() {
        let shorter = |ms| 400 - (ms as u64 / 8).min(320);
        assert_eq!(look(&mut Competitor::default(), 0, shorter, yields), None);
        let grows = |ms| 150 + ms as u64 / 50;
        assert_eq!(look(&mut Competitor::default(), 0, grows, |_| 2e6), None);
        let short = |ms| 50 + ms as u64 / 200;
        assert_eq!(look(&mut Competitor::default(), 0, short, yields), None);
    }

    #[test]
    fn a_queue_that_grows_though_the_least_is_sent_is_somebody_elses() {
        let grows = |ms| 150 + ms as u64 / 50;
        let found = look(&mut Competitor::default(), 0, grows, |_| LEAST);
        assert_eq!(found, Some((1_200, Found::Competitor(LEAST))));
        // A fifth less would be less than the least.
        let before = 1.1 * LEAST;
        let nearly = |ms| if ms == 0 { before } else { LEAST };
        let found = look(&mut Competitor::default(), 0, grows, nearly);
        assert_eq!(found, Some((1_200, Found::Competitor(before))));
    }

    #[test]
    fn a_queue_that_is_long_for_ever_takes_no_more_memory() {
        let mut competitor = Competitor::default();
        for report in 0..100_000 {
            competitor.look(report * 100, Duration::from_secs(1), (2e6, 2e6), LEAST);
            assert!(competitor.queues.len() <= MAX_QUEUES);
        }
    }

    #[test]
    fn a_queue_that_nothing_changes_is_none() {
        let steady = |ms| 120 + ms as u64 % 4;
        let found = look(&mut Competitor::default(), 0, steady, yields);
        assert_eq!(found, Some((1_200, Found::LongerPath(2e6))));
    }
}
