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

/// Follows frames by their RTP time, which is the same for all viewers of a visavis server; of others,
/// by the counters in their marks.
///
/// Some viewers learn when the frame of an RTP time was pushed: those that decrypt read the frame's
/// mark, and any viewer reads the capture time in a header extension. That then holds for all.
#[derive(Debug)]
pub(super) struct Frames {
    /// Where marks are looked up; without it capture times are the time of the push.
    marks: Option<Arc<PushLog>>,
    /// Viewers that every frame should reach.
    watchers: usize,
    /// Frames pushed at these Unix times count.
    window: Range<Duration>,
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
    /// No viewer could tell when they were pushed.
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
    pub(super) fn captured(&mut self, rtp_time: u32, captured: Duration, now: Instant) {
        if self.marks.is_none() {
            self.at(rtp_time, now).pushed.get_or_insert(captured);
        }
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
            match frame.pushed {
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
        frames.captured(3_000, Duration::ZERO, now.at);
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
        frames.captured(1, now.unix, now.at);
        frames.arrived(1, now);
        frames.arrived(2, now);
        frames.arrived(2, now);
        // Pushed before the window.
        frames.captured(3, now.unix - ms(1), now.at);
        frames.arrived(3, now);
        frames.close_old(now.at);
        assert_eq!(frames.counts, FrameCounts::default());
        closed(&mut frames, now);
        assert_eq!(frames.counts, FrameCounts { complete: 0, incomplete: 1, unknown: 1 });
    }
}
