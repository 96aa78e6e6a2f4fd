use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use quinn_udp::Transmit;

use crate::UdpEndpoint;

/// The largest UDP payload the kernel takes in one send, GSO or not.
const MAX_SEND_BYTES: usize = 65_507;

/// Sends kept for later while the socket's buffer is full. Past that the newest are dropped: the
/// receiver asks again for what it still needs.
const MAX_BACKLOG_BYTES: usize = 16 * 1024 * 1024;

/// What became of the datagrams so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendCounters {
    /// Datagrams handed to the kernel.
    pub datagrams: u64,
    /// System calls that took.
    pub sends: u64,
    /// Datagrams dropped because socket and backlog were full.
    pub overflowed: u64,
    /// Datagrams the kernel refused (no route, too large, …).
    pub refused: u64,
}

/// Collects equal-sized datagrams to one destination into one GSO send.
#[derive(Debug)]
pub struct Sender {
    run: Run,
    /// Always as long as the longest send, so that nothing is cleared for each datagram.
    memory: Vec<u8>,
    /// Bytes of it that belong to the run.
    used: usize,
    backlog: VecDeque<(Run, Vec<u8>)>,
    backlog_bytes: usize,
    /// Buffers of sent backlog entries, for the next ones.
    spare: Vec<Vec<u8>>,
    counters: SendCounters,
}

/// Datagrams of one size (the last may be shorter) between the same two addresses.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: Option<IpAddr>,
    to: SocketAddr,
    segment: usize,
    count: usize,
    /// A shorter datagram has closed the run.
    closed: bool,
}

impl Run {
    const EMPTY: Self = Self {
        from: None,
        to: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        segment: 0,
        count: 0,
        closed: false,
    };

    fn takes(&self, from: Option<IpAddr>, to: SocketAddr, len: usize) -> bool {
        !self.closed && self.to == to && self.from == from && len <= self.segment
    }

    fn send(&self, endpoint: &UdpEndpoint, contents: &[u8]) -> io::Result<()> {
        endpoint.try_send(&Transmit {
            destination: self.to,
            ecn: None,
            contents,
            segment_size: (self.count > 1).then_some(self.segment),
            src_ip: self.from,
        })
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            run: Run::EMPTY,
            memory: vec![0; MAX_SEND_BYTES],
            used: 0,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            spare: Vec::new(),
            counters: SendCounters::default(),
        }
    }
}

impl Sender {
    /// Gives room for a datagram of `len` bytes, to be filled at once: it holds what was there before.
    /// It leaves at the latest with the next [`flush`](Self::flush). Datagrams to one destination keep
    /// their order.
    pub fn queue(
        &mut self,
        endpoint: &UdpEndpoint,
        from: Option<IpAddr>,
        to: SocketAddr,
        len: usize,
    ) -> &mut [u8] {
        let fits = self.run.count < endpoint.max_segments() && self.used + len <= MAX_SEND_BYTES;
        if self.run.count > 0 && !(fits && self.run.takes(from, to, len)) {
            self.flush(endpoint);
        }
        if self.run.count == 0 {
            self.run = Run { from, to, segment: len, ..Run::EMPTY };
        }
        let start = self.used;
        self.used += len;
        if self.used > self.memory.len() {
            self.memory.resize(self.used, 0); // The kernel will refuse it, and that is counted.
        }
        self.run.count += 1;
        self.run.closed = len < self.run.segment;
        &mut self.memory[start..self.used]
    }

    /// Hands what was queued to the kernel.
    pub fn flush(&mut self, endpoint: &UdpEndpoint) {
        let run = std::mem::replace(&mut self.run, Run::EMPTY);
        if run.count == 0 {
            return;
        }
        if !self.backlog.is_empty() {
            self.keep(run); // Order is kept: what waits goes first.
        } else {
            match run.send(endpoint, &self.memory[..self.used]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.keep(run),
                outcome => self.count(&run, outcome),
            }
        }
        self.used = 0;
    }

    /// Sends what had to wait; call when the socket is writable again.
    pub fn resume(&mut self, endpoint: &UdpEndpoint) {
        while let Some((run, contents)) = self.backlog.pop_front() {
            match run.send(endpoint, &contents) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.backlog.push_front((run, contents));
                    return;
                }
                outcome => self.count(&run, outcome),
            }
            self.backlog_bytes -= contents.len();
            self.spare.push(contents);
        }
        self.spare.truncate(64);
    }

    /// What became of the datagrams so far.
    pub fn counters(&self) -> SendCounters {
        self.counters
    }

    fn keep(&mut self, run: Run) {
        if self.backlog_bytes + self.used > MAX_BACKLOG_BYTES {
            self.counters.overflowed += run.count as u64;
            return;
        }
        let mut contents = self.spare.pop().unwrap_or_default();
        contents.clear();
        contents.extend_from_slice(&self.memory[..self.used]);
        self.backlog_bytes += contents.len();
        self.backlog.push_back((run, contents));
    }

    fn count(&mut self, run: &Run, outcome: io::Result<()>) {
        self.counters.sends += 1;
        match outcome {
            Ok(()) => self.counters.datagrams += run.count as u64,
            Err(error) => {
                self.counters.refused += run.count as u64;
                tracing::debug!(to = %run.to, %error, "the kernel refused a send");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReceiveBuffers;
    use std::time::{Duration, Instant};

    fn endpoint() -> UdpEndpoint {
        UdpEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    /// Receives until `count` datagrams are here.
    fn receive(endpoint: &UdpEndpoint, count: usize) -> Vec<Vec<u8>> {
        let (mut buffers, mut all) = (ReceiveBuffers::default(), Vec::new());
        let until = Instant::now() + Duration::from_secs(5);
        while all.len() < count && Instant::now() < until {
            buffers.fill(endpoint).unwrap();
            all.extend(buffers.datagrams().map(|datagram| datagram.contents.to_vec()));
        }
        all
    }

    #[test]
    fn a_frame_is_one_send_and_arrives_as_its_datagrams() {
        let (a, b) = (endpoint(), endpoint());
        let mut sender = Sender::default();
        let sent: Vec<Vec<u8>> =
            [900, 900, 900, 120].iter().enumerate().map(|(i, &len)| vec![i as u8; len]).collect();
        for datagram in &sent {
            sender.queue(&a, None, b.local_addr(), datagram.len()).copy_from_slice(datagram);
        }
        sender.flush(&a);
        assert_eq!(receive(&b, 4), sent);
        let counters = sender.counters();
        assert_eq!(counters.datagrams, 4);
        assert_eq!(counters.sends, if a.max_segments() > 1 { 1 } else { 4 });
    }

    #[test]
    fn order_is_kept_across_sizes_and_destinations() {
        let (a, b, c) = (endpoint(), endpoint(), endpoint());
        let mut sender = Sender::default();
        for (to, len, tag) in
            [(&b, 50, 1), (&b, 900, 2), (&c, 900, 9), (&b, 900, 3), (&b, 20, 4), (&b, 20, 5)]
        {
            sender.queue(&a, None, to.local_addr(), len).fill(tag);
        }
        sender.flush(&a);
        let tags: Vec<u8> = receive(&b, 5).iter().map(|d| d[0]).collect();
        assert_eq!(tags, [1, 2, 3, 4, 5]);
        assert_eq!(receive(&c, 1), [vec![9; 900]]);
    }

    #[test]
    fn more_than_one_send_can_carry() {
        let (a, b) = (endpoint(), endpoint());
        let mut sender = Sender::default();
        for i in 0..100u8 {
            sender.queue(&a, None, b.local_addr(), 1_200).fill(i);
        }
        sender.flush(&a);
        let got = receive(&b, 100);
        assert_eq!(got.len(), 100);
        assert!(got.iter().enumerate().all(|(i, d)| d == &[i as u8; 1_200]));
    }

    #[test]
    fn an_impossible_destination_is_counted_and_the_next_send_works() {
        let (a, b) = (endpoint(), endpoint());
        let mut sender = Sender::default();
        sender.queue(&a, None, "[::1]:9".parse().unwrap(), 14).fill(1);
        sender.queue(&a, None, b.local_addr(), 4).copy_from_slice(b"fine");
        sender.flush(&a);
        assert_eq!(sender.counters().refused, 1);
        assert_eq!(receive(&b, 1), [b"fine"]);
    }
}
