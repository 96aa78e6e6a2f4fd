//! Frames sent a moment ago, for viewers that have missed a packet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::packetize::PacketizedFrame;
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
    frame: PacketizedFrame,
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
        let first_packet = self.next_packet;
        self.next_packet += frame.payloads.len() as u64;
        self.bytes += frame.payloads.bytes();
        self.frames.push_back(Sent { first_packet, at: now, stamp, frame });
        while let Some(oldest) = self.frames.front() {
            let old = now.saturating_duration_since(oldest.at) > KEPT_FOR;
            if !old && self.bytes <= MAX_BYTES {
                break;
            }
            self.bytes -= oldest.frame.payloads.bytes();
            self.frames.pop_front();
        }
    }

    /// A packet by its number.
    pub(crate) fn get(&self, packet: u64) -> Option<Kept<'_>> {
        let after = self.frames.partition_point(|sent| sent.first_packet <= packet);
        let sent = self.frames.get(after.checked_sub(1)?)?;
        let index = usize::try_from(packet - sent.first_packet).ok()?;
        let payloads = &sent.frame.payloads;
        let payload = payloads.get(index)?;
        Some(Kept { payload, stamp: &sent.stamp, marker: index + 1 == payloads.len() })
    }

    /// A frame by the number of its first packet.
    pub(crate) fn frame(&self, first_packet: u64) -> Option<(&PacketizedFrame, &FrameStamp)> {
        let place = self.frames.binary_search_by_key(&first_packet, |sent| sent.first_packet);
        self.frames.get(place.ok()?).map(|sent| (&sent.frame, &sent.stamp))
    }

    /// The number of the last keyframe's first packet, where that was sent no longer ago, and no more bytes from it on.
    pub(crate) fn last_keyframe(
        &self,
        age: Duration,
        most_bytes: usize,
        now: Instant,
    ) -> Option<u64> {
        let mut bytes = 0;
        for sent in self.frames.iter().rev() {
            bytes += sent.frame.payloads.bytes();
            if bytes > most_bytes || now.saturating_duration_since(sent.at) > age {
                return None;
            }
            if sent.frame.keyframe {
                return Some(sent.first_packet);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use visavis_types::{RenditionId, SessionNumber, Stamps, VideoCodec};

    fn push(history: &mut History, payloads: &[Vec<u8>], at: Instant) {
        push_frame(history, false, payloads, at);
    }

    fn push_frame(history: &mut History, keyframe: bool, payloads: &[Vec<u8>], at: Instant) {
        let frame = PacketizedFrame {
            rendition: RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8),
            keyframe,
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
    fn a_keyframe_is_begun_with_while_it_is_recent_and_not_too_much_has_come_since() {
        let (mut history, start) = (History::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let begin = |history: &History, ms| history.last_keyframe(KEPT_FOR / 2, 6, at(ms));
        push(&mut history, &[vec![1]], at(0));
        assert_eq!(begin(&history, 0), None);
        push_frame(&mut history, true, &[vec![2], vec![3]], at(10));
        push(&mut history, &[vec![4]], at(20));
        assert_eq!(begin(&history, 30), Some(1));
        assert_eq!(begin(&history, 510), Some(1));
        assert_eq!(begin(&history, 511), None);
        let first =
            |number| history.frame(number).map(|(frame, _)| frame.payloads.get(0).unwrap()[0]);
        assert_eq!([0, 1, 2, 3, 4].map(first), [Some(1), Some(2), None, Some(4), None]);
        push(&mut history, &[vec![5; 4]], at(30));
        assert_eq!(begin(&history, 30), None);
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
