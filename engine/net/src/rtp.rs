//! Sockets that RTP comes in at.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::source::registered_as;

/// Asked of the kernel: a second of 16 Mbit/s. It may grant less (`net.core.rmem_max`).
const RECEIVE_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// Tries at finding two free ports side by side.
const PAIR_ATTEMPTS: usize = 16;

/// A UDP socket for RTP and, where it could be had, one for RTCP at the port above (RFC 3550 §11).
#[derive(Debug)]
pub struct RtpSockets {
    /// For RTP; RTCP that shares its port comes here too.
    pub rtp: RtpSocket,
    /// For RTCP. Without it reports of the sender's clock are lost, and it is told nothing.
    pub rtcp: Option<RtpSocket>,
}

/// A non-blocking socket that receives RTP or RTCP.
#[derive(Debug)]
pub struct RtpSocket {
    socket: mio::net::UdpSocket,
    local: SocketAddr,
}

impl RtpSockets {
    /// Opens them. Port 0: any free one, even, with a free one above it if there is.
    ///
    /// # Errors
    ///
    /// The address is taken, or none of this machine. A taken port for RTCP is no error.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        for _ in 0..PAIR_ATTEMPTS {
            let rtp = RtpSocket::bind(addr)?;
            let port = rtp.local.port();
            let even = port.is_multiple_of(2) || addr.port() != 0;
            let above = port.checked_add(1).filter(|_| even);
            let rtcp =
                above.and_then(|port| RtpSocket::bind(SocketAddr::new(addr.ip(), port)).ok());
            if rtcp.is_some() || addr.port() != 0 {
                return Ok(Self { rtp, rtcp });
            }
        }
        Ok(Self { rtp: RtpSocket::bind(addr)?, rtcp: None })
    }
}

impl RtpSocket {
    fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
            tracing::debug!(%error, "the receive buffer stays as it is");
        }
        socket.bind(&addr.into())?;
        socket.set_nonblocking(true)?;
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        Ok(Self { socket: mio::net::UdpSocket::from_std(socket), local })
    }

    /// Where it listens, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes one datagram, with where it came from; `None` where there is none now.
    ///
    /// # Errors
    ///
    /// What the system reports of the socket, which can be read from again.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<(&'a [u8], SocketAddr)>> {
        match self.socket.recv_from(buffer) {
            Ok((length, from)) => Ok(buffer.get(..length).map(|datagram| (datagram, from))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl RtpSocket {
    /// Sends one datagram. What the system has no room for is lost, as any may be on its way.
    ///
    /// # Errors
    ///
    /// What the system reports, such as that there is no way to the address.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        match self.socket.send_to(datagram, to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

registered_as!(RtpSocket, |own| own.socket);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn any_port_is_an_even_one_with_its_neighbour() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sockets = RtpSockets::bind(any).unwrap();
        let rtp = sockets.rtp.local_addr();
        if let Some(rtcp) = &sockets.rtcp {
            assert!(rtp.port().is_multiple_of(2));
            assert_eq!(rtcp.local_addr().port(), rtp.port() + 1);
        }
        let taken = RtpSockets::bind(rtp).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
