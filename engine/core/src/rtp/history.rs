//! Frames sent a moment ago, for viewers that have missed a packet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packetize::{PacketizedFrame, Payloads};
use super::stamp::FrameStamp;

/// A packet that comes later than this has missed its picture's time by far.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// The most that is kept, whatever the bitrate.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The last frames of one rendition, once for all its viewers. Packets are counted through, so that a
/// viewer's sequence numbers and ours differ by a number that does not change while it gets every frame.
#[derive(Debug, Default)]
pub(crate) struct History {
    frames: VecDeque<Sent>,
    bytes: usize,
    next_packet: u64,
}

#[derive(Debug)]
struct Sent {
    first_packet: u64,
    at: Instant,
    stamp: FrameStamp,
    payloads: Arc<Payloads>,
}

/// A packet as it was sent.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(super) payload: &'a [u8],
    pub(super) stamp: &'a FrameStamp,
    pub(super) marker: bool,
}

impl History {
    /// The number of the next packet.
    pub(crate) fn next_packet(&self) -> u64 {
        self.next_packet
    }

    /// Keeps a frame that was sent to all viewers.
    pub(crate) fn push(&mut self, frame: PacketizedFrame, stamp: FrameStamp, now: Instant) {
        let payloads = frame.payloads;
        let first_packet = self.next_packet;
        self.next_packet += payloads.len() as u64;
        self.bytes += payloads.bytes();
        self.frames.push_back(Sent { first_packet, at: now, stamp, payloads });
        while let Some(oldest) = self.frames.front() {
            let old = now.saturating_duration_since(oldest.at) > KEPT_FOR;
            if !old && self.bytes <= MAX_BYTES {
                break;
            }
            self.bytes -= oldest.payloads.bytes();
            self.frames.pop_front();
        }
    }

    /// A packet by its number.
    pub(crate) fn get(&self, packet: u64) -> Option<Kept<'_>> {
        let after = self.frames.partition_point(|sent| sent.first_packet <= packet);
        let sent = self.frames.get(after.checked_sub(1)?)?;
        let index = usize::try_from(packet - sent.first_packet).ok()?;
        let payload = sent.payloads.get(index)?;
        Some(Kept { payload, stamp: &sent.stamp, marker: index + 1 == sent.payloads.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::{RenditionId, SessionNumber, Stamps, VideoCodec};

    fn push(history: &mut History, payloads: &[Vec<u8>], at: Instant) {
        let frame = PacketizedFrame {
            rendition: RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8),
            keyframe: false,
            layers: None,
            payloads: Arc::new(payloads.iter().collect()),
            captured: at,
            stamps: Stamps::pushed(at),
        };
        let stamp = FrameStamp::new(0, at);
        history.push(frame, stamp, at);
    }

    #[test]
    fn packets_are_found_by_number_until_they_are_old() {
        let (mut history, start) = (History::default(), Instant::now());
        push(&mut history, &[vec![1], vec![2]], start);
        push(&mut history, &[vec![3]], start + KEPT_FOR / 2);
        let found = |history: &History, number| {
            history.get(number).map(|kept| (kept.payload[0], kept.marker))
        };
        let all: Vec<_> = (0..4).map(|number| found(&history, number)).collect();
        assert_eq!(all, [Some((1, false)), Some((2, true)), Some((3, true)), None]);
        push(&mut history, &[vec![4]], start + KEPT_FOR * 5 / 4);
        let all: Vec<_> = (0..5).map(|number| found(&history, number)).collect();
        assert_eq!(all, [None, None, Some((3, true)), Some((4, true)), None]);
        assert_eq!(history.bytes, 2);
    }

    #[test]
    fn memory_is_bounded_whatever_the_bitrate() {
        let (mut history, now) = (History::default(), Instant::now());
        for _ in 0..40 {
            push(&mut history, &[vec![0; 1024 * 1024]], now);
        }
        assert_eq!(history.bytes, MAX_BYTES);
        assert_eq!(history.frames.len(), 16);
    }
}
