//! From an encoder's RTP packets to Opus packets.

use std::time::Instant;

use super::fault::{ExpectedMedia, RtpFault};
use super::sequencer::{Delivered, RtpCounters, Sequencer, Unwrap};
use super::unexpected_media::{self, UnexpectedMedia};
use visavis_bitstream::opus;

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
    /// The sender was started anew, and its clock with it; or its clock was set back.
    pub restarted: bool,
}

/// Receives one Opus stream.
#[derive(Debug)]
pub struct AudioReceiver {
    sequencer: Sequencer,
    stream: Stream,
}

/// What is known of the stream.
#[derive(Debug, Default)]
struct Stream {
    clock: Unwrap,
    doubt: Doubt,
    /// RTP time of the last packet, and how long it plays.
    last: Option<(i64, u32)>,
    restarted: bool,
}

/// How sure it is that the packets are Opus: any byte may begin an Opus packet.
#[derive(Debug, Clone, Copy, Default)]
struct Doubt {
    /// Grows with each packet that can hardly be one, sinks with others.
    points: u32,
    /// Until it is gone again nothing is handed on.
    refused: bool,
    is_aac: bool,
}

impl Doubt {
    /// Three odd packets in a row.
    const TOO_MANY: u32 = 6;
    const MOST: u32 = 12;

    fn note(&mut self, is_odd: bool, is_aac: bool) {
        self.is_aac = is_aac || (self.is_aac && self.refused);
        self.points = match is_odd || is_aac {
            true => (self.points + 2).min(Self::MOST),
            false => self.points.saturating_sub(1),
        };
        match self.points {
            0 => *self = Self::default(),
            points => self.refused |= is_aac || points >= Self::TOO_MANY,
        }
    }

    fn fault(&self) -> Option<RtpFault> {
        self.refused.then_some(match self.is_aac {
            true => RtpFault::OtherCodec(UnexpectedMedia::Aac),
            false => RtpFault::Unreadable(ExpectedMedia::Opus),
        })
    }
}

impl AudioReceiver {
    /// Without a payload type, that of the first packet is taken.
    pub fn new(payload_type: Option<u8>) -> Self {
        Self { sequencer: Sequencer::new(payload_type), stream: Stream::default() }
    }

    /// Takes a datagram; calls `each` for every packet whose turn has come.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut each: impl FnMut(ReceivedPacket<'_>),
    ) {
        let Self { sequencer, stream } = self;
        sequencer.receive(datagram, now, |counters, delivered| {
            stream.take(counters, &delivered, &mut each);
        });
    }

    /// Gives up what has been waited for long enough.
    pub fn handle_due(&mut self, now: Instant, mut each: impl FnMut(ReceivedPacket<'_>)) {
        let Self { sequencer, stream } = self;
        sequencer.release(now, |counters, delivered| {
            stream.take(counters, &delivered, &mut each);
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
        self.stream.clock.near(rtp_time)
    }

    /// Why nothing of what comes can be played. To be called a few times a second while something comes.
    pub fn fault(&mut self, now: Instant) -> Option<RtpFault> {
        self.sequencer.fault(now).or_else(|| self.stream.doubt.fault())
    }

    /// What happened so far.
    pub fn counters(&self) -> RtpCounters {
        self.sequencer.counters
    }
}

impl Stream {
    fn take(
        &mut self,
        counters: &mut RtpCounters,
        delivered: &Delivered<'_>,
        each: &mut impl FnMut(ReceivedPacket<'_>),
    ) {
        let packet = &delivered.packet;
        if delivered.restarted {
            *self = Self { restarted: true, ..Self::default() };
        }
        let before = self.clock;
        let rtp_time = self.clock.advance(packet.timestamp);
        let set_back = before.last().is_some_and(|last| rtp_time < last);
        if packet.payload.is_empty() {
            return;
        }
        let duration = opus::duration(packet.payload).ok();
        let before = match duration {
            Some(samples) => self.last.replace((rtp_time, samples)),
            None => self.last,
        };
        let is_in_step = before.is_none_or(|before| is_in_step(before, rtp_time));
        let is_aac = unexpected_media::is_aac(packet.payload);
        self.doubt.note(duration.is_none() || !is_in_step, is_aac);
        let Some(samples) = duration.filter(|_| !self.doubt.refused && !is_aac) else {
            counters.dropped_units += 1;
            return;
        };
        counters.units += 1;
        counters.clock_steps += u64::from(set_back);
        self.restarted |= set_back;
        let (arrived, data) = (delivered.arrived, packet.payload);
        let restarted = std::mem::take(&mut self.restarted);
        each(ReceivedPacket { data, samples, rtp_time, arrived, restarted });
    }
}

/// Whether a packet's time may follow on a packet of this time and length: at its end, or whole steps of
/// 2.5 ms later, where silence is not sent. Some senders round.
fn is_in_step((before, samples): (i64, u32), rtp_time: i64) -> bool {
    const STEP: i64 = 120;
    const ROUNDING: i64 = 6;
    let gap = rtp_time - before - i64::from(samples);
    gap >= -ROUNDING && (gap + ROUNDING).rem_euclid(STEP) <= 2 * ROUNDING
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
    /// What comes out, of packets of 20 ms by the clock of their sender, and the fault.
    fn outcome(
        payload: impl Fn(u16) -> Vec<u8>,
        step: u32,
    ) -> (usize, Option<RtpFault>, RtpCounters) {
        let (mut receiver, now) = (AudioReceiver::new(None), Instant::now());
        let mut received = 0;
        for i in 0..100 {
            let datagram = rtp(9, i, step * u32::from(i), false, &payload(i));
            receiver.receive(&datagram, now, |_| received += 1);
        }
        (received, receiver.fault(now), receiver.counters())
    }

    /// Bytes without a pattern.
    fn noise(seed: u16, length: usize) -> Vec<u8> {
        let mut state = u32::from(seed) + 1;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn sound_of_other_codecs_is_refused_and_named() {
        // G.711 under a payload type that says nothing: any byte may begin an Opus packet.
        let (received, fault, counters) = outcome(|i| noise(i, 160), 160);
        assert!(received <= 4, "{received} of 100");
        assert_eq!(fault, Some(RtpFault::Unreadable(ExpectedMedia::Opus)));
        assert_eq!(counters.dropped_units as usize, 100 - received);
        let aac = |i: u16| {
            let unit = noise(i, 180);
            [&[0, 16][..], &((unit.len() as u16) << 3).to_be_bytes(), &unit].concat()
        };
        let (received, fault, _) = outcome(aac, 1_024);
        assert_eq!((received, fault), (0, Some(RtpFault::OtherCodec(UnexpectedMedia::Aac))));
    }

    #[test]
    fn opus_is_never_refused() {
        for (toc, step) in [(0xf8, 960), (0xf8, 961), (0xe0, 120), (0x18, 2_880), (0xf8, 19_200)] {
            let (received, fault, counters) =
                outcome(|i| [&[toc][..], &noise(i, 80)].concat(), step);
            assert_eq!((received, fault, counters.units), (100, None, 100), "{toc:#x} {step}");
        }
    }

    #[test]
    fn opus_is_taken_again_after_something_else() {
        let (mut receiver, now) = (AudioReceiver::new(None), Instant::now());
        let mut received = 0;
        for i in 0..60_u16 {
            let payload = if i < 20 { noise(i, 160) } else { vec![0xf8, 1, 2] };
            let datagram = rtp(9, i, 960 * u32::from(i), false, &payload);
            receiver.receive(&datagram, now, |_| received += 1);
        }
        assert!((20..=35).contains(&received), "{received}");
        assert_eq!(receiver.fault(now), None);
    }
}
