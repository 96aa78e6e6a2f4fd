//! From the push of a frame to its last packet at the last viewer.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inbox::Arrival;
use crate::mark::PushLog;
use crate::{Durations, Error};

/// A frame that a viewer does not have by then does not come any more.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Ticks of a video stream's RTP clock in a second.
const VIDEO_CLOCK: u32 = 90_000;

/// Follows frames by their RTP time, which is the same for all viewers of a visavis server; of others,
/// by the counters in their marks.
///
/// Some viewers learn when the frame of an RTP time was pushed: those that decrypt read the frame's
/// mark, and any viewer reads capture times in header extensions. That then holds for all.
#[derive(Debug)]
pub(super) struct Frames {
    /// Where marks are looked up; without it capture times are the time of the push.
    marks: Option<Arc<PushLog>>,
    /// Viewers that every frame should reach.
    watchers: usize,
    /// Frames pushed at these Unix times count.
    window: Range<Duration>,
    /// A capture time, and the RTP time of its frame. Not every frame carries one.
    captured: Option<(u32, Duration)>,
    open: HashMap<u32, Open>,
    order: VecDeque<(Instant, u32)>,
    spare: Vec<Vec<Duration>>,
    pub(super) last_viewer: Durations,
    pub(super) every_viewer: Durations,
    pub(super) counts: FrameCounts,
}

/// What became of the frames of the window.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameCounts {
    /// Reached every viewer.
    pub(super) complete: u64,
    /// Did not reach every viewer.
    pub(super) incomplete: u64,
    /// No viewer could determine their push time.
    pub(super) unknown: u64,
}

#[derive(Debug)]
struct Open {
    pushed: Option<Duration>,
    arrivals: Vec<Duration>,
}

impl Frames {
    pub(super) fn new(marks: Option<Arc<PushLog>>, watchers: usize) -> Result<Self, Error> {
        Ok(Self {
            marks,
            watchers,
            window: Duration::ZERO..Duration::ZERO,
            captured: None,
            open: HashMap::new(),
            order: VecDeque::new(),
            spare: Vec::new(),
            last_viewer: Durations::new()?,
            every_viewer: Durations::new()?,
            counts: FrameCounts::default(),
        })
    }

    pub(super) fn measure(&mut self, window: Range<Duration>) {
        self.window = window;
    }

    /// Whether the marks in the pictures are wanted.
    pub(super) fn wants_marks(&self) -> bool {
        self.marks.is_some()
    }

    /// A viewer has read the mark of the frame with this RTP time.
    pub(super) fn marked(&mut self, rtp_time: u32, counter: u32, now: Instant) {
        if let Some(pushed) = self.marks.as_ref().and_then(|marks| marks.pushed(counter)) {
            self.at(rtp_time, now).pushed.get_or_insert(pushed);
        }
    }

    /// A viewer has read the capture time, in Unix time, of the frame with this RTP time.
    pub(super) fn captured(&mut self, rtp_time: u32, captured: Duration) {
        self.captured = Some((rtp_time, captured));
    }

    /// The frame with this RTP time is complete at one more viewer.
    pub(super) fn arrived(&mut self, rtp_time: u32, arrival: Arrival) {
        self.at(rtp_time, arrival.at).arrivals.push(arrival.unix);
    }

    /// Closes the frames that have had their time.
    pub(super) fn close_old(&mut self, now: Instant) {
        while let Some(&(since, rtp_time)) = self.order.front() {
            if now.saturating_duration_since(since) < PATIENCE {
                break;
            }
            self.order.pop_front();
            self.close(rtp_time);
        }
    }

    fn at(&mut self, rtp_time: u32, now: Instant) -> &mut Open {
        let (order, spare) = (&mut self.order, &mut self.spare);
        self.open.entry(rtp_time).or_insert_with(|| {
            order.push_back((now, rtp_time));
            Open { pushed: None, arrivals: spare.pop().unwrap_or_default() }
        })
    }

    fn close(&mut self, rtp_time: u32) {
        let Some(mut frame) = self.open.remove(&rtp_time) else { return };
        if let Some(&first) = frame.arrivals.first() {
            let by_capture = || self.captured.and_then(|known| captured_at(rtp_time, known));
            let pushed = if self.marks.is_some() { frame.pushed } else { by_capture() };
            match pushed {
                Some(pushed) if self.window.contains(&pushed) => {
                    if frame.arrivals.len() >= self.watchers {
                        self.counts.complete += 1;
                    } else {
                        self.counts.incomplete += 1;
                    }
                    let mut last = Duration::ZERO;
                    for arrival in &frame.arrivals {
                        let took = arrival.saturating_sub(pushed);
                        self.every_viewer.record(took);
                        last = last.max(took);
                    }
                    self.last_viewer.record(last);
                }
                Some(_) => {}
                None if self.window.contains(&first) => self.counts.unknown += 1,
                None => {}
            }
        }
        frame.arrivals.clear();
        self.spare.push(frame.arrivals);
    }
}

/// The capture time that corresponds to an RTP time, given that of another frame.
fn captured_at(rtp_time: u32, (known, captured): (u32, Duration)) -> Option<Duration> {
    let ticks = rtp_time.wrapping_sub(known).cast_signed();
    let apart = Duration::from_secs(ticks.unsigned_abs().into()) / VIDEO_CLOCK;
    if ticks < 0 { captured.checked_sub(apart) } else { captured.checked_add(apart) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn closed(frames: &mut Frames, now: Arrival) -> (f64, f64) {
        frames.close_old(now.at + PATIENCE);
        let last = frames.last_viewer.spread().map_or(0.0, |spread| spread.max);
        (last, frames.every_viewer.spread().map_or(0.0, |spread| spread.p50))
    }

    #[test]
    fn one_viewer_tells_for_all_when_a_frame_was_pushed() {
        let now = Arrival::now();
        let log = Arc::new(PushLog::default());
        let mut frames = Frames::new(Some(Arc::clone(&log)), 3).unwrap();
        frames.measure(now.unix..now.unix + ms(1_000));
        log.note(9, now.unix);
        for took in [5, 1] {
            frames.arrived(3_000, Arrival { unix: now.unix + ms(took), ..now });
        }
        frames.marked(3_000, 9, now.at);
        frames.captured(3_000, Duration::ZERO);
        frames.arrived(3_000, Arrival { unix: now.unix + ms(3), ..now });
        let (last, median) = closed(&mut frames, now);
        assert!((last - 5.0).abs() < 0.01 && (median - 3.0).abs() < 0.01, "{last} {median}");
        assert_eq!(frames.counts, FrameCounts { complete: 1, ..FrameCounts::default() });
    }

    #[test]
    fn frames_that_miss_someone_or_nobody_knows_are_counted_apart() {
        let now = Arrival::now();
        let mut frames = Frames::new(None, 2).unwrap();
        frames.measure(now.unix..now.unix + ms(1_000));
        frames.arrived(7, now);
        closed(&mut frames, now);
        assert_eq!(frames.counts, FrameCounts { unknown: 1, ..FrameCounts::default() });
        // One capture time is enough, over the end of the RTP clock too.
        frames.captured(u32::MAX, now.unix + ms(10));
        for (rtp_time, viewers) in [(899, 2), (1_799, 1), (u32::MAX - 1_800, 2)] {
            for _ in 0..viewers {
                frames.arrived(rtp_time, Arrival { unix: now.unix + ms(50), ..now });
            }
        }
        frames.close_old(now.at);
        assert_eq!(frames.counts.complete, 0);
        let (last, median) = closed(&mut frames, now);
        // The third was captured before the window.
        assert_eq!(frames.counts, FrameCounts { complete: 1, incomplete: 1, unknown: 1 });
        assert!((last - 30.0).abs() < 0.1 && (median - 30.0).abs() < 0.1, "{last} {median}");
    }
}
