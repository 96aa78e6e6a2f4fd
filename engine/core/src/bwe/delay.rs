//! How long packets wait in queues.

use std::collections::VecDeque;
use std::time::Duration;

use super::micros::Micros;

/// The least delay is forgotten after five to six minutes, a part at a time: the clocks of two machines drift apart, by
/// some 5 ms in that time.
const PART: Micros = 60_000_000;
const ALL: Micros = 6 * PART;

/// The delay of a path without its queues: the least one of late. The two ends have clocks of their own, so that only
/// differences between delays mean something.
#[derive(Debug, Default)]
pub(super) struct BaseDelay {
    /// When each part began, and the least delay in it.
    parts: VecDeque<(Micros, Micros)>,
}

impl BaseDelay {
    /// Notes a delay. Gives how much of it is queues.
    pub(super) fn queue(&mut self, now: Micros, delay: Micros) -> Duration {
        match self.parts.back_mut() {
            Some((begin, least)) if now - *begin < PART => *least = delay.min(*least),
            _ => self.parts.push_back((now, delay)),
        }
        while self.parts.front().is_some_and(|(begin, _)| now - begin >= ALL) {
            self.parts.pop_front();
        }
        let least = self.parts.iter().map(|(_, least)| *least).min();
        let queue = delay.saturating_sub(least.unwrap_or(delay));
        Duration::from_micros(queue.unsigned_abs())
    }

    /// The path is another one: what comes next counts alone.
    pub(super) fn forget(&mut self) {
        self.parts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_what_is_above_the_least_delay_of_late() {
        let mut base = BaseDelay::default();
        let mut queue = |second: Micros, delay| base.queue(second * 1_000_000, delay).as_micros();
        // The other clock is an hour behind.
        let hour = -3_600_000_000;
        assert_eq!(queue(0, hour + 50_000), 0);
        assert_eq!(queue(1, hour + 70_000), 20_000);
        assert_eq!(queue(2, hour + 40_000), 0);
        assert_eq!(queue(300, hour + 70_000), 30_000);
        for second in 301..420 {
            queue(second, hour + 60_000);
        }
        assert_eq!(queue(420, hour + 70_000), 10_000, "the way has become longer");
        base.forget();
        assert_eq!(base.queue(421_000_000, hour + 90_000), Duration::ZERO);
    }
}
