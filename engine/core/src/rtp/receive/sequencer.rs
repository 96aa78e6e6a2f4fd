//! From datagrams to one stream's packets in order.

use std::time::{Duration, Instant};

use super::fault::RtpFault;
use super::packet::RtpPacket;
use super::reorder::{Place, Reorder};
use super::unexpected_media::{self, UnexpectedMedia};

/// A stream that was silent for so long may be replaced by another: its sender was started again.
const HANDOVER_SILENCE: Duration = Duration::from_millis(200);

/// A stream that goes on so long after another one began is not being replaced by it.
const OVERLAP: Duration = Duration::from_millis(50);

/// Of a stream that may replace another so much is kept until that is certain.
const MAX_NEWCOMER_PACKETS: usize = 1_024;
const MAX_NEWCOMER_BYTES: usize = 2 << 20;

/// So many datagrams of a kind, and none of the stream, are no accident.
const SUSPICIOUS: u32 = 5;

/// What happened to the packets of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RtpCounters {
    /// Packets that arrived and belong to the stream.
    pub packets: u64,
    /// Packets that never came, or too late.
    pub lost: u64,
    /// Datagrams that are no RTP, of another payload type or of another stream; duplicates.
    pub ignored: u64,
    /// Access units, or packets of sound, that were handed on.
    pub units: u64,
    /// Access units that were incomplete, broken, or of no use without one that was; packets of sound that
    /// are no Opus.
    pub dropped_units: u64,
    /// Times that the sender was started again.
    pub restarts: u64,
    /// Times that the RTP time of what was handed on was before that of the one before: the sender's clock was set,
    /// and is counted anew from there.
    pub clock_steps: u64,
}

/// A packet in its turn.
#[derive(Debug)]
pub(super) struct Delivered<'a> {
    pub(super) packet: RtpPacket<'a>,
    pub(super) arrived: Instant,
    /// Packets missing right before it.
    pub(super) lost: u64,
    /// The stream begins anew with it.
    pub(super) restarted: bool,
}

/// Filters and orders what arrives at one socket.
#[derive(Debug)]
pub(super) struct Sequencer {
    expected_type: Option<u8>,
    stream: Option<Stream>,
    /// What may be the sender of the stream, started again.
    newcomer: Option<Newcomer>,
    reorder: Reorder<Vec<u8>>,
    /// The next packet in its turn is the first of its stream.
    begins: bool,
    strays: Strays,
    pub(super) counters: RtpCounters,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    payload_type: u8,
    last_packet: Instant,
}

/// Another stream, while the one there is may still go on.
#[derive(Debug)]
struct Newcomer {
    ssrc: u32,
    payload_type: u8,
    since: Instant,
    packets: Vec<(Instant, Vec<u8>)>,
    bytes: usize,
    /// The stream there is went on: this one is not its successor.
    rejected: bool,
}

/// Datagrams that do not belong to the stream: those of the last one or two seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Strays {
    /// Packets of the stream since it was last looked.
    accepted: u32,
    no_rtp: Recent,
    looks_like: Option<UnexpectedMedia>,
    other_type: Option<u8>,
    of_other_type: Recent,
    of_other_stream: Recent,
    window_start: Option<Instant>,
}

/// A count of this window and of the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Recent([u32; 2]);

impl Recent {
    fn add(&mut self) {
        self.0[1] = self.0[1].saturating_add(1);
    }

    fn are_many(self) -> bool {
        self.0[0].saturating_add(self.0[1]) >= SUSPICIOUS
    }

    fn turn(&mut self) {
        self.0 = [self.0[1], 0];
    }
}

impl Strays {
    const WINDOW: Duration = Duration::from_secs(1);

    fn turn(&mut self, now: Instant) {
        let start = *self.window_start.get_or_insert(now);
        if now.saturating_duration_since(start) >= Self::WINDOW {
            self.window_start = Some(now);
            for counts in [&mut self.no_rtp, &mut self.of_other_type, &mut self.of_other_stream] {
                counts.turn();
            }
        }
    }
}

impl Sequencer {
    /// Takes packets of one payload type, or of the type that comes first.
    pub(super) fn new(expected_type: Option<u8>) -> Self {
        Self {
            expected_type,
            stream: None,
            newcomer: None,
            reorder: Reorder::default(),
            begins: false,
            strays: Strays::default(),
            counters: RtpCounters::default(),
        }
    }

    pub(super) fn ssrc(&self) -> Option<u32> {
        self.stream.map(|stream| stream.ssrc)
    }

    /// Takes a datagram; calls `each` for every packet whose turn has come.
    pub(super) fn receive(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut each: impl FnMut(&mut RtpCounters, Delivered<'_>),
    ) {
        let Some(packet) = RtpPacket::parse(datagram) else {
            self.strays.no_rtp.add();
            self.strays.looks_like = unexpected_media::without_rtp(datagram);
            self.counters.ignored += 1;
            return;
        };
        if !self.is_expected(packet.payload_type) {
            self.strays.of_other_type.add();
            self.strays.other_type = Some(packet.payload_type);
            self.counters.ignored += 1;
            return;
        }
        match self.stream {
            Some(stream)
                if (stream.ssrc, stream.payload_type) != (packet.ssrc, packet.payload_type) =>
            {
                if now.saturating_duration_since(stream.last_packet) < HANDOVER_SILENCE {
                    self.keep(&packet, datagram, now);
                    return;
                }
                self.hand_over(&packet, now, &mut each);
            }
            Some(_) => {}
            None => self.begin(&packet, now),
        }
        self.place(&packet, datagram, now, &mut each);
    }

    /// Calls `each` for packets that have waited long enough.
    pub(super) fn release(
        &mut self,
        now: Instant,
        mut each: impl FnMut(&mut RtpCounters, Delivered<'_>),
    ) {
        if self.handover_at().is_some_and(|at| at <= now)
            && let Some(newcomer) = self.newcomer.take()
        {
            self.replay(newcomer, &mut each);
        }
        self.pop(now, &mut each);
    }

    fn pop(&mut self, now: Instant, each: &mut impl FnMut(&mut RtpCounters, Delivered<'_>)) {
        while let Some(held) = self.reorder.pop(now) {
            self.counters.lost += held.lost;
            if let Some(packet) = RtpPacket::parse(&held.packet) {
                let (arrived, lost) = (held.arrived, held.lost);
                let restarted = std::mem::take(&mut self.begins);
                each(&mut self.counters, Delivered { packet, arrived, lost, restarted });
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.reorder.deadline(), self.handover_at()].into_iter().flatten().min()
    }

    /// Why nothing of the stream came since this was last asked, where other things did.
    pub(super) fn fault(&mut self, now: Instant) -> Option<RtpFault> {
        self.strays.turn(now);
        let strays = self.strays;
        self.strays.accepted = 0;
        if strays.accepted > 0 {
            return strays.of_other_stream.are_many().then_some(RtpFault::TwoSenders);
        }
        if strays.of_other_type.are_many()
            && let Some(found) = strays.other_type
        {
            return Some(match self.expected_type {
                Some(expected) => RtpFault::PayloadType { expected, found },
                None => RtpFault::OtherCodec(unexpected_media::by_payload_type(found)?),
            });
        }
        strays.no_rtp.are_many().then_some(RtpFault::NoRtp(strays.looks_like))
    }

    /// A payload type that stands for something else (RFC 3551 §6) is taken only where it was asked for.
    fn is_expected(&self, payload_type: u8) -> bool {
        match self.expected_type {
            Some(expected) => expected == payload_type,
            None => unexpected_media::by_payload_type(payload_type).is_none(),
        }
    }

    /// Finds the place of a packet of the stream.
    fn place(
        &mut self,
        packet: &RtpPacket<'_>,
        datagram: &[u8],
        now: Instant,
        each: &mut impl FnMut(&mut RtpCounters, Delivered<'_>),
    ) {
        let mut silence = Duration::ZERO;
        if let Some(stream) = &mut self.stream {
            silence = now.saturating_duration_since(stream.last_packet);
            if let Some(newcomer) = &mut self.newcomer
                && now.saturating_duration_since(newcomer.since) > OVERLAP
            {
                newcomer.reject(&mut self.counters);
            }
        }
        let mut place = self.reorder.place(packet.sequence, || datagram.to_vec(), now);
        if place == Place::Stale && silence >= HANDOVER_SILENCE {
            // It counts from further back: a sender that was given its numbers.
            self.reorder.restart_at(packet.sequence);
            place = self.reorder.place(packet.sequence, || datagram.to_vec(), now);
            self.begins = true;
            self.counters.restarts += 1;
        }
        match place {
            Place::Now => {
                self.accept(now);
                let restarted = std::mem::take(&mut self.begins);
                let delivered = Delivered { packet: *packet, arrived: now, lost: 0, restarted };
                each(&mut self.counters, delivered);
            }
            Place::Restart => {
                self.begins = true;
                self.counters.restarts += 1;
                // The one before was put aside, and has its turn as well.
                self.counters.ignored = self.counters.ignored.saturating_sub(1);
                self.accept(now);
                self.accept(now);
            }
            Place::Held => self.accept(now),
            Place::Stale | Place::Doubtful => {
                self.counters.ignored += 1;
                return;
            }
        }
        self.pop(now, each);
    }

    fn accept(&mut self, now: Instant) {
        self.counters.packets += 1;
        self.strays.accepted = self.strays.accepted.saturating_add(1);
        if let Some(stream) = &mut self.stream {
            stream.last_packet = now;
        }
    }

    /// The stream begins with this packet.
    fn begin(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        let RtpPacket { ssrc, payload_type, .. } = *packet;
        self.stream = Some(Stream { ssrc, payload_type, last_packet: now });
        self.reorder = Reorder::default();
        self.begins = true;
        // What was another's is this one's now.
        self.strays.of_other_stream = Recent::default();
    }

    // --- A sender that is started again ---

    /// Keeps a packet of another stream until it is known whether it takes over.
    fn keep(&mut self, packet: &RtpPacket<'_>, datagram: &[u8], now: Instant) {
        self.strays.of_other_stream.add();
        let RtpPacket { ssrc, payload_type, .. } = *packet;
        let newcomer = match &mut self.newcomer {
            Some(newcomer) if (newcomer.ssrc, newcomer.payload_type) == (ssrc, payload_type) => {
                newcomer
            }
            other => {
                if let Some(other) = other {
                    other.reject(&mut self.counters);
                }
                other.insert(Newcomer {
                    ssrc,
                    payload_type,
                    since: now,
                    packets: Vec::new(),
                    bytes: 0,
                    rejected: false,
                })
            }
        };
        if newcomer.packets.len() >= MAX_NEWCOMER_PACKETS || newcomer.bytes >= MAX_NEWCOMER_BYTES {
            newcomer.reject(&mut self.counters);
        }
        if newcomer.rejected {
            self.counters.ignored += 1;
            return;
        }
        newcomer.bytes += datagram.len();
        newcomer.packets.push((now, datagram.to_vec()));
    }

    /// When the stream will have been silent for so long that the newcomer takes over.
    fn handover_at(&self) -> Option<Instant> {
        let waits = self.newcomer.as_ref().is_some_and(|newcomer| !newcomer.packets.is_empty());
        self.stream.filter(|_| waits).map(|stream| stream.last_packet + HANDOVER_SILENCE)
    }

    /// The stream was silent for long: another takes over with this packet, or with what was kept of it.
    fn hand_over(
        &mut self,
        packet: &RtpPacket<'_>,
        now: Instant,
        each: &mut impl FnMut(&mut RtpCounters, Delivered<'_>),
    ) {
        let kept = self.newcomer.take().filter(|newcomer| !newcomer.packets.is_empty());
        match kept {
            Some(newcomer) if newcomer.ssrc == packet.ssrc => self.replay(newcomer, each),
            _ => {
                self.counters.restarts += 1;
                self.begin(packet, now);
            }
        }
    }

    /// Another stream takes over with its first packet.
    fn replay(
        &mut self,
        newcomer: Newcomer,
        each: &mut impl FnMut(&mut RtpCounters, Delivered<'_>),
    ) {
        self.counters.restarts += 1;
        for (index, (arrived, datagram)) in newcomer.packets.iter().enumerate() {
            let Some(packet) = RtpPacket::parse(datagram) else { continue };
            if index == 0 {
                self.begin(&packet, *arrived);
            }
            self.place(&packet, datagram, *arrived, each);
        }
    }
}

impl Newcomer {
    /// Forgets what was kept.
    fn reject(&mut self, counters: &mut RtpCounters) {
        counters.ignored += self.packets.len() as u64;
        self.packets = Vec::new();
        (self.bytes, self.rejected) = (0, true);
    }
}

/// Counts a 32-bit RTP time without wrapping.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unwrap(Option<i64>);

impl Unwrap {
    /// The nearest time to the last one; also remembers it.
    pub(super) fn advance(&mut self, timestamp: u32) -> i64 {
        let time = self.near(timestamp).unwrap_or_else(|| i64::from(timestamp));
        self.0 = Some(time);
        time
    }

    pub(super) fn last(self) -> Option<i64> {
        self.0
    }

    /// The nearest time to the last one, if there was one.
    pub(super) fn near(&self, timestamp: u32) -> Option<i64> {
        self.0.map(|last| last + i64::from(timestamp.wrapping_sub(last as u32) as i32))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An RTP datagram.
    pub(crate) fn rtp(
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut datagram = vec![0x80, 96 | u8::from(marker) << 7];
        datagram.extend(sequence.to_be_bytes());
        datagram.extend(timestamp.to_be_bytes());
        datagram.extend(ssrc.to_be_bytes());
        datagram.extend(payload);
        datagram
    }

    fn sequences(sequencer: &mut Sequencer, datagram: &[u8], now: Instant) -> Vec<(u16, bool)> {
        let mut out = Vec::new();
        sequencer.receive(datagram, now, |_, delivered| {
            out.push((delivered.packet.sequence, delivered.restarted));
        });
        out
    }

    #[test]
    fn another_stream_takes_over_only_after_silence() {
        let (mut sequencer, start) = (Sequencer::new(None), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(sequences(&mut sequencer, &rtp(1, 7, 0, false, &[1]), at(0)), [(7, true)]);
        assert_eq!(sequences(&mut sequencer, &rtp(2, 900, 0, false, &[1]), at(100)), []);
        assert_eq!(sequences(&mut sequencer, &rtp(1, 8, 0, false, &[1]), at(160)), [(8, false)]);
        assert_eq!(sequences(&mut sequencer, &rtp(2, 901, 0, false, &[1]), at(250)), []);
        assert_eq!(sequences(&mut sequencer, &rtp(2, 902, 0, false, &[1]), at(400)), [(902, true)]);
        assert_eq!(sequencer.ssrc(), Some(2));
        assert_eq!((sequencer.counters.ignored, sequencer.counters.restarts), (2, 1));
    }

    #[test]
    fn a_sender_that_is_started_again_at_once_loses_nothing() {
        let (mut sequencer, start) = (Sequencer::new(None), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(sequences(&mut sequencer, &rtp(1, 7, 0, false, &[1]), at(0)), [(7, true)]);
        assert_eq!(sequences(&mut sequencer, &rtp(2, 900, 0, false, &[1]), at(60)), []);
        // The network brings the last of the old one late.
        assert_eq!(sequences(&mut sequencer, &rtp(1, 8, 0, false, &[1]), at(61)), [(8, false)]);
        assert_eq!(sequences(&mut sequencer, &rtp(2, 901, 0, false, &[1]), at(100)), []);
        assert_eq!(sequencer.deadline(), Some(at(261)));
        let mut out = Vec::new();
        sequencer.release(at(261), |_, delivered| {
            out.push((delivered.packet.sequence, delivered.restarted, delivered.arrived));
        });
        assert_eq!(out, [(900, true, at(60)), (901, false, at(100))]);
        assert_eq!(
            sequences(&mut sequencer, &rtp(2, 902, 0, false, &[1]), at(262)),
            [(902, false)]
        );
        assert_eq!((sequencer.counters.ignored, sequencer.counters.restarts), (0, 1));
        assert_eq!(sequencer.deadline(), None);
    }

    #[test]
    fn two_senders_at_once_are_told_and_cost_no_memory() {
        let (mut sequencer, start) = (Sequencer::new(None), Instant::now());
        for i in 0..500_u16 {
            let now = start + Duration::from_millis(u64::from(i));
            assert_eq!(sequences(&mut sequencer, &rtp(1, i, 0, false, &[1]), now).len(), 1);
            assert_eq!(sequences(&mut sequencer, &rtp(2, i, 0, false, &[1]), now), []);
        }
        assert!(sequencer.newcomer.as_ref().unwrap().packets.is_empty());
        assert_eq!(sequencer.counters.ignored, 500);
        assert_eq!(sequencer.fault(start), Some(RtpFault::TwoSenders));
        let late = start + Duration::from_millis(510);
        for i in 0..5_000_u32 {
            assert_eq!(sequences(&mut sequencer, &rtp(100 + i, 0, 0, false, &[1; 900]), late), []);
        }
        for i in 0..5_000 {
            assert_eq!(sequences(&mut sequencer, &rtp(7, i, 0, false, &[1; 900]), late), []);
        }
        assert!(sequencer.newcomer.as_ref().unwrap().packets.len() <= MAX_NEWCOMER_PACKETS);
    }

    #[test]
    fn a_sender_that_counts_from_further_back_is_followed_after_silence() {
        let (mut sequencer, start) = (Sequencer::new(None), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for i in 0..50 {
            sequences(&mut sequencer, &rtp(1, i, 0, false, &[1]), at(u64::from(i)));
        }
        assert_eq!(sequences(&mut sequencer, &rtp(1, 3, 0, false, &[1]), at(60)), []);
        assert_eq!(sequences(&mut sequencer, &rtp(1, 0, 0, false, &[1]), at(300)), [(0, true)]);
        assert_eq!(sequences(&mut sequencer, &rtp(1, 1, 0, false, &[1]), at(310)), [(1, false)]);
        // Far away it is followed without silence, and nothing is missing.
        assert_eq!(sequences(&mut sequencer, &rtp(1, 30_000, 0, false, &[1]), at(320)), []);
        let both = sequences(&mut sequencer, &rtp(1, 30_001, 0, false, &[1]), at(321));
        assert_eq!(both, [(30_000, true), (30_001, false)]);
        assert_eq!((sequencer.counters.packets, sequencer.counters.ignored), (54, 1));
    }

    #[test]
    fn other_payload_types_are_ignored_and_told() {
        let now = Instant::now();
        let mut named = Sequencer::new(Some(97));
        let mut first = Sequencer::new(None);
        for i in 0..6 {
            assert_eq!(sequences(&mut named, &rtp(1, i, 0, false, &[1]), now), []);
            let mut mulaw = rtp(1, i, 0, false, &[1]);
            mulaw[1] = 0;
            assert_eq!(sequences(&mut first, &mulaw, now), []);
        }
        let (expected, found) = (97, 96);
        let fault = |sequencer: &mut Sequencer, s| sequencer.fault(now + Duration::from_secs(s));
        assert_eq!(fault(&mut named, 0), Some(RtpFault::PayloadType { expected, found }));
        assert!(fault(&mut named, 1).is_some());
        assert_eq!(fault(&mut named, 2), None, "it is told of what came lately");
        assert_eq!(fault(&mut first, 0), Some(RtpFault::OtherCodec(UnexpectedMedia::Pcmu)));
        assert_eq!(sequences(&mut first, &rtp(1, 7, 0, false, &[1]), now), [(7, true)]);
        assert_eq!(fault(&mut first, 0), None, "now it is right");
        let mut other = rtp(1, 8, 0, false, &[1]);
        other[1] = 97;
        assert_eq!(sequences(&mut first, &other, now), []);
        let mut asked_for = Sequencer::new(Some(0));
        let mut of_type_0 = rtp(1, 7, 0, false, &[1]);
        of_type_0[1] = 0;
        assert_eq!(sequences(&mut asked_for, &of_type_0, now), [(7, true)]);
    }

    #[test]
    fn what_is_no_rtp_is_told() {
        let (mut sequencer, now) = (Sequencer::new(None), Instant::now());
        let mut stream = vec![0; 188 * 7];
        stream.chunks_exact_mut(188).for_each(|packet| packet[0] = 0x47);
        for _ in 0..6 {
            assert_eq!(sequences(&mut sequencer, &stream, now), []);
        }
        assert_eq!(sequencer.fault(now), Some(RtpFault::NoRtp(Some(UnexpectedMedia::MpegTs))));
    }

    #[test]
    fn rtp_time_goes_on_over_the_wrap() {
        let mut unwrap = Unwrap::default();
        assert_eq!(unwrap.advance(u32::MAX - 1), i64::from(u32::MAX) - 1);
        assert_eq!(unwrap.advance(1), i64::from(u32::MAX) + 2);
        assert_eq!(unwrap.near(u32::MAX), Some(i64::from(u32::MAX)));
    }
}
