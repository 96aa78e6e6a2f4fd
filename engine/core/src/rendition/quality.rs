//! How good a picture a viewer's network takes.
//!
//! Down at once: where less gets through than is sent, the viewer goes to the best that does. Up with care: what would be
//! better has to fit for a while, and what was tried and did not last is not tried again soon. Up to what fits is known only
//! of what was sent; so that a viewer on a low rung can come up again, more is sent than it needs now and then, which is a
//! probe: packets once more that it has had.

use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use super::ViewerLimit;

/// What is better has to fit so long.
const FITS_FOR: Duration = Duration::from_millis(300);
/// What fits today may need a little more tomorrow.
const HEADROOM: f64 = 1.12;
/// What was changed shows so long after: a keyframe is waited for, and a round trip is over.
const SETTLES_IN: Duration = Duration::from_millis(600);
/// How long a viewer stays where it is after it went down: at first, and at most, where what it went up to did not last.
const HOLD: Duration = Duration::from_secs(2);
const LONGEST_HOLD: Duration = Duration::from_secs(30);
/// What did not last so long did not last.
const LASTS: Duration = Duration::from_secs(10);
/// Where the queue is that long, the keyframe that a change begins with might not find room in it: it is sent when the queue
/// is short again, and nothing until then. What is in the queue is seen meanwhile.
const LONG_QUEUE: Duration = Duration::from_millis(100);
const SHORT_QUEUE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long a probe may take, and how long after it the next may begin: the first time and at most.
const PROBE_FOR: Duration = Duration::from_secs(3);
const PROBE_AGAIN: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_millis(3_500);
/// The queue that one makes is felt for so long, and where it failed is known for so long.
const FELT_FOR: Duration = Duration::from_millis(1_500);
const TRIED_FOR: Duration = Duration::from_secs(30);
/// A probe sends so many times the estimate.
const PROBE_RATE: f64 = 1.3;
/// Longer pauses between pictures are not made up for, nor are more bytes.
const LONGEST_INTERVAL: Duration = Duration::from_millis(100);
const MOST_OWED: f64 = 1_500.0;

/// Something that a viewer can be sent, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    /// It, and nothing better.
    pub(crate) limit: ViewerLimit,
    /// Bits a second that it takes now.
    pub(crate) takes: f64,
    /// Bits a second below which it is nothing for the viewer.
    pub(crate) needs: f64,
    /// Bits a second that it may take.
    pub(crate) may_take: f64,
    /// Its encoder makes more by itself where more gets through.
    pub(crate) grows: bool,
}

/// What is known of a viewer's network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Capacity {
    /// What it takes, by the estimate.
    pub(crate) estimate: Bitrate,
    /// How long what is sent waits in it.
    pub(crate) queue: Duration,
    /// Whether it had all of that of late. Where it had not, the estimate may be as low as it is because more was not tried.
    pub(crate) is_full: bool,
}

/// What a viewer's network takes of what there is.
#[derive(Debug, Default)]
pub(crate) struct Quality {
    limit: ViewerLimit,
    changed: Option<Instant>,
    /// The last report said that less gets through than is sent.
    is_short: bool,
    /// Since when something better has fitted.
    fits: Option<Instant>,
    raised: Option<Instant>,
    /// How long it stays where it is.
    hold: Duration,
    held_until: Option<Instant>,
    /// Nothing is sent until then: the queue would not take it.
    paused_until: Option<Instant>,
    probe: Probe,
    /// When a picture was sent twice for the last time.
    copied: Option<Instant>,
}

#[derive(Debug, Default)]
struct Probe {
    /// Since when, and bits a second beside the pictures.
    on: Option<(Instant, f64)>,
    pause: Duration,
    next: Option<Instant>,
    /// When something was sent for it, and how many bytes should have been beside.
    last: Option<Instant>,
    owed: f64,
    /// The estimate when one was too much, and when that was.
    failed: Option<(f64, Instant)>,
}

impl Quality {
    /// The most that the viewer's network takes.
    pub(crate) fn limit(&self) -> ViewerLimit {
        self.limit
    }

    /// Whether there is nothing to decide: all is sent, and all of it gets through.
    pub(crate) fn is_best(&self, capacity: Capacity) -> bool {
        self.limit == ViewerLimit::default() && !capacity.is_full
    }

    /// Takes a report. `steps` are what there is for the viewer, from the least on. True where the limit has changed.
    pub(crate) fn note(&mut self, capacity: Capacity, steps: &[Step], now: Instant) -> bool {
        let before = self.limit;
        if self.limit != ViewerLimit::default()
            && steps.last().is_none_or(|best| best.limit <= self.limit)
        {
            // There is nothing above it (any more).
            self.limit = ViewerLimit::default();
        }
        let current = steps.iter().rposition(|step| step.limit <= self.limit).unwrap_or(0);
        let Some(step) = steps.get(current) else { return before != self.limit };
        let estimate = capacity.estimate.bps() as f64;
        let is_short = current > 0 && capacity.is_full && estimate < step.needs;
        // What is this bad is no mistake of one report, and not of a probe.
        let is_bad = is_short && estimate < step.takes / 2.0;
        if self.paused_until.is_some() {
            // Nothing has been sent of it yet: what is learned meanwhile counts.
            if is_short {
                self.limit = Self::below(&steps[..current], estimate).unwrap_or(self.limit);
            }
            self.pause(capacity, now);
        } else if is_short && !self.is_settling(now) && (is_bad || !self.is_more_felt(now)) {
            // One report alone may be wrong.
            if std::mem::replace(&mut self.is_short, true) || is_bad {
                self.lower(&steps[..current], capacity, now);
            }
        } else {
            self.is_short = false;
            if current + 1 < steps.len() {
                self.look_up(capacity, (steps, current), now);
            } else {
                self.probe.on = None;
            }
        }
        before != self.limit
    }

    fn is_settling(&self, now: Instant) -> bool {
        self.changed.is_some_and(|at| now.saturating_duration_since(at) < SETTLES_IN)
    }

    fn lower(&mut self, below: &[Step], capacity: Capacity, now: Instant) {
        let Some(best) = Self::below(below, capacity.estimate.bps() as f64) else { return };
        let lasted = self.raised.is_none_or(|at| now.saturating_duration_since(at) > LASTS);
        self.hold = if lasted { HOLD } else { (self.hold * 2).clamp(HOLD, LONGEST_HOLD) };
        self.held_until = Some(now + self.hold);
        (self.limit, self.changed) = (best, Some(now));
        if capacity.queue > LONG_QUEUE {
            self.pause(capacity, now);
        }
        (self.is_short, self.fits) = (false, None);
        self.probe.rest(now, self.hold);
    }

    /// The best of them that gets through, or the least.
    fn below(steps: &[Step], estimate: f64) -> Option<ViewerLimit> {
        let fits = steps.iter().rfind(|step| step.may_take.min(step.needs) <= estimate);
        fits.or(steps.first()).map(|step| step.limit)
    }

    /// Sends nothing until the queue is short, as far as is known.
    fn pause(&mut self, capacity: Capacity, now: Instant) {
        let latest = self.changed.map_or(now, |at| at + LONGEST_PAUSE);
        self.paused_until = Some((now + capacity.queue.saturating_sub(SHORT_QUEUE)).min(latest));
    }

    fn look_up(&mut self, capacity: Capacity, (steps, current): (&[Step], usize), now: Instant) {
        let estimate = capacity.estimate.bps() as f64;
        let fits = |step: &&Step| HEADROOM * step.may_take <= estimate;
        let best = steps[current + 1..].iter().rev().find(fits);
        let Some(best) = best.filter(|_| !capacity.is_full) else {
            self.fits = None;
            self.probe(capacity, (steps, current), now);
            return;
        };
        let since = *self.fits.get_or_insert(now);
        self.probe.on = None;
        if now.saturating_duration_since(since) < FITS_FOR
            || self.held_until.is_some_and(|until| now < until)
        {
            return;
        }
        let is_highest = steps.last().is_some_and(|last| last.limit == best.limit);
        self.limit = if is_highest { ViewerLimit::default() } else { best.limit };
        (self.changed, self.raised, self.fits) = (Some(now), Some(now), None);
        self.probe.succeeded();
    }

    /// Begins, goes on with and ends a probe.
    fn probe(&mut self, capacity: Capacity, (steps, current): (&[Step], usize), now: Instant) {
        let (Some(step), Some(next)) = (steps.get(current), steps.get(current + 1)) else { return };
        if step.grows {
            return;
        }
        // As far as was not tried in vain, and to the next step at least.
        let tried = self.probe.tried(now);
        let best = steps.iter().rfind(|step| tried.is_none_or(|tried| step.may_take < tried));
        let best = best.map_or(next.may_take, |best| best.may_take.max(next.may_take));
        let wanted = HEADROOM * HEADROOM * best;
        let estimate = capacity.estimate.bps() as f64;
        let may_begin = self.probe.next.is_none_or(|at| at <= now) && !self.is_settling(now);
        match self.probe.on {
            Some(_) if capacity.is_full => self.probe.end(estimate, now),
            Some((since, _)) if now.saturating_duration_since(since) > PROBE_FOR => {
                self.probe.end(estimate, now);
            }
            None if capacity.is_full || !may_begin => {}
            on => {
                let since = on.map_or(now, |(since, _)| since);
                let extra = wanted.min(PROBE_RATE * estimate) - step.takes;
                self.probe.on = Some((since, extra.max(0.0)));
            }
        }
    }

    /// Until when nothing is to be sent.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Whether what nothing was sent for is over now.
    pub(crate) fn resume(&mut self, now: Instant) -> bool {
        self.paused_until.take_if(|until| *until <= now).is_some()
    }

    /// Bytes to be sent for a probe with the picture that is sent now.
    pub(crate) fn probe_bytes(&mut self, now: Instant) -> usize {
        let Probe { on, last, owed, .. } = &mut self.probe;
        let Some((_, rate)) = *on else { return 0 };
        let since =
            last.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        *owed += rate * since.min(LONGEST_INTERVAL).as_secs_f64() / 8.0;
        owed.max(0.0) as usize
    }

    /// A picture was sent twice.
    pub(crate) fn note_copied(&mut self, now: Instant) {
        self.copied = Some(now);
    }

    /// Whether the queue may be there that was made by what is sent beside the pictures.
    fn is_more_felt(&self, now: Instant) -> bool {
        let felt = |at| now.saturating_duration_since(at) < FELT_FOR;
        self.probe.is_felt(now) || self.copied.is_some_and(felt)
    }

    /// So many were.
    pub(crate) fn probed(&mut self, bytes: usize) {
        // Where nothing could be sent once more, nothing is owed for long.
        self.probe.owed = (self.probe.owed - bytes as f64).min(MOST_OWED);
    }
}

impl Probe {
    /// It did not get through, or not far enough.
    fn end(&mut self, estimate: f64, now: Instant) {
        self.on = None;
        self.pause = (self.pause * 2).clamp(PROBE_AGAIN, LONGEST_REST);
        self.next = Some(now + self.pause);
        self.failed = Some((estimate, now));
    }

    /// Whether the queue that one made may be there still: it says nothing of the pictures.
    fn is_felt(&self, now: Instant) -> bool {
        self.on.is_some()
            || self.failed.is_some_and(|(_, at)| now.saturating_duration_since(at) < FELT_FOR)
    }

    /// What was tried in vain of late.
    fn tried(&self, now: Instant) -> Option<f64> {
        let of_late = |at| now.saturating_duration_since(at) < TRIED_FOR;
        self.failed.filter(|&(_, at)| of_late(at)).map(|(estimate, _)| estimate)
    }

    /// Less got through than is sent without it.
    fn rest(&mut self, now: Instant, hold: Duration) {
        self.on = None;
        // One that takes a while may begin before the hold is over.
        self.next = Some(now + hold.max(PROBE_AGAIN) / 2);
    }

    fn succeeded(&mut self) {
        (self.on, self.pause, self.next, self.failed) = (None, Duration::ZERO, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::{Rung, TemporalLayer};

    const MS: Duration = Duration::from_millis(1);

    /// Rungs that take so many kbit/s.
    fn rungs(kbps: &[f64]) -> Vec<Step> {
        let limit =
            |rung| ViewerLimit { rung: Rung::new(rung).unwrap(), layer: TemporalLayer::HIGHEST };
        let step = |(rung, kbps): (u8, &f64)| {
            let takes = kbps * 1e3;
            let (needs, may_take) = (takes, takes);
            Step { limit: limit(rung), takes, needs, may_take, grows: false }
        };
        (0..).zip(kbps).map(step).collect()
    }

    fn capacity(kbps: u64, is_full: bool, queue: Duration) -> Capacity {
        Capacity { estimate: Bitrate::from_kbps(kbps), queue, is_full }
    }

    /// The rung that a viewer is on, counted from 0.
    fn rung(quality: &Quality, steps: &[Step]) -> usize {
        steps.iter().rposition(|step| step.limit <= quality.limit()).unwrap()
    }

    #[test]
    fn down_at_once_where_less_gets_through_and_not_where_more_was_not_tried() {
        let (steps, start) = (rungs(&[100.0, 300.0, 700.0, 1_500.0]), Instant::now());
        let mut quality = Quality::default();
        assert!(!quality.note(capacity(400, false, Duration::ZERO), &steps, start));
        assert!(!quality.note(capacity(1_000, true, Duration::ZERO), &steps, start), "one report");
        assert!(quality.note(capacity(1_000, true, 50 * MS), &steps, start));
        assert_eq!((rung(&quality, &steps), quality.paused_until()), (2, None));
        // Less than half is believed at once, and the queue is given time.
        let mut quality = Quality::default();
        assert!(quality.note(capacity(400, true, 250 * MS), &steps, start));
        assert_eq!(rung(&quality, &steps), 1);
        assert_eq!(quality.paused_until(), Some(start + 200 * MS));
        assert!(!quality.resume(start + 199 * MS) && quality.resume(start + 200 * MS));
        assert_eq!(quality.paused_until(), None);
    }

    #[test]
    fn what_is_learned_while_the_queue_becomes_shorter_counts() {
        let (steps, start) = (rungs(&[100.0, 300.0, 700.0, 1_500.0]), Instant::now());
        let mut quality = Quality::default();
        assert!(quality.note(capacity(740, true, 150 * MS), &steps, start));
        assert_eq!((rung(&quality, &steps), quality.paused_until()), (2, Some(start + 100 * MS)));
        assert!(quality.note(capacity(500, true, 210 * MS), &steps, start + 50 * MS));
        let later = Some(start + 210 * MS);
        assert_eq!((rung(&quality, &steps), quality.paused_until()), (1, later));
        // Whatever else it is, it is no queue that one has to wait for.
        assert!(!quality.note(capacity(500, true, 10_000 * MS), &steps, start + 100 * MS));
        assert_eq!(quality.paused_until(), Some(start + LONGEST_PAUSE));
        assert!(quality.resume(start + LONGEST_PAUSE));
    }

    #[test]
    fn there_is_no_way_below_the_lowest_and_a_single_one_is_never_left() {
        let start = Instant::now();
        for steps in [rungs(&[100.0, 300.0]), rungs(&[100.0])] {
            let mut quality = Quality::default();
            for report in 0..1_000 {
                quality.note(capacity(50, true, 300 * MS), &steps, start + report * 50 * MS);
            }
            assert_eq!(rung(&quality, &steps), 0);
        }
        let mut quality = Quality::default();
        assert!(!quality.note(capacity(50, true, 300 * MS), &[], start));
    }

    #[test]
    fn a_viewer_on_a_low_rung_is_sent_more_than_it_needs_until_that_is_too_much() {
        let (steps, start) = (rungs(&[100.0, 300.0]), Instant::now());
        let mut quality = Quality::default();
        quality.note(capacity(40, true, Duration::ZERO), &steps, start);
        let mut sent = 0;
        for frame in 0..600 {
            let now = start + frame * 33 * MS;
            let bytes = quality.probe_bytes(now);
            sent += bytes;
            quality.probed(bytes);
            quality.note(capacity(150, frame % 40 == 39, Duration::ZERO), &steps, now);
        }
        // 95 kbit/s for less than a second, four or five times.
        assert!((20_000..60_000).contains(&sent), "{sent}");
        assert_eq!(rung(&quality, &steps), 0);
        // What has become more is used within a second.
        let now = start + 600 * 33 * MS;
        (0..20).for_each(|report| {
            quality.note(capacity(400, false, Duration::ZERO), &steps, now + report * 50 * MS);
        });
        assert_eq!(quality.limit(), ViewerLimit::default());
    }

    #[test]
    fn reports_that_say_this_now_and_that_then_change_little() {
        let (steps, start) = (rungs(&[100.0, 300.0, 700.0, 1_500.0]), Instant::now());
        let (mut quality, mut changes) = (Quality::default(), 0);
        for report in 0..12_000 {
            let (kbps, is_full) = if report / 20 % 2 == 0 { (60, true) } else { (9_000, false) };
            let now = start + report * 50 * MS;
            changes +=
                usize::from(quality.note(capacity(kbps, is_full, Duration::ZERO), &steps, now));
        }
        assert!(changes <= 60, "{changes} changes in ten minutes");
    }
}
