//! From datagrams to one stream's packets in order.

use std::time::{Duration, Instant};

use super::packet::RtpPacket;
use super::reorder::{Place, Reorder};

/// A stream that was silent for so long may be replaced by another: its sender was started again.
const HANDOVER_SILENCE: Duration = Duration::from_millis(200);

/// What happened to the packets of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpCounters {
    /// Packets that arrived and belong to the stream.
    pub packets: u64,
    /// Packets that never came, or too late.
    pub lost: u64,
    /// Datagrams that are no RTP, of another payload type or of another stream; duplicates.
    pub ignored: u64,
    /// Access units that were incomplete, broken, or of no use without one that was.
    pub dropped_units: u64,
    /// Times that the sender was started again.
    pub restarts: u64,
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
    wanted_type: Option<u8>,
    stream: Option<Stream>,
    reorder: Reorder<Vec<u8>>,
    pub(super) counters: RtpCounters,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    payload_type: u8,
    last_packet: Instant,
}

impl Sequencer {
    /// Takes packets of one payload type, or of the type that comes first.
    pub(super) fn new(wanted_type: Option<u8>) -> Self {
        let (reorder, counters) = (Reorder::default(), RtpCounters::default());
        Self { wanted_type, stream: None, reorder, counters }
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
        let packet = RtpPacket::parse(datagram);
        let wanted = |packet: &RtpPacket<'_>| {
            self.wanted_type.is_none_or(|wanted| wanted == packet.payload_type)
        };
        let Some(packet) = packet.filter(wanted) else {
            self.counters.ignored += 1;
            return;
        };
        let Some(begins) = self.admit(&packet, now) else {
            self.counters.ignored += 1;
            return;
        };
        let place = self.reorder.place(packet.sequence, || datagram.to_vec(), now);
        match place {
            Place::Now | Place::Restart => {
                let restarted = begins || place == Place::Restart;
                self.counters.restarts += u64::from(place == Place::Restart);
                self.counters.packets += 1;
                let delivered = Delivered { packet, arrived: now, lost: 0, restarted };
                each(&mut self.counters, delivered);
                self.release(now, each);
            }
            Place::Held => {
                self.counters.packets += 1;
                self.release(now, each);
            }
            Place::Stale | Place::Doubtful => self.counters.ignored += 1,
        }
    }

    /// Calls `each` for packets that have waited long enough.
    pub(super) fn release(
        &mut self,
        now: Instant,
        mut each: impl FnMut(&mut RtpCounters, Delivered<'_>),
    ) {
        while let Some(held) = self.reorder.pop(now) {
            self.counters.lost += held.lost;
            if let Some(packet) = RtpPacket::parse(&held.packet) {
                let (arrived, lost) = (held.arrived, held.lost);
                let delivered = Delivered { packet, arrived, lost, restarted: false };
                each(&mut self.counters, delivered);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.reorder.deadline()
    }

    /// Whether a packet belongs to the stream; `Some(true)` where the stream begins with it.
    fn admit(&mut self, packet: &RtpPacket<'_>, now: Instant) -> Option<bool> {
        if let Some(stream) = &mut self.stream {
            if (stream.ssrc, stream.payload_type) == (packet.ssrc, packet.payload_type) {
                stream.last_packet = now;
                return Some(false);
            }
            if now.saturating_duration_since(stream.last_packet) < HANDOVER_SILENCE {
                return None;
            }
            self.counters.restarts += 1;
            self.reorder = Reorder::default();
        }
        let RtpPacket { ssrc, payload_type, .. } = *packet;
        self.stream = Some(Stream { ssrc, payload_type, last_packet: now });
        Some(true)
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

    /// The nearest time to the last one, if there was one.
    pub(super) fn near(&self, timestamp: u32) -> Option<i64> {
        self.0.map(|last| last + i64::from(timestamp.wrapping_sub(last as u32) as i32))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An RTP datagram.
    pub(in crate::rtp_input) fn rtp(
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
        assert_eq!(sequences(&mut sequencer, &rtp(1, 8, 0, false, &[1]), at(110)), [(8, false)]);
        assert_eq!(sequences(&mut sequencer, &rtp(2, 901, 0, false, &[1]), at(400)), [(901, true)]);
        assert_eq!(sequencer.ssrc(), Some(2));
        assert_eq!((sequencer.counters.ignored, sequencer.counters.restarts), (1, 1));
    }

    #[test]
    fn other_payload_types_are_ignored() {
        let now = Instant::now();
        let mut named = Sequencer::new(Some(97));
        assert_eq!(sequences(&mut named, &rtp(1, 7, 0, false, &[1]), now), []);
        let mut first = Sequencer::new(None);
        assert_eq!(sequences(&mut first, &rtp(1, 7, 0, false, &[1]), now), [(7, true)]);
        let mut other = rtp(1, 8, 0, false, &[1]);
        other[1] = 97;
        assert_eq!(sequences(&mut first, &other, now), []);
    }

    #[test]
    fn rtp_time_goes_on_over_the_wrap() {
        let mut unwrap = Unwrap::default();
        assert_eq!(unwrap.advance(u32::MAX - 1), i64::from(u32::MAX) - 1);
        assert_eq!(unwrap.advance(1), i64::from(u32::MAX) + 2);
        assert_eq!(unwrap.near(u32::MAX), Some(i64::from(u32::MAX)));
    }
}
