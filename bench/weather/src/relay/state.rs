use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::counters::RelayCounters;
use crate::link::Link;
use crate::schedule::Schedule;

pub(super) const MAX_CLIENTS: usize = 64;
/// What the system keeps of datagrams until they are read; it may allow less.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A relay's links and clients.
#[derive(Debug)]
pub(super) struct State {
    begin: Instant,
    server: SocketAddr,
    front: Arc<UdpSocket>,
    /// Of UDP and IP.
    header_bytes: usize,
    up: Link<Datagram>,
    down: Link<Datagram>,
    clients: Vec<Client>,
    unsent: u64,
    is_closed: bool,
}

#[derive(Debug, Clone)]
struct Datagram {
    client: SocketAddr,
    payload: Box<[u8]>,
}

#[derive(Debug)]
struct Client {
    addr: SocketAddr,
    upstream: Arc<UdpSocket>,
    /// The one before, which nobody reads: a closed port would tell the server so.
    rebound: Option<Arc<UdpSocket>>,
    heard: Duration,
}

/// A socket that the relay reads.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) socket: Arc<UdpSocket>,
    /// Whose it is towards the server; `None` for the one that clients send to.
    pub(super) client: Option<SocketAddr>,
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn new(
        server: SocketAddr,
        up: Schedule,
        down: Schedule,
        seed: u64,
    ) -> io::Result<Self> {
        Ok(Self {
            begin: Instant::now(),
            server,
            front: bind_beside(server)?,
            header_bytes: if server.is_ipv4() { 28 } else { 48 },
            up: Link::new(up, seed),
            down: Link::new(down, !seed),
            clients: Vec::new(),
            unsent: 0,
            is_closed: false,
        })
    }

    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.front.local_addr()
    }

    pub(super) fn set_up(&mut self, schedule: Schedule) {
        self.up.set(self.begin.elapsed(), schedule);
    }

    pub(super) fn set_down(&mut self, schedule: Schedule) {
        self.down.set(self.begin.elapsed(), schedule);
    }

    pub(super) fn black_out(&mut self, length: Duration) {
        let now = self.begin.elapsed();
        self.up.black_out(now, length);
        self.down.black_out(now, length);
    }

    pub(super) fn rebind(&mut self) -> io::Result<()> {
        let fresh: io::Result<Vec<_>> = self.clients.iter().map(|_| connect(self.server)).collect();
        for (client, fresh) in self.clients.iter_mut().zip(fresh?) {
            client.rebound = Some(std::mem::replace(&mut client.upstream, fresh));
        }
        Ok(())
    }

    pub(super) fn counters(&self) -> RelayCounters {
        RelayCounters {
            up: self.up.counters(),
            down: self.down.counters(),
            clients: self.clients.len(),
            unsent: self.unsent,
        }
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// All sockets that are to be read.
    pub(super) fn sources(&self) -> Vec<Source> {
        let front = Source { socket: Arc::clone(&self.front), client: None };
        let upstream = self.clients.iter().map(|client| Source {
            socket: Arc::clone(&client.upstream),
            client: Some(client.addr),
        });
        std::iter::once(front).chain(upstream).collect()
    }

    /// Puts a datagram that a client has sent on its link.
    pub(super) fn send_up(&mut self, client: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let now = self.begin.elapsed();
        match self.clients.iter_mut().find(|known| known.addr == client) {
            Some(known) => known.heard = now,
            None => self.greet(client, now)?,
        }
        let datagram = Datagram { client, payload: payload.into() };
        self.up.send(now, datagram, payload.len() + self.header_bytes);
        Ok(())
    }

    /// Puts a datagram that the server has sent to a client on its link.
    pub(super) fn send_down(&mut self, client: SocketAddr, payload: &[u8]) {
        let datagram = Datagram { client, payload: payload.into() };
        self.down.send(self.begin.elapsed(), datagram, payload.len() + self.header_bytes);
    }

    /// Sends what has passed a link, and says how long nothing more will.
    pub(super) fn deliver(&mut self) -> Option<Duration> {
        let now = self.begin.elapsed();
        while let Some(Datagram { client, payload }) = self.up.poll(now) {
            let known = self.clients.iter().find(|known| known.addr == client);
            let sent = known.is_some_and(|known| known.upstream.send(&payload).is_ok());
            self.unsent += u64::from(!sent);
        }
        while let Some(Datagram { client, payload }) = self.down.poll(now) {
            let sent = self.front.send_to(&payload, client).is_ok();
            self.unsent += u64::from(!sent);
        }
        let next = [self.up.next_deadline(), self.down.next_deadline()].into_iter().flatten().min();
        next.map(|next| next.saturating_sub(self.begin.elapsed()))
    }

    fn greet(&mut self, addr: SocketAddr, heard: Duration) -> io::Result<()> {
        let client = Client { addr, upstream: connect(self.server)?, rebound: None, heard };
        if self.clients.len() < MAX_CLIENTS {
            self.clients.push(client);
        } else if let Some(silent) = self.clients.iter_mut().min_by_key(|known| known.heard) {
            *silent = client;
        }
        Ok(())
    }
}

/// A socket at a free port of the loopback address that the server is at.
fn bind_beside(server: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let ip = if server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { server.ip() };
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
    socket.set_nonblocking(true)?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES)?;
    Ok(Arc::new(socket))
}

/// A socket that hears the server alone.
fn connect(server: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let socket = bind_beside(server)?;
    socket.connect(server)?;
    Ok(socket)
}
