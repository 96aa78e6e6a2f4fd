//! TCP connections that carry packets, each with its length before it (RFC 4571 §2), as ICE has them (RFC 6544).

mod framing;
mod outbox;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub use framing::{Frames, MAX_PACKET_BYTES};
use outbox::Outbox;
pub use outbox::TcpCounters;

use crate::source::registered_as;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// What the kernel holds of what it has not sent. All else waits here, where what has become too old can be left out.
const UNSENT_BYTES: u32 = 16 * 1024;

/// Where connections come in.
#[derive(Debug)]
pub struct TcpAcceptor {
    listener: TcpListener,
    local: SocketAddr,
}

/// One connection. It never waits.
#[derive(Debug)]
pub struct TcpConnection {
    stream: TcpStream,
    local: IpAddr,
    remote: SocketAddr,
    /// The beginning of a packet whose end has not come.
    partial: Vec<u8>,
    outbox: Outbox,
}

impl TcpAcceptor {
    /// Opens a listening socket. `[::]` takes IPv4 too.
    ///
    /// # Errors
    ///
    /// The address is taken, or none of this machine.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        if addr.ip() == Ipv6Addr::UNSPECIFIED {
            socket.set_only_v6(false)?;
        }
        // Connections of the process before this one may still be closing.
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener: std::net::TcpListener = socket.into();
        let local = listener.local_addr()?;
        Ok(Self { listener: TcpListener::from_std(listener), local })
    }

    /// Where it listens, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes the next connection; `None` where there is none now.
    ///
    /// # Errors
    ///
    /// What the system reports, such as that there are no descriptors left. Ask again later.
    pub fn accept(&self) -> io::Result<Option<TcpConnection>> {
        loop {
            match self.listener.accept() {
                Ok((stream, remote)) => {
                    // It may be gone by now: that is no error of the listener.
                    if let Ok(connection) = TcpConnection::new(stream, remote) {
                        return Ok(Some(connection));
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(None),
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl TcpConnection {
    fn new(stream: TcpStream, remote: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
            tracing::debug!(%error, "the kernel keeps as much as it likes of what is not sent");
        }
        let local = stream.local_addr()?.ip().to_canonical();
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        Ok(Self { stream, local, remote, partial: Vec::new(), outbox: Outbox::default() })
    }

    /// One that somebody else has accepted. What was peeked at is still to be read.
    ///
    /// # Errors
    ///
    /// It is gone already.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let remote = stream.peer_addr()?;
        Self::new(TcpStream::from_std(stream), remote)
    }

    /// The address of ours that it came in at.
    pub fn local_ip(&self) -> IpAddr {
        self.local
    }

    /// Who it is with; an IPv4 address as such, on whatever socket.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Reads once, to the beginning of `buffer`. Gives how many bytes of it are whole packets or the beginning of one, to
    /// be split by [`Frames`]; what is left of that goes to [`keep`](Self::keep). `None` where there is nothing now.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let kept = self.partial.len();
        let Some((begun, room)) = buffer.split_at_mut_checked(kept) else {
            return Err(ErrorKind::InvalidData.into());
        };
        loop {
            match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    begun.copy_from_slice(&self.partial);
                    self.partial.clear();
                    return Ok(Some(kept + length));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps the beginning of a packet, which the next [`read`](Self::read) goes on with.
    pub fn keep(&mut self, begun: &[u8]) {
        if begun.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(begun);
        }
    }

    /// Sends packets that have their lengths before them, or keeps them until there is room. Where others have waited too
    /// long for that, those of them are left out for which `may_drop` says so.
    ///
    /// # Errors
    ///
    /// The connection is over, or takes nothing for too long.
    pub fn send(
        &mut self,
        framed: &[u8],
        may_drop: impl Fn(&[u8]) -> bool,
        now: Instant,
    ) -> io::Result<()> {
        let mut written = 0;
        if self.outbox.is_empty() {
            written = write(&self.stream, framed)?.unwrap_or_default();
            if written == framed.len() {
                return Ok(());
            }
        }
        self.outbox.push_packets((framed, written), may_drop, now)
    }

    /// Sends what had to wait; call when the socket is writable again.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn resume(&mut self, now: Instant) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match write(&self.stream, self.outbox.waiting())? {
                Some(written) => self.outbox.sent(written, now),
                None => break,
            }
        }
        Ok(())
    }

    /// What waits to be sent, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.outbox.waiting().len()
    }

    /// What became of packets that had to wait.
    pub fn counters(&self) -> TcpCounters {
        self.outbox.counters()
    }
}

/// Writes as much as there is room for; `None` where there is none.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
    loop {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(Some(written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

registered_as!(TcpAcceptor, |own| own.listener);
registered_as!(TcpConnection, |own| own.stream);
