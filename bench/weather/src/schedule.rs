use std::ops::Range;
use std::time::Duration;

use crate::bandwidth::Bandwidth;
use crate::conditions::Conditions;

/// Conditions over time. Times count from when the link was made, or was given this schedule.
///
/// ```
/// use std::time::Duration;
/// use visavis_weather::{Bandwidth, Conditions, Schedule};
///
/// let second = Duration::from_secs;
/// let down = Schedule::from(Conditions { delay: Duration::from_millis(50), ..Conditions::default() })
///     .bandwidth([(second(0), Bandwidth::from_mbps(1.0)), (second(40), Bandwidth::from_mbps(2.5))])
///     .at(second(60), |conditions| conditions.loss = 0.02)
///     .blackout(second(70)..second(72));
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    first: Conditions,
    /// By the time from which on they hold.
    changes: Vec<(Duration, Conditions)>,
    trace: Option<Trace>,
    blackouts: Vec<Range<Duration>>,
}

/// Bandwidth over time, as measured somewhere.
#[derive(Debug, Clone)]
pub struct Trace {
    steps: Vec<(Duration, Bandwidth)>,
    period: Option<Duration>,
}

impl From<Conditions> for Schedule {
    fn from(first: Conditions) -> Self {
        Self { first, changes: Vec::new(), trace: None, blackouts: Vec::new() }
    }
}

impl Schedule {
    /// From `time` on, what held before but for what `change` changes. Changes are given in the order of time.
    #[must_use]
    pub fn at(mut self, time: Duration, change: impl FnOnce(&mut Conditions)) -> Self {
        let place = self.changes.partition_point(|(from, _)| *from <= time);
        let mut conditions = place.checked_sub(1).map_or(self.first, |last| self.changes[last].1);
        change(&mut conditions);
        self.changes.insert(place, (time, conditions));
        self
    }

    /// The bandwidth from these times on, which are given in the order of time.
    #[must_use]
    pub fn bandwidth(self, steps: impl IntoIterator<Item = (Duration, Bandwidth)>) -> Self {
        steps.into_iter().fold(self, |schedule, (time, bandwidth)| {
            schedule.at(time, |conditions| conditions.bandwidth = bandwidth)
        })
    }

    /// The bandwidth follows a trace, whatever else is said of it.
    #[must_use]
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// All that is sent in this time is lost before it gets to the queue; what has been sent before arrives.
    #[must_use]
    pub fn blackout(mut self, time: Range<Duration>) -> Self {
        self.blackouts.push(time);
        self
    }

    /// Adds a blackout, and forgets those that are over by its begin.
    pub(crate) fn black_out(&mut self, time: Range<Duration>) {
        self.blackouts.retain(|earlier| earlier.end > time.start);
        self.blackouts.push(time);
    }

    /// What holds at a time.
    pub(crate) fn conditions(&self, at: Duration) -> Conditions {
        let place = self.changes.partition_point(|(from, _)| *from <= at);
        let mut conditions = place.checked_sub(1).map_or(self.first, |last| self.changes[last].1);
        if let Some(bandwidth) = self.trace.as_ref().and_then(|trace| trace.bandwidth(at)) {
            conditions.bandwidth = bandwidth;
        }
        conditions
    }

    /// When other conditions may hold than at this time.
    pub(crate) fn next_change(&self, after: Duration) -> Option<Duration> {
        let place = self.changes.partition_point(|(from, _)| *from <= after);
        let change = self.changes.get(place).map(|(from, _)| *from);
        let step = self.trace.as_ref().and_then(|trace| trace.next_step(after));
        [change, step].into_iter().flatten().min()
    }

    /// Whether all is lost at a time.
    pub(crate) fn is_blacked_out(&self, at: Duration) -> bool {
        self.blackouts.iter().any(|time| time.contains(&at))
    }
}

impl Trace {
    /// The bandwidth from these times on, in the order of time. It ends with the last one.
    pub fn new(steps: impl IntoIterator<Item = (Duration, Bandwidth)>) -> Self {
        let mut steps: Vec<_> = steps.into_iter().collect();
        steps.sort_by_key(|(from, _)| *from);
        Self { steps, period: None }
    }

    /// The same again each `period`; steps after it are left out. A period of 0 repeats nothing.
    #[must_use]
    pub fn repeated(mut self, period: Duration) -> Self {
        if !period.is_zero() {
            self.steps.retain(|(from, _)| *from < period);
            self.period = Some(period);
        }
        self
    }

    /// `None` before the first step.
    fn bandwidth(&self, at: Duration) -> Option<Bandwidth> {
        let (begin, within) = self.turn(at);
        let place = self.steps.partition_point(|(from, _)| *from <= within);
        let last = match place.checked_sub(1) {
            Some(last) => self.steps.get(last),
            // The last one of the turn before goes on.
            None if !begin.is_zero() => self.steps.last(),
            None => None,
        };
        last.map(|(_, bandwidth)| *bandwidth)
    }

    fn next_step(&self, after: Duration) -> Option<Duration> {
        let (begin, within) = self.turn(after);
        let place = self.steps.partition_point(|(from, _)| *from <= within);
        match self.steps.get(place) {
            Some((from, _)) => Some(begin + *from),
            None => Some(begin + self.period? + self.steps.first()?.0),
        }
    }

    /// When the turn began that holds at a time, and how far it has got.
    fn turn(&self, at: Duration) -> (Duration, Duration) {
        let Some(period) = self.period else { return (Duration::ZERO, at) };
        let within = at.as_nanos() % period.as_nanos();
        let within = Duration::from_nanos(u64::try_from(within).unwrap_or(u64::MAX));
        (at.saturating_sub(within), within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kbps(kbps: u64) -> Bandwidth {
        Bandwidth::from_kbps(kbps)
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn changes_hold_from_their_time_on() {
        let schedule = Schedule::from(Conditions::default())
            .bandwidth([(ms(0), kbps(1)), (ms(10), kbps(2))])
            .at(ms(20), |conditions| conditions.loss = 0.5);
        assert_eq!(schedule.conditions(ms(0)).bandwidth, kbps(1));
        assert_eq!(schedule.conditions(ms(9)).bandwidth, kbps(1));
        assert_eq!(schedule.conditions(ms(10)).bandwidth, kbps(2));
        assert_eq!(schedule.conditions(ms(19)).loss, 0.0);
        let last = schedule.conditions(ms(20));
        assert_eq!((last.loss, last.bandwidth), (0.5, kbps(2)));
        let next = [0, 10, 20].map(|at| schedule.next_change(ms(at)));
        assert_eq!(next, [Some(ms(10)), Some(ms(20)), None]);
    }

    #[test]
    fn a_trace_repeats() {
        let trace = Trace::new([(ms(2), kbps(2)), (ms(5), kbps(5)), (ms(99), kbps(99))]);
        let once = Schedule::from(Conditions { bandwidth: kbps(1), ..Conditions::default() })
            .trace(trace.clone());
        let again = once.clone().trace(trace.repeated(ms(10)));
        let both = |at| [&once, &again].map(|schedule| schedule.conditions(ms(at)).bandwidth);
        assert_eq!(both(1), [kbps(1), kbps(1)], "no step yet");
        assert_eq!(both(2), [kbps(2), kbps(2)]);
        assert_eq!(both(9), [kbps(5), kbps(5)]);
        assert_eq!(both(11), [kbps(5), kbps(5)]);
        assert_eq!(both(12), [kbps(5), kbps(2)]);
        assert_eq!(both(10_005), [kbps(99), kbps(5)]);
        let next = [0, 2, 5, 12].map(|at| again.next_change(ms(at)));
        assert_eq!(next, [Some(ms(2)), Some(ms(5)), Some(ms(12)), Some(ms(15))]);
        assert_eq!(once.next_change(ms(99)), None);
    }

    #[test]
    fn blackouts_end() {
        let schedule = Schedule::from(Conditions::default()).blackout(ms(5)..ms(7));
        let dark = [4, 5, 6, 7].map(|at| schedule.is_blacked_out(ms(at)));
        assert_eq!(dark, [false, true, true, false]);
    }
}
