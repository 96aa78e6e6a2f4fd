//! From an encoder's RTP packets to access units.

use std::time::Instant;

use visavis_types::{EncodedFrame, VideoCodec};

use super::depacketize::Depacketizer;
use super::sequencer::{Delivered, RtpCounters, Sequencer, Unwrap};
use crate::bitstream::{self, Inspection};

/// A whole access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedUnit<'a> {
    /// As [`EncodedFrame::data`].
    pub data: &'a [u8],
    /// What a look at it told.
    pub inspection: Inspection,
    /// The sender's RTP time (90 kHz), counted without wrapping.
    pub rtp_time: i64,
    /// When its first packet arrived.
    pub arrived: Instant,
    /// The sender was started anew, and its clock with it.
    pub restarted: bool,
}

/// Receives one video stream.
#[derive(Debug)]
pub struct VideoReceiver {
    sequencer: Sequencer,
    assembler: Assembler,
}

impl VideoReceiver {
    /// A receiver for one codec. Without a payload type, that of the first packet is taken.
    pub fn new(codec: VideoCodec, payload_type: Option<u8>) -> Self {
        Self { sequencer: Sequencer::new(payload_type), assembler: Assembler::new(codec) }
    }

    /// Takes a datagram; calls `each` for every access unit that is complete with it.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut each: impl FnMut(ReceivedUnit<'_>),
    ) {
        let Self { sequencer, assembler } = self;
        sequencer.receive(datagram, now, |counters, delivered| {
            assembler.take(&delivered, counters, &mut each);
        });
    }

    /// Gives up what has been waited for long enough.
    pub fn handle_due(&mut self, now: Instant, mut each: impl FnMut(ReceivedUnit<'_>)) {
        let Self { sequencer, assembler } = self;
        sequencer.release(now, |counters, delivered| {
            assembler.take(&delivered, counters, &mut each);
        });
    }

    /// When [`handle_due`](Self::handle_due) should be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.sequencer.deadline()
    }

    /// The stream's synchronization source, once there is one.
    pub fn ssrc(&self) -> Option<u32> {
        self.sequencer.ssrc()
    }

    /// An RTP time of a report, counted as those of the access units are.
    pub fn unwrapped(&self, rtp_time: u32) -> Option<i64> {
        self.assembler.clock.near(rtp_time)
    }

    /// What happened so far.
    pub fn counters(&self) -> RtpCounters {
        self.sequencer.counters
    }
}

/// Collects the packets of one RTP time.
#[derive(Debug)]
struct Assembler {
    codec: VideoCodec,
    depacketizer: Depacketizer,
    clock: Unwrap,
    open: Option<Open>,
    /// Reused.
    unit: Vec<u8>,
    /// What a decoder has got does not suffice for the next picture.
    awaiting_keyframe: bool,
    /// No access unit of the sender's new clock has come out yet.
    restarted: bool,
}

/// The access unit that is being put together.
#[derive(Debug, Clone, Copy)]
struct Open {
    timestamp: u32,
    arrived: Instant,
    /// Of payload so far. A depacketizer keeps fragments to itself until the last of them.
    bytes: usize,
    broken: bool,
}

impl Assembler {
    fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            depacketizer: Depacketizer::new(codec),
            clock: Unwrap::default(),
            open: None,
            unit: Vec::new(),
            awaiting_keyframe: true,
            restarted: false,
        }
    }

    fn take(
        &mut self,
        delivered: &Delivered<'_>,
        counters: &mut RtpCounters,
        each: &mut impl FnMut(ReceivedUnit<'_>),
    ) {
        let (packet, lost) = (&delivered.packet, delivered.lost > 0);
        if delivered.restarted {
            *self = Self { restarted: true, ..Self::new(self.codec) };
        }
        if let Some(open) = &mut self.open {
            // What is lost may be its end.
            open.broken |= lost;
            if open.timestamp != packet.timestamp {
                // Its marker bit was lost, or its sender sets none.
                self.finish(counters, each);
            }
        }
        if packet.payload.is_empty() {
            return;
        }
        let begins = lost || delivered.restarted;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                self.unit.clear();
                self.depacketizer = Depacketizer::new(self.codec);
                self.open.insert(Open {
                    timestamp: packet.timestamp,
                    arrived: delivered.arrived,
                    bytes: 0,
                    // What is lost may be its beginning.
                    broken: begins && !self.depacketizer.is_start(packet.payload),
                })
            }
        };
        open.bytes = open.bytes.saturating_add(packet.payload.len());
        open.broken |= open.bytes > EncodedFrame::MAX_BYTES;
        if !open.broken {
            open.broken = self.depacketizer.push(packet.payload, &mut self.unit).is_err();
        }
        if packet.marker {
            self.finish(counters, each);
        }
    }

    /// Gives out the open access unit, if a decoder can make use of it.
    fn finish(&mut self, counters: &mut RtpCounters, each: &mut impl FnMut(ReceivedUnit<'_>)) {
        let Some(open) = self.open.take() else { return };
        let inspected = bitstream::inspect(self.codec, &self.unit).ok().filter(|_| !open.broken);
        let Some(inspection) = inspected else {
            self.awaiting_keyframe = true;
            counters.dropped_units += 1;
            return;
        };
        if inspection.picture {
            if self.awaiting_keyframe && !inspection.keyframe {
                counters.dropped_units += 1;
                return;
            }
            self.awaiting_keyframe = false;
        }
        each(ReceivedUnit {
            data: &self.unit,
            inspection,
            rtp_time: self.clock.advance(open.timestamp),
            arrived: open.arrived,
            restarted: std::mem::take(&mut self.restarted),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::sync::Arc;
    use visavis_types::{AccessUnit, Stamps};

    use super::super::sequencer::tests::rtp;
    use super::*;
    use crate::{Packetizer, Payloads};

    const H264: VideoCodec = VideoCodec::H264;

    /// An Annex B access unit of a slice of so many bytes, with parameter sets if it is a keyframe.
    fn picture(keyframe: bool, bytes: usize) -> Vec<u8> {
        let slice: Vec<u8> = (0..bytes).map(|i| 1 + (i % 255) as u8).collect();
        let mut unit = Vec::new();
        if keyframe {
            unit.extend([0, 0, 0, 1, 0x67, 66, 0, 31, 0x80, 0, 0, 0, 1, 0x68, 0x80]);
        }
        unit.extend([0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
        unit.extend(slice);
        unit
    }

    fn payloads(codec: VideoCodec, unit: &[u8]) -> Arc<Payloads> {
        let now = Instant::now();
        let (data, stamps) = (unit.to_vec(), Stamps::pushed(now));
        let unit = AccessUnit { codec, keyframe: false, data, captured: now, stamps };
        Packetizer::new(codec).packetize(&unit, || now).payloads
    }

    /// The datagrams of one access unit after another.
    fn datagrams(units: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut sequence = 65_530_u16;
        let mut out = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            let payloads = payloads(H264, unit);
            for (i, payload) in payloads.iter().enumerate() {
                let last = i + 1 == payloads.len();
                out.push(rtp(1, sequence, 3_000 * index as u32, last, payload));
                sequence = sequence.wrapping_add(1);
            }
        }
        out
    }

    fn received(datagrams: &[Vec<u8>]) -> (Vec<Vec<u8>>, RtpCounters) {
        let (mut receiver, mut now) = (VideoReceiver::new(H264, None), Instant::now());
        let mut units = Vec::new();
        for datagram in datagrams {
            now += Duration::from_millis(1);
            receiver.receive(datagram, now, |unit| units.push(unit.data.to_vec()));
        }
        receiver.handle_due(now + Duration::from_secs(1), |unit| units.push(unit.data.to_vec()));
        (units, receiver.counters())
    }

    #[test]
    fn units_come_out_as_they_went_in_whatever_the_order() {
        let units = [picture(true, 5_000), picture(false, 3_000), picture(false, 10)];
        let mut sent = datagrams(&units);
        let (units_received, counters) = received(&sent);
        assert_eq!(units_received, units);
        assert_eq!((counters.packets, counters.lost), (sent.len() as u64, 0));
        sent[1..].chunks_mut(3).for_each(<[_]>::reverse);
        assert_eq!(received(&sent).0, units);
    }

    #[test]
    fn a_lost_packet_costs_everything_up_to_the_next_keyframe() {
        let units = [(true, 3_000), (false, 3_000), (false, 9), (true, 3_000), (false, 9)]
            .map(|(k, n)| picture(k, n));
        let sent = datagrams(&units);
        let first = payloads(H264, &units[0]).len();
        for lost in first..first + payloads(H264, &units[1]).len() {
            let mut arrived = sent.clone();
            arrived.remove(lost);
            let (got, counters) = received(&arrived);
            assert_eq!(got, [units[0].clone(), units[3].clone(), units[4].clone()], "{lost}");
            assert_eq!((counters.lost, counters.dropped_units), (1, 2));
        }
    }

    #[test]
    fn an_unmarked_end_is_seen_when_the_next_picture_comes() {
        let units = [picture(true, 2_000), picture(false, 2_000), picture(false, 5)];
        let mut sent = datagrams(&units);
        sent.iter_mut().for_each(|datagram| datagram[1] &= 0x7f);
        assert_eq!(received(&sent).0, units[..2]);
    }

    #[test]
    fn a_sender_that_starts_again_is_followed() {
        let (mut receiver, mut now) = (VideoReceiver::new(H264, None), Instant::now());
        let mut seen = Vec::new();
        for ssrc in [1_u32, 2] {
            for mut datagram in datagrams(&[picture(true, 100), picture(false, 100)]) {
                datagram[8..12].copy_from_slice(&ssrc.to_be_bytes());
                now += Duration::from_millis(10);
                receiver.receive(&datagram, now, |unit| seen.push(unit.restarted));
            }
            now += Duration::from_secs(1);
        }
        assert_eq!(seen, [true, false, true, false]);
    }

    #[test]
    fn a_unit_that_never_ends_is_bounded() {
        let (mut receiver, now) = (VideoReceiver::new(H264, None), Instant::now());
        let mut fragment = vec![0x1c, 0x05];
        fragment.resize(60_000, 7);
        receiver.receive(&rtp(1, 0, 0, false, &[0x67, 66]), now, |_| unreachable!());
        for sequence in 1..200 {
            let datagram = rtp(1, sequence, 0, false, &fragment);
            receiver.receive(&datagram, now, |_| unreachable!("it has no end"));
            let open = receiver.assembler.open.unwrap();
            assert_eq!(open.broken, open.bytes > EncodedFrame::MAX_BYTES, "{open:?}");
        }
        assert!(receiver.assembler.open.unwrap().broken);
    }

    #[test]
    fn hostile_payloads_cost_no_more_than_their_unit() {
        for payload in [&[0x78][..], &[0x78, 0xff], &[0x78, 0, 9, 1], &[0x1c], &[0x7d, 1], &[0]] {
            let mut sent = vec![rtp(1, 0, 0, true, payload)];
            for (i, unit) in [picture(true, 50), picture(false, 50)].iter().enumerate() {
                for payload in payloads(H264, unit).iter() {
                    let last = nal_is_slice(payload);
                    sent.push(rtp(1, sent.len() as u16, 1 + i as u32, last, payload));
                }
            }
            assert_eq!(received(&sent).0.len(), 2, "{payload:?}");
        }
    }

    fn nal_is_slice(payload: &[u8]) -> bool {
        matches!(payload[0] & 0x1f, 1 | 5 | 24)
    }
}
