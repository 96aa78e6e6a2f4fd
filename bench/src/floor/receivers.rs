//! The viewers: sockets that are kept empty by a thread of their own, which is not measured.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};

use crate::Error;

/// Asked of the kernel for each socket, in bytes: a keyframe, which the kernel counts with its
/// overhead, and some frames more.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;

/// Datagrams, or rows of them, taken with one system call.
const BATCH: usize = 4;

/// The largest row of datagrams.
const ROW_BYTES: usize = 65_536;

/// How often the thread looks whether it should end.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Receivers {
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<u64>>,
}

struct Receiver {
    socket: UdpSocket,
    /// With it the socket has `UDP_GRO`.
    state: Option<UdpSocketState>,
}

impl Receivers {
    pub(super) fn start(count: usize, gro: bool) -> Result<Self, Error> {
        let poll = Poll::new()?;
        let mut receivers = Vec::with_capacity(count);
        let mut addresses = Vec::with_capacity(count);
        for index in 0..count {
            let mut receiver = Receiver::open(gro)?;
            addresses.push(receiver.socket.local_addr()?);
            poll.registry().register(&mut receiver.socket, Token(index), Interest::READABLE)?;
            receivers.push(receiver);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("floor-viewers".to_owned())
            .spawn(move || drain(poll, &receivers, &stopped))?;
        Ok(Self { addresses, stop, thread })
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until all that was sent is read; returns how many packets that was in all.
    pub(super) fn finish(self) -> Result<u64, Error> {
        self.stop.store(true, Ordering::Relaxed);
        let received = self.thread.join();
        let received =
            received.map_err(|_| Error::Floor("the viewers' thread panicked".to_owned()))?;
        Ok(received?)
    }
}

impl Receiver {
    fn open(gro: bool) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        // Where the kernel grants less, `lost` in the report shows whether it mattered.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let state = gro.then(|| UdpSocketState::new(UdpSockRef::from(&socket))).transpose()?;
        Ok(Self { socket: UdpSocket::from_std(socket), state })
    }

    /// Takes everything that waits; returns how many packets.
    fn empty(&self, memory: &mut [u8]) -> io::Result<u64> {
        let mut packets = 0;
        loop {
            let taken = match &self.state {
                Some(state) => self.take_rows(state, memory),
                None => self.socket.recv(memory).map(|_| 1),
            };
            match taken {
                Ok(taken) => packets += taken,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(packets),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }

    fn take_rows(&self, state: &UdpSocketState, memory: &mut [u8]) -> io::Result<u64> {
        let mut metas = [RecvMeta::default(); BATCH];
        let mut rows = memory.chunks_mut(ROW_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(rows.next().unwrap_or_default()));
        let filled = state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas)?;
        let counts = metas.iter().take(filled).map(|meta| meta.len.div_ceil(meta.stride.max(1)));
        Ok(counts.sum::<usize>() as u64)
    }
}

fn drain(mut poll: Poll, receivers: &[Receiver], stop: &AtomicBool) -> io::Result<u64> {
    let mut memory = vec![0; BATCH * ROW_BYTES];
    let mut events = Events::with_capacity(256);
    let mut packets = 0;
    loop {
        // Loopback delivers before the send returns: what was sent before the stop is there.
        let last = stop.load(Ordering::Relaxed);
        let began = Instant::now();
        match poll.poll(&mut events, Some(LOOK)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            if let Some(receiver) = receivers.get(event.token().0) {
                packets += receiver.empty(&mut memory)?;
            }
        }
        if last && events.is_empty() && began.elapsed() >= LOOK {
            return Ok(packets);
        }
    }
}
