//! What a connection has no room for now.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::framing::Frames;

/// What has waited so long is late, and what comes after it would be later.
const LONGEST_WAIT: Duration = Duration::from_millis(150);

/// Packets of this size or less go on being taken then: sound, and what keeps the connection alive.
const SMALL_BYTES: usize = 400;

/// Nothing is taken beyond that: who reads so little is not there.
const MAX_WAITING_BYTES: usize = 256 * 1024;

/// A connection that has taken nothing for so long is over.
const LONGEST_STALL: Duration = Duration::from_secs(15);

/// What became of packets that had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpCounters {
    /// Left out, as others had waited too long.
    pub dropped: u64,
}

/// Bytes that wait, and since when.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How many of them were sent.
    sent: usize,
    /// Where what was put in at a moment ends, counted over all that ever was.
    marks: VecDeque<(u64, Instant)>,
    /// Bytes put in, and sent, so far.
    put: u64,
    taken: u64,
    /// When something was sent last, or began to wait.
    moved: Option<Instant>,
    counters: TcpCounters,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn counters(&self) -> TcpCounters {
        self.counters
    }

    /// Has bytes wait, whatever they are.
    fn push(&mut self, bytes: &[u8], now: Instant) {
        if self.is_empty() {
            self.moved = Some(now);
        }
        self.make_room();
        self.bytes.extend_from_slice(bytes);
        self.put += bytes.len() as u64;
        self.marks.push_back((self.put, now));
    }

    /// Has packets wait that have their lengths before them. The first `begun` bytes were sent already: a packet of which
    /// a part was sent is kept whatever it is. Of the others those for which `may_drop` says so are left out where what is
    /// before them has waited for long, or is much.
    pub(super) fn push_packets(
        &mut self,
        (framed, begun): (&[u8], usize),
        may_drop: impl Fn(&[u8]) -> bool,
        now: Instant,
    ) -> io::Result<()> {
        let is_late = self.is_late(now);
        let mut frames = Frames::new(framed);
        let mut end = 0;
        while let Some(packet) = frames.next() {
            let start = std::mem::replace(&mut end, framed.len() - frames.rest().len());
            let Some(own) = framed.get(start.max(begun)..end) else { continue };
            let is_much = self.waiting().len() + own.len() > MAX_WAITING_BYTES;
            let is_whole = start >= begun;
            if is_whole && may_drop(packet) && (is_much || is_late && packet.len() > SMALL_BYTES) {
                self.counters.dropped += 1;
            } else if self.waiting().len() > 2 * MAX_WAITING_BYTES {
                return Err(ErrorKind::TimedOut.into());
            } else {
                self.push(own, now);
            }
        }
        let stalled = self.moved.map(|at| now.saturating_duration_since(at));
        match stalled.filter(|stalled| !self.is_empty() && *stalled > LONGEST_STALL) {
            Some(_) => Err(ErrorKind::TimedOut.into()),
            None => Ok(()),
        }
    }

    /// Whether what would be put in now came late.
    fn is_late(&self, now: Instant) -> bool {
        let oldest = self.marks.front();
        oldest.is_some_and(|(_, since)| now.saturating_duration_since(*since) > LONGEST_WAIT)
    }

    /// So many of what waits were sent.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        self.sent += bytes;
        self.taken += bytes as u64;
        self.moved = Some(now);
        while self.marks.front().is_some_and(|(end, _)| *end <= self.taken) {
            self.marks.pop_front();
        }
        if self.sent >= self.bytes.len() {
            // Most viewers' never wait again.
            (self.bytes, self.sent, self.marks) = (Vec::new(), 0, VecDeque::new());
        }
    }

    /// What was sent takes no more room than what waits.
    fn make_room(&mut self) {
        if self.sent * 2 > self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(packets: &[&[u8]]) -> Vec<u8> {
        packets
            .iter()
            .flat_map(|packet| [&(packet.len() as u16).to_be_bytes()[..], packet].concat())
            .collect()
    }

    fn packets(outbox: &Outbox) -> Vec<usize> {
        Frames::new(outbox.waiting()).map(<[u8]>::len).collect()
    }

    #[test]
    fn what_comes_behind_what_has_waited_for_long_is_left_out_unless_it_is_small_or_must_not_be() {
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let pictures = framed(&[&[1; 1_000], &[1; 1_000]]);
        let media = |packet: &[u8]| packet[0] == 1;
        outbox.push_packets((&pictures, 0), media, at(0)).unwrap();
        outbox.push_packets((&pictures, 0), media, at(150)).unwrap();
        assert_eq!(packets(&outbox).len(), 4);
        let mixed = framed(&[&[1; 1_000], &[1; 100], &[2; 1_200]]);
        outbox.push_packets((&mixed, 0), media, at(151)).unwrap();
        assert_eq!(packets(&outbox), [1_000, 1_000, 1_000, 1_000, 100, 1_200]);
        assert_eq!(outbox.counters().dropped, 1);
        // The first two have gone: what is left has not waited for long.
        outbox.sent(2_004, at(160));
        outbox.push_packets((&mixed, 0), media, at(200)).unwrap();
        assert_eq!(packets(&outbox), [1_000, 1_000, 100, 1_200, 1_000, 100, 1_200]);
        outbox.sent(outbox.waiting().len(), at(210));
        assert!(outbox.is_empty() && !outbox.is_late(at(5_000)));
    }

    #[test]
    fn a_packet_of_which_a_part_was_sent_is_sent_to_its_end() {
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        let pictures = framed(&[&[1; 1_000], &[1; 1_000], &[1; 1_000]]);
        outbox.push_packets((&pictures, 1_102), |_| true, start).unwrap();
        assert_eq!(outbox.waiting(), &pictures[1_102..]);
        outbox.push_packets((&pictures, 0), |_| true, start + Duration::from_secs(1)).unwrap();
        assert_eq!(outbox.waiting(), &pictures[1_102..]);
        outbox.push_packets((&pictures, 2_004), |_| true, start + Duration::from_secs(1)).unwrap();
        assert_eq!(outbox.counters().dropped, 4);
    }

    #[test]
    fn a_large_picture_is_cut_off_and_ends_nothing() {
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        for _ in 0..3 {
            let picture = framed(&vec![&[1; 1_200][..]; 300]);
            outbox.push_packets((&picture, 0), |_| true, start).unwrap();
        }
        assert!(outbox.waiting().len() <= MAX_WAITING_BYTES);
        assert_eq!(packets(&outbox).len() as u64 + outbox.counters().dropped, 900);
        assert_eq!(packets(&outbox)[0], 1_200);
    }

    #[test]
    fn who_takes_nothing_is_given_up_and_has_cost_little() {
        let start = Instant::now();
        let large = framed(&[&[2; 1_200]]);
        let push = |outbox: &mut Outbox, now| outbox.push_packets((&large, 0), |_| false, now);
        let mut outbox = Outbox::default();
        let outcome = (0..1_000).map(|_| push(&mut outbox, start)).find(Result::is_err);
        assert!(outcome.is_some() && outbox.bytes.capacity() <= 4 * MAX_WAITING_BYTES);
        let mut outbox = Outbox::default();
        push(&mut outbox, start).unwrap();
        assert!(push(&mut outbox, start + LONGEST_STALL).is_ok());
        assert!(push(&mut outbox, start + LONGEST_STALL + Duration::from_millis(1)).is_err());
        // What was sent takes no room.
        let mut outbox = Outbox::default();
        for n in 0..10_000 {
            push(&mut outbox, start + Duration::from_millis(n)).unwrap();
            if n > 10 {
                outbox.sent(large.len(), start + Duration::from_millis(n));
            }
        }
        assert!(outbox.bytes.capacity() < 100_000, "{}", outbox.bytes.capacity());
    }
}
