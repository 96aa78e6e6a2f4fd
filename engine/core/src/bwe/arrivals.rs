//! Reports of when packets have arrived: transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

use std::time::Duration;

/// RFC 4585 §6.2, and the format of these.
const TRANSPORT_FEEDBACK: u8 = 205;
const ARRIVALS: u8 = 15;
const PADDED: u8 = 0x20;
/// Up to the first chunk.
const FIXED_BYTES: usize = 20;
const TICK_US: u64 = 250;
/// Ticks in a unit of the reference time: 64 ms.
const REFERENCE_TICKS: i64 = 256;

/// One report: each packet by its transport-wide sequence number, and when it arrived on the receiver's clock, from some
/// moment on.
#[derive(Debug, Clone)]
pub(crate) struct ArrivalReport<'a> {
    /// What became of packets, each chunk of several.
    chunks: &'a [u8],
    /// When those that arrived did, after the one before.
    deltas: &'a [u8],
    /// Of the first chunk, so many were read.
    read: u16,
    next: u16,
    left: u16,
    ticks: i64,
}

impl<'a> ArrivalReport<'a> {
    /// Whether an RTCP packet is one, by what is not encrypted of it: it may be the first of several.
    pub(crate) fn is_first_in(rtcp: &[u8]) -> bool {
        matches!(rtcp, [first, TRANSPORT_FEEDBACK, ..] if first & !PADDED == 2 << 6 | ARRIVALS)
    }

    /// Reads a report that stands alone. `None` where it is none, or broken.
    pub(crate) fn parse(rtcp: &'a [u8]) -> Option<Self> {
        if !Self::is_first_in(rtcp) || (usize::from(u16_at(rtcp, 2)?) + 1) * 4 != rtcp.len() {
            return None;
        }
        let padding = if rtcp[0] & PADDED == 0 { 0 } else { usize::from(*rtcp.last()?) };
        let packet = rtcp.get(..rtcp.len().checked_sub(padding)?)?;
        let (next, left) = (u16_at(packet, 12)?, u16_at(packet, 14)?);
        let reference =
            u32::from_be_bytes([0, *packet.get(16)?, *packet.get(17)?, *packet.get(18)?]);
        let rest = packet.get(FIXED_BYTES..)?;
        let (mut told, mut end) = (0, 0);
        while told < left {
            let packets = packets_of(u16_at(rest, end)?);
            told = told.saturating_add(packets);
            end += 2;
            if packets == 0 {
                return None;
            }
        }
        let (chunks, deltas) = rest.split_at(end);
        let ticks = i64::from(reference) * REFERENCE_TICKS;
        Some(Self { chunks, deltas, read: 0, next, left, ticks })
    }

    /// How long after the one before the next has arrived.
    fn delta(&mut self, bytes: usize) -> Option<i64> {
        let (delta, rest) = self.deltas.split_at_checked(bytes)?;
        self.deltas = rest;
        Some(match *delta {
            [small] => small.into(),
            [high, low] => i16::from_be_bytes([high, low]).into(),
            _ => return None,
        })
    }
}

impl Iterator for ArrivalReport<'_> {
    type Item = (u16, Option<Duration>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let chunk = u16_at(self.chunks, 0)?;
        let delta = match symbol(chunk, self.read) {
            1 => Some(self.delta(1)?),
            2 => Some(self.delta(2)?),
            _ => None,
        };
        let arrival = delta.map(|delta| {
            self.ticks += delta;
            Duration::from_micros(TICK_US * self.ticks.max(0).unsigned_abs())
        });
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.read += 1;
        if self.read == packets_of(chunk) {
            self.chunks = self.chunks.get(2..)?;
            self.read = 0;
        }
        Some((number, arrival))
    }
}

/// How many packets a chunk tells of (§3.1.3, §3.1.4).
fn packets_of(chunk: u16) -> u16 {
    match chunk >> 14 {
        0b10 => 14,
        0b11 => 7,
        _ => chunk & 0x1fff,
    }
}

/// What a chunk says of one of its packets: 0 not received, 1 with a delta of one byte, 2 of two.
fn symbol(chunk: u16, place: u16) -> u16 {
    match chunk >> 14 {
        0b10 => chunk >> (13 - place) & 1,
        0b11 => chunk >> (12 - 2 * place) & 3,
        _ => chunk >> 13 & 3,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of so many packets from 65,534 on, with this reference time, chunks and deltas.
    fn report(count: u16, reference: u32, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x8f, TRANSPORT_FEEDBACK, 0, 0];
        packet.extend([0; 8]);
        packet.extend(65_534_u16.to_be_bytes());
        packet.extend(count.to_be_bytes());
        packet.extend(&reference.to_be_bytes()[1..]);
        packet.push(7);
        packet.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
        packet.extend(deltas);
        let padding = packet.len().next_multiple_of(4) - packet.len();
        if padding > 0 {
            packet[0] |= PADDED;
            packet.extend(vec![0; padding - 1]);
            packet.push(padding as u8);
        }
        let words = packet.len() / 4 - 1;
        packet[2..4].copy_from_slice(&(words as u16).to_be_bytes());
        packet
    }

    fn read(packet: &[u8]) -> Option<Vec<(u16, Option<u128>)>> {
        let report = ArrivalReport::parse(packet)?;
        let in_us = |(number, at): (u16, Option<Duration>)| (number, at.map(|at| at.as_micros()));
        Some(report.map(in_us).collect())
    }

    #[test]
    fn runs_and_vectors_are_read_and_numbers_come_around() {
        // Three received; one lost; a vector of fourteen, of which four are told of, two received.
        let chunks = [1 << 13 | 3, 1, 0b10 << 14 | 0b1010 << 10];
        let packet = report(8, 2, &chunks, &[4, 0, 8, 1, 255]);
        let expected = [
            (65_534, Some(129_000)),
            (65_535, Some(129_000)),
            (0, Some(131_000)),
            (1, None),
            (2, Some(131_250)),
            (3, None),
            (4, Some(195_000)),
            (5, None),
        ];
        assert_eq!(read(&packet).unwrap(), expected);
        // Two bits each: received, with a large delta, backwards; lost; reserved; small.
        let chunk = 0b11 << 14 | 0b10_00_11_01 << 6;
        let packet = report(4, 1, &[chunk], &[0xff, 0xfc, 2]);
        let expected = [(65_534, Some(63_000)), (65_535, None), (0, None), (1, Some(63_500))];
        assert_eq!(read(&packet).unwrap(), expected);
    }

    #[test]
    fn what_is_broken_is_none_or_ends_early() {
        let whole = report(8, 2, &[1 << 13 | 8], &[1; 8]);
        assert_eq!(read(&whole).unwrap().len(), 8);
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), None, "{len}");
        }
        assert_eq!(read(&[&whole[..], &whole].concat()), None, "it does not stand alone");
        assert_eq!(read(&report(8, 2, &[1 << 13 | 8], &[1; 4])).unwrap().len(), 4);
        assert_eq!(read(&report(9, 2, &[1 << 13 | 8], &[])), None, "too few chunks");
        assert_eq!(read(&report(9, 2, &[1 << 13, 1 << 13 | 9], &[])), None, "a run of none");
        let last = read(&report(1, 0xff_ffff, &[2 << 13 | 1], &[0x7f, 0xff])).unwrap();
        assert_eq!(last, [(65_534, Some((0xff_ffff * 256 + 0x7fff) * 250))], "as late as can be");
        let many = read(&report(u16::MAX, 0, &[0x1fff; 9], &[])).unwrap();
        assert!(many.len() == 65_535 && many.iter().all(|(_, arrival)| arrival.is_none()));
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..100_000 {
            let mut packet = whole.clone();
            for _ in 0..random.usize(1..6) {
                let place = random.usize(..packet.len());
                packet[place] = random.u8(..);
            }
            read(&packet);
        }
    }
}
