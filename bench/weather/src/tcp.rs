//! TCP as far as a competitor for a link needs it: Reno (RFC 5681) with selective acknowledgements.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::packet::{Content, Packet, Segment};

/// Payload of a segment.
const SEGMENT_BYTES: u64 = 1_448;
/// A segment on the link, with TCP and IP headers and a time stamp.
const DATA_BYTES: usize = 1_500;
const ACK_BYTES: usize = 52;
/// Segments, RFC 6928.
const INITIAL_WINDOW: f64 = 10.0;
/// After a loss, RFC 5681 §3.1.
const MIN_WINDOW: f64 = 2.0;
/// What the receiver takes, in segments: 1.4 MB.
const MAX_WINDOW: f64 = 1_000.0;
/// So many later segments have arrived when one counts as lost: three duplicate acknowledgements, RFC 5681 §3.2.
const REORDERED: u64 = 3;
/// RFC 6298 §2.
const INITIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// As in Linux; RFC 6298 has 1 s.
const MIN_TIMEOUT: Duration = Duration::from_millis(200);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// Something to send: a connection of its own, which begins with slow start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// How long after the end of the transfer before, or after 0.
    pub idle: Duration,
    /// How much, rounded up to segments of 1,448 bytes.
    pub bytes: u64,
}

/// Sends one transfer after the other to a [`TcpReceiver`], as fast as Reno lets it: slow start from 10 segments,
/// additive increase by a segment a round trip, half of it after losses, which show by three later segments that have
/// arrived or by a timeout of at least 200 ms. Each segment is acknowledged at once, by itself. There is no handshake,
/// and no more than 1,000 segments are under way.
pub struct TcpSender {
    transfers: Box<dyn Iterator<Item = Transfer>>,
    /// The next transfer and when it begins, while there is none.
    waiting: Option<(Duration, Transfer)>,
    completed: u64,
    connection: Connection,
}

/// A transfer that goes on, or has ended.
#[derive(Debug)]
struct Connection {
    /// So many segments in all.
    end: u64,
    next: u64,
    outstanding: BTreeMap<u64, Transmission>,
    /// What is to be sent again.
    lost: BTreeSet<u64>,
    /// How often something was sent. The first one is 1.
    transmissions: u64,
    /// The last transmission that has arrived.
    arrived: u64,
    /// Losses of what was sent up to here have halved the window already.
    recovery: u64,
    /// In segments, as the threshold.
    window: f64,
    slow_start_threshold: f64,
    round_trip: Option<RoundTrip>,
    backoff: u32,
    timeout_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Transmission {
    number: u64,
    sent: Duration,
}

/// RFC 6298 §2.
#[derive(Debug, Clone, Copy)]
struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

impl TcpSender {
    /// Sends these transfers.
    pub fn new(transfers: impl IntoIterator<Item = Transfer, IntoIter: 'static>) -> Self {
        let connection = Connection::new(0);
        let transfers = Box::new(transfers.into_iter());
        let mut sender = Self { transfers, waiting: None, completed: 0, connection };
        sender.wait(Duration::ZERO);
        sender
    }

    /// Sends from a time on, and never ends.
    pub fn endless(from: Duration) -> Self {
        Self::new([Transfer { idle: from, bytes: u64::MAX }])
    }

    /// How many transfers have ended.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    fn wait(&mut self, now: Duration) {
        self.waiting = self.transfers.next().map(|next| (now.saturating_add(next.idle), next));
    }
}

impl Endpoint for TcpSender {
    fn receive(&mut self, now: Duration, packet: Packet) {
        let Content::Segment(Segment::Ack { transfer, next, index, transmission }) = packet.content
        else {
            return;
        };
        if transfer != self.completed || self.connection.has_ended() {
            return;
        }
        self.connection.acknowledge(now, next, index, transmission);
        if self.connection.has_ended() {
            self.completed += 1;
            self.wait(now);
        }
    }

    fn poll_send(&mut self, now: Duration) -> Option<Packet> {
        if let Some((_, transfer)) = self.waiting.take_if(|(begin, _)| *begin <= now) {
            self.connection = Connection::new(transfer.bytes.div_ceil(SEGMENT_BYTES).max(1));
        }
        let (index, transmission) = self.connection.send(now)?;
        let data = Segment::Data { transfer: self.completed, index, transmission };
        Some(Packet { bytes: DATA_BYTES, content: Content::Segment(data) })
    }

    fn deadline(&self) -> Option<Duration> {
        let begin = self.waiting.map(|(begin, _)| begin);
        begin.or(self.connection.timeout_at)
    }
}

impl Connection {
    fn new(end: u64) -> Self {
        Self {
            end,
            next: 0,
            outstanding: BTreeMap::new(),
            lost: BTreeSet::new(),
            transmissions: 0,
            arrived: 0,
            recovery: 0,
            window: INITIAL_WINDOW,
            slow_start_threshold: f64::INFINITY,
            round_trip: None,
            backoff: 0,
            timeout_at: None,
        }
    }

    fn has_ended(&self) -> bool {
        self.next == self.end && self.outstanding.is_empty() && self.lost.is_empty()
    }

    /// The segment to send now, and its transmission.
    fn send(&mut self, now: Duration) -> Option<(u64, u64)> {
        if self.timeout_at.is_some_and(|at| at <= now) {
            self.time_out();
        }
        if self.outstanding.len() as f64 >= self.window.floor() {
            return None;
        }
        let index = match self.lost.pop_first() {
            Some(index) => index,
            None if self.next < self.end => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        self.transmissions += 1;
        let number = self.transmissions;
        self.outstanding.insert(index, Transmission { number, sent: now });
        self.timeout_at = self.timeout_at.or(Some(now + self.timeout()));
        Some((index, number))
    }

    fn acknowledge(&mut self, now: Duration, next: u64, index: u64, transmission: u64) {
        if let Some(sent) = self.outstanding.get(&index)
            && sent.number == transmission
        {
            self.measure(now - sent.sent);
        }
        let before = self.outstanding.len() + self.lost.len();
        self.outstanding = self.outstanding.split_off(&next);
        self.lost = self.lost.split_off(&next);
        self.outstanding.remove(&index);
        self.lost.remove(&index);
        let acknowledged = before - self.outstanding.len() - self.lost.len();
        self.arrived = self.arrived.max(transmission);
        if acknowledged > 0 {
            self.backoff = 0;
            self.timeout_at = (!self.outstanding.is_empty()).then(|| now + self.timeout());
            if transmission > self.recovery {
                self.widen(acknowledged);
            }
        }
        self.detect_losses();
    }

    fn widen(&mut self, acknowledged: usize) {
        let acknowledged = acknowledged as f64;
        self.window += match self.window < self.slow_start_threshold {
            // RFC 3465 §2.3, with L = 2.
            true => acknowledged.min(2.0),
            false => acknowledged / self.window,
        };
        self.window = self.window.min(MAX_WINDOW);
    }

    fn detect_losses(&mut self) {
        let flight = self.outstanding.len();
        let is_lost = |sent: &Transmission| sent.number + REORDERED <= self.arrived;
        let mut is_new = false;
        for (index, sent) in self.outstanding.extract_if(.., |_, sent| is_lost(sent)) {
            self.lost.insert(index);
            is_new |= sent.number > self.recovery;
        }
        if is_new {
            self.narrow(flight);
            self.window = self.slow_start_threshold;
        }
    }

    fn time_out(&mut self) {
        let flight = self.outstanding.len();
        self.lost.extend(std::mem::take(&mut self.outstanding).into_keys());
        self.timeout_at = None;
        self.backoff += 1;
        self.narrow(flight);
        self.window = 1.0;
    }

    /// RFC 5681 §3.1, equation 4.
    fn narrow(&mut self, flight: usize) {
        self.slow_start_threshold = (flight as f64 / 2.0).max(MIN_WINDOW);
        self.recovery = self.transmissions;
    }

    fn measure(&mut self, sample: Duration) {
        self.round_trip = Some(match self.round_trip {
            None => RoundTrip { smoothed: sample, variation: sample / 2 },
            Some(RoundTrip { smoothed, variation }) => RoundTrip {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
            },
        });
    }

    fn timeout(&self) -> Duration {
        let timeout =
            self.round_trip.map_or(INITIAL_TIMEOUT, |RoundTrip { smoothed, variation }| {
                (smoothed + variation * 4).max(MIN_TIMEOUT)
            });
        timeout.saturating_mul(1 << self.backoff.min(16)).min(MAX_TIMEOUT)
    }
}

/// Acknowledges what a [`TcpSender`] sends.
#[derive(Debug, Default)]
pub struct TcpReceiver {
    transfer: u64,
    /// All segments of the transfer before this one are here.
    next: u64,
    beyond: BTreeSet<u64>,
    received: u64,
    acks: VecDeque<Segment>,
}

impl TcpReceiver {
    /// Payload received, of all transfers, each byte once.
    pub fn received_bytes(&self) -> u64 {
        self.received * SEGMENT_BYTES
    }
}

impl Endpoint for TcpReceiver {
    fn receive(&mut self, _: Duration, packet: Packet) {
        let Content::Segment(Segment::Data { transfer, index, transmission }) = packet.content
        else {
            return;
        };
        if transfer < self.transfer {
            return;
        }
        if transfer > self.transfer {
            (self.transfer, self.next) = (transfer, 0);
            self.beyond.clear();
        }
        if index >= self.next && self.beyond.insert(index) {
            self.received += 1;
        }
        while self.beyond.remove(&self.next) {
            self.next += 1;
        }
        self.acks.push_back(Segment::Ack { transfer, next: self.next, index, transmission });
    }

    fn poll_send(&mut self, _: Duration) -> Option<Packet> {
        let ack = self.acks.pop_front()?;
        Some(Packet { bytes: ACK_BYTES, content: Content::Segment(ack) })
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    /// A connection of so many segments, and those that it sends first.
    fn begin(segments: u64) -> Connection {
        let mut connection = Connection::new(segments);
        assert_eq!(send(&mut connection, Duration::ZERO), Vec::from_iter(0..10));
        connection
    }

    fn send(connection: &mut Connection, now: Duration) -> Vec<u64> {
        std::iter::from_fn(|| connection.send(now)).map(|(index, _)| index).collect()
    }

    /// Segments of the first ten have arrived, others are missing.
    fn acknowledge(connection: &mut Connection, next: u64, indices: &[u64]) {
        for index in indices {
            connection.acknowledge(ROUND_TRIP, next, *index, index + 1);
        }
    }

    #[test]
    fn slow_start_doubles_the_window_and_avoidance_adds_one() {
        let mut connection = begin(1_000);
        acknowledge(&mut connection, 0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(send(&mut connection, ROUND_TRIP), Vec::from_iter(10..30));
        connection.slow_start_threshold = 20.0;
        (20..40).for_each(|index| connection.acknowledge(ROUND_TRIP, index, index, index + 1));
        assert!((20.9..21.0).contains(&connection.window), "{}", connection.window);
    }

    #[test]
    fn the_window_is_halved_once_for_all_its_losses() {
        let mut connection = begin(1_000);
        acknowledge(&mut connection, 0, &[1]);
        assert!(connection.lost.is_empty(), "the first may just be late");
        acknowledge(&mut connection, 0, &[3, 5, 6, 7, 8, 9]);
        // Eight were under way when the first loss showed.
        assert_eq!(connection.window, 4.0);
        assert_eq!(send(&mut connection, ROUND_TRIP), [0, 2, 4, 10]);
    }

    #[test]
    fn an_acknowledgement_stands_for_those_before_it() {
        let mut connection = begin(10);
        acknowledge(&mut connection, 10, &[9]);
        assert!(connection.has_ended());
        // Also for what was late, and taken for lost.
        let mut connection = begin(10);
        acknowledge(&mut connection, 0, &[3]);
        assert!(connection.lost.contains(&0));
        acknowledge(&mut connection, 10, &[9]);
        assert!(connection.has_ended());
        assert_eq!(send(&mut connection, ROUND_TRIP), []);
    }

    #[test]
    fn timeouts_double_until_something_arrives() {
        let mut connection = begin(1_000);
        let at = |secs| Some(Duration::from_secs(secs));
        assert_eq!(connection.timeout_at, at(1));
        assert_eq!(send(&mut connection, Duration::from_secs(1)), [0]);
        assert_eq!((connection.window, connection.timeout_at), (1.0, at(3)));
        assert_eq!(send(&mut connection, Duration::from_secs(3)), [0]);
        assert_eq!(connection.timeout_at, at(7));
        connection.acknowledge(Duration::from_millis(3_100), 1, 0, 12);
        assert_eq!((connection.backoff, connection.timeout_at), (0, None));
        assert_eq!(connection.timeout(), Duration::from_millis(300));
        assert_eq!(send(&mut connection, Duration::from_millis(3_100)), [1, 2]);
    }

    #[test]
    fn a_receiver_counts_each_segment_of_each_transfer_once() {
        let mut receiver = TcpReceiver::default();
        let mut give = |transfer, index| {
            let content = Content::Segment(Segment::Data { transfer, index, transmission: 7 });
            receiver.receive(Duration::ZERO, Packet { bytes: DATA_BYTES, content });
            match receiver.poll_send(Duration::ZERO).map(|packet| packet.content) {
                Some(Content::Segment(Segment::Ack { next, .. })) => Some(next),
                _ => None,
            }
        };
        let next =
            [(0, 0), (0, 2), (0, 2), (0, 0), (0, 1), (0, 4)].map(|(of, index)| give(of, index));
        assert_eq!(next, [1, 1, 1, 1, 3, 3].map(Some));
        // The next one begins anew, and nothing is said of the one before.
        let next = [(1, 1), (0, 3), (1, 0), (1, 4), (1, 3)].map(|(of, index)| give(of, index));
        assert_eq!(next, [Some(0), None, Some(2), Some(2), Some(2)]);
        assert_eq!(receiver.received_bytes(), 8 * SEGMENT_BYTES);
    }
}
