//! Packets that were sent, until what became of them is known.

use std::collections::VecDeque;

use super::micros::Micros;

/// Two seconds of a 10 Mbit/s stream.
const MAX_PACKETS: usize = 2_048;
/// Reports may name packets again that were reported as lost, and have arrived since.
const KEPT: u64 = 64;

/// Packets that were sent, by their transport-wide sequence numbers.
#[derive(Debug, Default)]
pub(super) struct SentPackets {
    packets: VecDeque<Packet>,
    /// The number of the first of `packets`.
    first: u64,
    /// The number after the last one reported.
    reported: u64,
    /// Bytes of packets without a number, since the last that has one.
    unnumbered: u64,
    /// Bytes of packets of which no report has said anything.
    pending: u64,
    /// Bytes of all packets.
    total: u64,
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    /// The low bits of when it was sent, which come around after 71 minutes.
    sent: u32,
    bytes: u32,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unknown,
    Lost,
    Received,
}

/// What a report says of a packet, where it was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It has arrived.
    Received { sent: Micros, bytes: u64 },
    /// It has arrived though it was reported as lost.
    Late,
    /// It is lost.
    Lost,
}

impl SentPackets {
    /// Notes bytes of packets that get no number: they count with the next one that does.
    pub(super) fn push_unnumbered(&mut self, bytes: usize) {
        self.unnumbered += bytes as u64;
        self.pending += bytes as u64;
        self.total += bytes as u64;
    }

    /// Notes a packet. Gives its number.
    pub(super) fn push(&mut self, now: Micros, bytes: usize) -> u16 {
        if self.packets.len() == MAX_PACKETS {
            self.reach(self.first + 1);
            self.packets.pop_front();
            self.first += 1;
        }
        let number = self.next() as u16;
        self.pending += bytes as u64;
        self.total += bytes as u64;
        let bytes = std::mem::take(&mut self.unnumbered) + bytes as u64;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.packets.push_back(Packet { sent: now as u32, bytes, fate: Fate::Unknown });
        number
    }

    /// Bytes of all packets so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of packets of which no report has said anything.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Of what was sent before the packet of this number, something is known.
    fn reach(&mut self, number: u64) {
        let places = self.reported.saturating_sub(self.first)..number.saturating_sub(self.first);
        let (from, until) = (places.start as usize, places.end as usize);
        let packets = self.packets.range(from.min(until)..until.min(self.packets.len()));
        let bytes: u64 = packets.map(|packet| u64::from(packet.bytes)).sum();
        self.pending = self.pending.saturating_sub(bytes);
        self.reported = self.reported.max(number);
    }

    fn next(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// When the first packet was sent of which no report has said anything.
    pub(super) fn waits_since(&self, now: Micros) -> Option<Micros> {
        let place = usize::try_from(self.reported.saturating_sub(self.first)).ok()?;
        self.packets.get(place).map(|packet| packet.sent_at(now))
    }

    /// Notes what became of a packet. `None` where that is known, or the packet is not.
    pub(super) fn report(&mut self, now: Micros, sequence: u16, arrived: bool) -> Option<News> {
        let next = self.next();
        let back = (next as u16).wrapping_sub(sequence);
        let number = next.checked_sub(u64::from(back)).filter(|_| back > 0)?;
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.reach(number + 1);
        let packet = self.packets.get_mut(place)?;
        let before = packet.fate;
        packet.fate = if arrived { Fate::Received } else { Fate::Lost };
        match (before, arrived) {
            (Fate::Unknown, false) => Some(News::Lost),
            (Fate::Unknown, true) => {
                Some(News::Received { sent: packet.sent_at(now), bytes: packet.bytes.into() })
            }
            (Fate::Lost, true) => Some(News::Late),
            (Fate::Received, _) => {
                packet.fate = Fate::Received;
                None
            }
            (Fate::Lost, false) => None,
        }
    }

    /// Forgets what has been reported. Gives the bytes of packets in between of which no report has said anything: their
    /// report is lost.
    pub(super) fn forget_reported(&mut self) -> u64 {
        let mut unknown = 0;
        while self.first + KEPT < self.reported
            && let Some(packet) = self.packets.pop_front()
        {
            self.first += 1;
            if packet.fate == Fate::Unknown {
                unknown += u64::from(packet.bytes);
            }
        }
        unknown
    }
}

impl Packet {
    fn sent_at(&self, now: Micros) -> Micros {
        now - Micros::from((now as u32).wrapping_sub(self.sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(sent: Micros, bytes: u64) -> Option<News> {
        Some(News::Received { sent, bytes })
    }

    #[test]
    fn each_packet_is_news_once_and_what_was_lost_may_come_late() {
        let mut packets = SentPackets::default();
        let numbers = [1, 2, 3].map(|bytes| packets.push(bytes * 1_000, bytes as usize));
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(packets.waits_since(9_000), Some(1_000));
        assert_eq!(packets.report(9_000, 0, true), received(1_000, 1));
        assert_eq!(packets.report(9_000, 0, true), None);
        assert_eq!(packets.report(9_000, 1, false), Some(News::Lost));
        assert_eq!(packets.report(9_000, 1, false), None);
        assert_eq!(packets.waits_since(9_000), Some(3_000));
        assert_eq!(packets.report(9_000, 1, true), Some(News::Late));
        assert_eq!(packets.report(9_000, 1, false), None, "it has come");
        assert_eq!(packets.report(9_000, 3, true), None, "not sent yet");
        assert_eq!(packets.report(9_000, 65_535, true), None, "never sent");
    }

    #[test]
    fn packets_without_a_number_count_with_the_next() {
        let mut packets = SentPackets::default();
        packets.push_unnumbered(100_000);
        packets.push_unnumbered(20_000);
        assert_eq!([packets.push(7, 1_200), packets.push(7, 1_200)], [0, 1]);
        assert_eq!(packets.report(9, 0, true), received(7, 121_200));
        assert_eq!(packets.report(9, 1, true), received(7, 1_200));
    }

    #[test]
    fn what_is_pending_ends_with_a_report_of_it_or_of_what_was_sent_later() {
        let mut packets = SentPackets::default();
        (0..4).for_each(|_| _ = packets.push(0, 1_000));
        packets.push_unnumbered(500);
        assert_eq!(packets.pending(), 4_500);
        packets.report(9, 1, true);
        assert_eq!(packets.pending(), 2_500);
        packets.report(9, 0, true);
        assert_eq!(packets.pending(), 2_500, "an older one");
        packets.push(0, 100);
        packets.report(9, 4, false);
        assert_eq!(packets.pending(), 0);
        packets.forget_reported();
        (0..3 * MAX_PACKETS).for_each(|_| _ = packets.push(0, 1));
        assert_eq!(packets.pending(), MAX_PACKETS as u64, "what is not kept is forgotten");
    }

    #[test]
    fn numbers_and_times_come_around() {
        let mut packets = SentPackets::default();
        for number in 0..70_000 {
            let now = Micros::from(u32::MAX) - 1_000 + number;
            let sequence = packets.push(now, 1_200);
            assert_eq!(sequence, number as u16);
            assert_eq!(packets.report(now + 20, sequence, true), received(now, 1_200));
            packets.forget_reported();
            assert!(packets.packets.len() <= KEPT as usize + 1);
        }
    }

    #[test]
    fn what_no_report_tells_of_is_counted_and_nothing_is_kept_for_ever() {
        let mut packets = SentPackets::default();
        for _ in 0..200 {
            packets.push(0, 1_000);
        }
        packets.report(0, 199, true);
        assert_eq!(packets.forget_reported(), (200 - KEPT) * 1_000);
        for _ in 0..10 * MAX_PACKETS {
            packets.push(0, 1_000);
        }
        assert_eq!(packets.packets.len(), MAX_PACKETS);
    }
}
