//! Datagrams from many addresses and ports of this machine.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::attack_run::attacker_ip;

/// `SOCK_RAW`, and the protocol whose sockets take whole IP packets (raw(7)).
const RAW: i32 = 3;
const WHOLE_PACKETS: i32 = 255;

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;

/// Without the right to make up sources there are this many, each with a socket.
const SOCKETS: usize = 500;

/// Sends from any address and port of 127.0.0.0/8, taken or not: what a network lets a stranger do that does not
/// check sources. Needs the right to open raw sockets (CAP_NET_RAW).
#[derive(Debug)]
pub(super) struct Forger {
    socket: Socket,
    packet: Vec<u8>,
}

impl Forger {
    pub(super) fn new() -> io::Result<Self> {
        let protocol = Some(Protocol::from(WHOLE_PACKETS));
        let socket = Socket::new(Domain::IPV4, Type::from(RAW), protocol)?;
        Ok(Self { socket, packet: Vec::new() })
    }

    /// Sends one datagram. The kernel fills in the IP header's length, identification and checksum; a UDP checksum
    /// of zero is none (RFC 768).
    pub(super) fn send(
        &mut self,
        from: SocketAddrV4,
        to: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = UDP_HEADER + payload.len();
        let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        self.packet.clear();
        self.packet.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0]);
        self.packet.extend(from.ip().octets());
        self.packet.extend(to.ip().octets());
        debug_assert_eq!(self.packet.len(), IP_HEADER);
        self.packet.extend(from.port().to_be_bytes());
        self.packet.extend(to.port().to_be_bytes());
        self.packet.extend([high, low, 0, 0]);
        self.packet.extend(payload);
        self.socket.send_to(&self.packet, &SocketAddr::V4(to).into()).map(drop)
    }
}

/// As many sources as can be had: made up, or sockets.
#[derive(Debug)]
pub(super) enum Sources {
    Forged(Forger),
    Sockets(Vec<UdpSocket>),
}

impl Sources {
    pub(super) fn many() -> io::Result<Self> {
        if let Ok(forger) = Forger::new() {
            return Ok(Self::Forged(forger));
        }
        let open = |host| {
            let socket = UdpSocket::bind((attacker_ip(host), 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        (0..SOCKETS).map(open).collect::<io::Result<Vec<_>>>().map(Self::Sockets)
    }

    /// Sends one datagram from the source of this number, of 60,000 where they can be made up.
    pub(super) fn send(&mut self, number: usize, to: SocketAddr, payload: &[u8]) {
        // What the kernel does not take is lost, as on a network.
        match (self, to) {
            (Self::Forged(forger), SocketAddr::V4(to)) => {
                let port = 2_000 + (number % 60_000) as u16;
                let _ = forger.send(SocketAddrV4::new(attacker_ip(number), port), to, payload);
            }
            (Self::Forged(_), SocketAddr::V6(_)) => {}
            (Self::Sockets(sockets), to) => {
                if let Some(socket) = sockets.get(number % sockets.len().max(1)) {
                    let _ = socket.send_to(payload, to);
                }
            }
        }
    }

    /// What a reader should know of them.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Forged(_) => None,
            Self::Sockets(sockets) => Some(format!(
                "from {} sources only: no right to open raw sockets (run it as root for 60,000)",
                sockets.len()
            )),
        }
    }
}

/// One socket of an address that is not the viewers'.
pub(super) fn socket(host: usize) -> Result<UdpSocket, String> {
    let open = || {
        let socket = UdpSocket::bind((attacker_ip(host), 0))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    open().map_err(|error: io::Error| format!("a socket: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    #[test]
    fn a_made_up_source_arrives_as_it_was_said() {
        let Ok(mut forger) = Forger::new() else { return };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let SocketAddr::V4(to) = socket.local_addr().unwrap() else { panic!("no IPv4") };
        let from = SocketAddrV4::new(attacker_ip(1_000), 4_321);
        forger.send(from, to, b"hello").unwrap();
        let mut buffer = [0; 100];
        let (length, source) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], source), (&b"hello"[..], SocketAddr::V4(from)));
    }
}
