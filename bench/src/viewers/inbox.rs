//! A viewer's media socket, read in batches, with the kernel's arrival times.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rustix::net::sockopt;

/// Receives of one system call. A frame comes as one or two of them.
const BATCH: usize = 8;

/// Receives merged by the kernel (GRO) are at most one IP datagram.
const BUFFER_BYTES: usize = 65_536;

/// Room for two keyframes to one viewer while the loop serves the others; the kernel counts its own
/// bookkeeping in.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A media socket.
#[derive(Debug)]
pub(super) struct MediaSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// When a datagram reached this machine, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    /// The same since the Unix epoch.
    pub(super) unix: Duration,
}

/// Memory for receives, shared by all viewers of a thread.
#[derive(Debug)]
pub(super) struct Inbox {
    memory: Box<[u8]>,
    metas: [RecvMeta; BATCH],
    filled: usize,
    read: Arrival,
}

impl MediaSocket {
    /// Opens a socket on the address from which this machine reaches `remote`.
    pub(super) fn open(remote: IpAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        // Connecting a socket sends nothing; it makes the kernel choose the local address.
        let any: IpAddr = match remote {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let probe = std::net::UdpSocket::bind((any, 0))?;
        probe.connect((remote, 9))?;
        let socket = std::net::UdpSocket::bind((probe.local_addr()?.ip(), 0))?;
        socket.set_nonblocking(true)?;
        // Beyond the system's limit only the superuser gets; with less there is less room, no failure.
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        }
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let local = socket.local_addr()?;
        let mut socket = UdpSocket::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self { socket, state, local })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn send(&self, contents: &[u8], destination: SocketAddr) {
        // A full socket loses a datagram, which is what networks do.
        let _ = self.socket.send_to(contents, destination);
    }
}

impl Arrival {
    /// This moment.
    pub(super) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), unix }
    }

    /// A moment by the kernel's wall clock, not later than this one.
    fn earlier(self, unix: Duration) -> Self {
        let ago = self.unix.saturating_sub(unix);
        Self { at: self.at.checked_sub(ago).unwrap_or(self.at), unix: self.unix - ago }
    }
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            memory: vec![0; BATCH * BUFFER_BYTES].into_boxed_slice(),
            metas: [RecvMeta::default(); BATCH],
            filled: 0,
            read: Arrival::now(),
        }
    }

    /// Receives up to one batch. `Ok(true)`: there may be more. A smaller batch has emptied the socket, and later datagrams
    /// cause another readiness event.
    pub(super) fn fill(&mut self, socket: &MediaSocket) -> io::Result<bool> {
        self.filled = 0;
        let mut chunks = self.memory.chunks_mut(BUFFER_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let from = UdpSockRef::from(&socket.socket);
        match socket.state.recv(from, &mut slices, &mut self.metas) {
            Ok(count) => {
                self.filled = count;
                self.read = Arrival::now();
                Ok(count == BATCH)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            // An ICMP answer to something sent earlier; the socket goes on.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The datagrams of the last batch: sender, arrival, bytes.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, Arrival, &[u8])> {
        let buffers = self.memory.chunks(BUFFER_BYTES).zip(&self.metas).take(self.filled);
        buffers.flat_map(|(buffer, meta)| {
            let arrival = meta.timestamp.map_or(self.read, |unix| self.read.earlier(unix));
            let bytes = buffer.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).map(move |datagram| (meta.addr, arrival, datagram))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};

    #[test]
    fn datagrams_come_with_the_time_they_arrived() {
        let mut poll = Poll::new().unwrap();
        let socket =
            MediaSocket::open(Ipv4Addr::LOCALHOST.into(), poll.registry(), Token(3)).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = Arrival::now();
        for length in [10, 20, 30] {
            sender.send_to(&vec![7; length], socket.local()).unwrap();
        }
        let mut inbox = Inbox::new();
        let mut lengths = Vec::new();
        while lengths.len() < 3 {
            poll.poll(&mut Events::with_capacity(4), Some(Duration::from_millis(100))).unwrap();
            while inbox.fill(&socket).unwrap() {}
            for (source, arrival, bytes) in inbox.datagrams() {
                assert_eq!(source, sender.local_addr().unwrap());
                // The kernel's clock is coarser than ours by up to a tick.
                assert!(arrival.unix + Duration::from_millis(50) >= before.unix);
                assert!(arrival.at <= Instant::now());
                lengths.push(bytes.len());
            }
        }
        assert_eq!(lengths, [10, 20, 30]);
    }

    #[test]
    fn a_moment_is_never_in_the_future() {
        let now = Arrival::now();
        assert_eq!(now.earlier(now.unix + Duration::from_secs(1)).at, now.at);
        let earlier = now.earlier(now.unix - Duration::from_millis(5));
        assert_eq!(now.at - earlier.at, Duration::from_millis(5));
    }
}
