//! From an encoder's RTP packets to Opus packets.

use std::time::Instant;

use super::sequencer::{RtpCounters, Sequencer, Unwrap};
use crate::bitstream::opus;

/// An Opus packet (RFC 7587: the payload as it is).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedPacket<'a> {
    /// The packet.
    pub data: &'a [u8],
    /// How long it plays, in samples at 48 kHz.
    pub samples: u32,
    /// The sender's RTP time (48 kHz), counted without wrapping.
    pub rtp_time: i64,
    /// When it arrived.
    pub arrived: Instant,
    /// The sender was started anew, and its clock with it.
    pub restarted: bool,
}

/// Receives one Opus stream.
#[derive(Debug)]
pub struct AudioReceiver {
    sequencer: Sequencer,
    clock: Unwrap,
}

impl AudioReceiver {
    /// Without a payload type, that of the first packet is taken.
    pub fn new(payload_type: Option<u8>) -> Self {
        Self { sequencer: Sequencer::new(payload_type), clock: Unwrap::default() }
    }

    /// Takes a datagram; calls `each` for every packet whose turn has come.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut each: impl FnMut(ReceivedPacket<'_>),
    ) {
        let Self { sequencer, clock } = self;
        sequencer.receive(datagram, now, |counters, delivered| {
            take(clock, counters, &delivered, &mut each);
        });
    }

    /// Gives up what has been waited for long enough.
    pub fn handle_due(&mut self, now: Instant, mut each: impl FnMut(ReceivedPacket<'_>)) {
        let Self { sequencer, clock } = self;
        sequencer.release(now, |counters, delivered| {
            take(clock, counters, &delivered, &mut each);
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

    /// An RTP time of a report, counted as those of the packets are.
    pub fn unwrapped(&self, rtp_time: u32) -> Option<i64> {
        self.clock.near(rtp_time)
    }

    /// What happened so far.
    pub fn counters(&self) -> RtpCounters {
        self.sequencer.counters
    }
}

fn take(
    clock: &mut Unwrap,
    counters: &mut RtpCounters,
    delivered: &super::sequencer::Delivered<'_>,
    each: &mut impl FnMut(ReceivedPacket<'_>),
) {
    let packet = &delivered.packet;
    if delivered.restarted {
        *clock = Unwrap::default();
    }
    let rtp_time = clock.advance(packet.timestamp);
    if packet.payload.is_empty() {
        return;
    }
    let Ok(samples) = opus::duration(packet.payload) else {
        counters.dropped_units += 1;
        return;
    };
    let (arrived, restarted) = (delivered.arrived, delivered.restarted);
    each(ReceivedPacket { data: packet.payload, samples, rtp_time, arrived, restarted });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sequencer::tests::rtp;
    use super::*;

    #[test]
    fn packets_come_in_order_and_broken_ones_do_not() {
        let (mut receiver, now) = (AudioReceiver::new(None), Instant::now());
        let mut got = Vec::new();
        let sent: [(u16, &[u8]); 5] =
            [(0, &[0xf8, 1]), (2, &[0xf8, 3]), (1, &[0xf8, 2]), (3, &[0xf9, 1]), (5, &[0xf8, 6])];
        for (sequence, payload) in sent {
            let datagram = rtp(9, sequence, 960 * u32::from(sequence), false, payload);
            receiver.receive(&datagram, now, |packet| got.push((packet.rtp_time, packet.data[1])));
        }
        receiver.handle_due(now + Duration::from_secs(1), |packet| {
            got.push((packet.rtp_time, packet.data[1]));
        });
        assert_eq!(got, [(0, 1), (960, 2), (1_920, 3), (4_800, 6)]);
        let counters = receiver.counters();
        assert_eq!((counters.lost, counters.dropped_units), (1, 1));
    }
}
