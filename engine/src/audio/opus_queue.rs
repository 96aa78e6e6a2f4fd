//! When Opus packets that the caller made are sent, and what RTP time they get.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_types::MAX_SOUND_LEAD;

use super::block::{OpusBlock, OpusTiming, SAMPLE_RATE_HZ, max_samples};
use super::pacer::Slot;

/// How far a caller may be ahead of the rate at which its packets play, before they wait. Packets of
/// a live source come in bursts where its thread was late.
const BURST: Duration = Duration::from_millis(60);
/// A packet captured this much later than the end of the one before comes after a pause, or a loss;
/// less is the coarseness of its stamp.
const GAP: Duration = Duration::from_millis(30);
/// The share of the difference between stamps and sample count by which the clock follows the stamps.
const FOLLOW: u32 = 16;
/// A step of the sender's clock that is no pause any more but a new clock.
const MAX_STEP: u32 = 30 * SAMPLE_RATE_HZ;

/// A queue of packets and two clocks: one for when they are sent, one for the RTP time they have. No
/// clock of its own: time comes in.
#[derive(Debug)]
pub(super) struct OpusQueue {
    waiting: VecDeque<OpusBlock>,
    waiting_samples: u64,
    max_samples: u64,
    /// When the next packet would be sent by a caller in step.
    due: Option<Instant>,
    last: Option<Last>,
}

/// The packet sent last.
#[derive(Debug, Clone, Copy)]
struct Last {
    rtp_time: u64,
    samples: u32,
    captured: Instant,
}

impl OpusQueue {
    /// Keeps at most `max` of sound.
    pub(super) fn new(max: Duration) -> Self {
        let max_samples = max_samples(max) as u64;
        Self { waiting: VecDeque::new(), waiting_samples: 0, max_samples, due: None, last: None }
    }

    /// Appends a packet; returns how many of the oldest samples had to go for it.
    pub(super) fn push(&mut self, block: OpusBlock) -> u64 {
        self.waiting_samples += u64::from(block.samples);
        self.waiting.push_back(block);
        let mut dropped = 0;
        while self.waiting_samples > self.max_samples && self.waiting.len() > 1 {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.waiting_samples -= u64::from(oldest.samples);
            dropped += u64::from(oldest.samples);
        }
        dropped
    }

    /// Samples that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting_samples
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.waiting_samples = 0;
        self.due = None;
    }

    /// When the first packet is to be sent; `None` where there is none.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let first = self.waiting.front()?;
        match first.timing {
            // Already due: a deadline in the past wakes the caller at once.
            OpusTiming::Live { .. } => Some(first.captured),
            OpusTiming::Paced => Some(self.due.unwrap_or(first.captured)),
        }
    }

    /// Gives the next packet if it is due.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(Arc<[u8]>, Slot)> {
        let first = self.waiting.front()?;
        if first.timing == OpusTiming::Paced {
            if self.due.is_some_and(|due| due > now) {
                return None;
            }
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            let sent = self.due.map_or(earliest, |due| due.max(earliest));
            self.due = Some(sent + duration(first.samples));
        }
        let block = self.waiting.pop_front()?;
        self.waiting_samples -= u64::from(block.samples);
        Some(self.stamp(block, now))
    }

    /// Places a packet on the RTP clock.
    fn stamp(&mut self, block: OpusBlock, now: Instant) -> (Arc<[u8]>, Slot) {
        let OpusBlock { data, samples, captured, timing } = block;
        let (rtp_time, captured, talkspurt) = match (self.last, timing) {
            (None, _) => (0, captured, true),
            (Some(last), OpusTiming::Live { step: Some(step) })
                if (1..MAX_STEP).contains(&step) =>
            {
                (last.rtp_time + u64::from(step), captured, step > last.samples)
            }
            (Some(last), _) => last.follow(captured, now),
        };
        // A stamp of the future is one of sound that was pushed ahead of its time.
        let captured = captured.min(now + MAX_SOUND_LEAD);
        self.last = Some(Last { rtp_time, samples, captured });
        (data, Slot { rtp_time, captured, sound: true, talkspurt })
    }
}

impl Last {
    /// RTP time and capture time of the next packet, by its stamp; and whether there is a gap.
    fn follow(&self, captured: Instant, now: Instant) -> (u64, Instant, bool) {
        let end = self.captured + duration(self.samples);
        let rtp_end = self.rtp_time + u64::from(self.samples);
        let late = captured.saturating_duration_since(end);
        if late > GAP {
            let samples = late.as_micros() * u128::from(SAMPLE_RATE_HZ) / 1_000_000;
            return (rtp_end + samples as u64, captured, true);
        }
        let early = end.saturating_duration_since(captured);
        let captured = if early > GAP {
            // A burst stamped with the moment of pushing shows nothing of when the sound belongs.
            end.max(now.checked_sub(GAP * 8).unwrap_or(now))
        } else {
            end + late / FOLLOW - early / FOLLOW
        };
        (rtp_end, captured, false)
    }
}

fn duration(samples: u32) -> Duration {
    Duration::from_micros(u64::from(samples) * 1_000_000 / u64::from(SAMPLE_RATE_HZ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn block(captured: Instant, timing: OpusTiming) -> OpusBlock {
        OpusBlock { data: Arc::from([0xf8].as_slice()), samples: 960, captured, timing }
    }

    fn queue() -> OpusQueue {
        OpusQueue::new(Duration::from_secs(60))
    }

    #[test]
    fn packets_in_time_leave_at_once() {
        let (mut queue, start) = (queue(), Instant::now());
        for i in 0..200_u32 {
            let now = start + MS * (i * 20 + [0, 9, 3, 17][i as usize % 4]);
            queue.push(block(now, OpusTiming::Paced));
            let (_, packet) = queue.poll(now).unwrap();
            assert_eq!(packet.rtp_time, u64::from(i) * 960, "stamps jitter, RTP time does not");
            assert_eq!(packet.talkspurt, i == 0);
        }
    }

    #[test]
    fn a_burst_is_sent_at_its_own_rate() {
        let (mut queue, start) = (queue(), Instant::now());
        for _ in 0..50 {
            queue.push(block(start, OpusTiming::Paced));
        }
        let (mut now, mut sent) = (start, Vec::new());
        while let Some(at) = queue.deadline() {
            now = now.max(at);
            if let Some((_, packet)) = queue.poll(now) {
                sent.push((now - start, packet));
            }
        }
        assert_eq!(sent.len(), 50);
        let times: Vec<u64> = sent.iter().map(|(_, packet)| packet.rtp_time).collect();
        assert_eq!(times, (0..50).map(|i| i * 960).collect::<Vec<_>>());
        for (i, (at, packet)) in sent.iter().enumerate() {
            let due = (MS * 20 * i as u32).saturating_sub(BURST);
            assert_eq!(*at, due, "{i}");
            assert!(packet.captured <= start + *at + MAX_SOUND_LEAD);
        }
        assert!(sent.windows(2).all(|pair| pair[0].1.captured <= pair[1].1.captured));
    }

    #[test]
    fn a_pause_passes_on_the_rtp_clock_too() {
        let (mut queue, start) = (queue(), Instant::now());
        queue.push(block(start, OpusTiming::Paced));
        assert_eq!(queue.poll(start).unwrap().1.rtp_time, 0);
        let now = start + MS * 1_020;
        queue.push(block(now, OpusTiming::Paced));
        let (_, packet) = queue.poll(now).unwrap();
        assert_eq!((packet.rtp_time, packet.talkspurt), (960 + 48_000, true));
        assert_eq!(packet.captured, now);
    }

    #[test]
    fn a_senders_own_clock_is_kept() {
        let (mut queue, start) = (queue(), Instant::now());
        let mut expected = 0;
        for step in [None, Some(960), Some(1_920), None, Some(960)] {
            let captured = start + MS * (expected / 48);
            queue.push(block(captured, OpusTiming::Live { step }));
            let (_, packet) = queue.poll(start).unwrap();
            expected = match step {
                _ if expected == 0 && step.is_none() => 0,
                Some(step) => expected + step,
                None => expected + 960,
            };
            assert_eq!(packet.rtp_time, u64::from(expected));
        }
    }

    #[test]
    fn the_oldest_goes_when_the_queue_is_full() {
        let (mut queue, now) = (OpusQueue::new(MS * 40), Instant::now());
        assert_eq!(queue.push(block(now, OpusTiming::Paced)), 0);
        assert_eq!(queue.push(block(now, OpusTiming::Paced)), 0);
        assert_eq!(queue.push(block(now, OpusTiming::Paced)), 960);
        assert_eq!(queue.waiting.len(), 2);
    }
}
