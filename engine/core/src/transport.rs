//! Between which addresses a datagram travels, and by which transport.
//!
//! Whoever has to decide by it matches on [`Transport`] without a wildcard: with one more variant (a TURN relay) each of
//! those places has to decide before it compiles.

use std::net::SocketAddr;
use std::time::Instant;

use str0m::Input;
use str0m::net::{Protocol, Receive, Transmit};

/// By which transport a peer's datagrams travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP, each as it is.
    Udp,
    /// A TCP connection that the peer has opened to us (RFC 6544), each with its length before it (RFC 4571).
    Tcp,
}

/// An address together with the transport by which it is reached (RFC 8445 §4): what one peer has by one transport,
/// another may have by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransportAddress {
    /// The transport.
    pub transport: Transport,
    /// IP address and port.
    pub address: SocketAddr,
}

/// The two ends of a datagram's way, and the transport between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// The transport.
    pub transport: Transport,
    /// Our ICE candidate.
    pub local: SocketAddr,
    /// The peer's address, as we see it.
    pub remote: SocketAddr,
}

/// Where datagrams go.
pub trait Outbox {
    /// Room for one datagram of `len` bytes, which is filled before anything else is asked for.
    fn datagram(&mut self, route: &Route, len: usize) -> &mut [u8];

    /// One peer's turn is over: its datagrams may leave now.
    fn flush(&mut self);
}

impl TransportAddress {
    /// An address that is reached by UDP.
    pub const fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address }
    }

    /// An address that is reached by TCP.
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, address }
    }
}

impl Route {
    /// From our candidate to the peer's address, by UDP.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport: Transport::Udp, local, remote }
    }

    /// From our candidate to the peer's address, by TCP.
    pub const fn tcp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, local, remote }
    }

    /// The peer's end.
    pub const fn remote(&self) -> TransportAddress {
        TransportAddress { transport: self.transport, address: self.remote }
    }

    /// The one that the stack wants something sent by. `None` for transports of which it has no candidate of ours.
    pub(crate) const fn of(transmit: &Transmit) -> Option<Self> {
        let transport = match transmit.proto {
            Protocol::Udp => Transport::Udp,
            Protocol::Tcp => Transport::Tcp,
            Protocol::SslTcp | Protocol::Tls => return None,
        };
        Some(Self { transport, local: transmit.source, remote: transmit.destination })
    }

    /// What came this way, as the stack takes it. `None` for what is none of the protocols it knows.
    pub(crate) fn input<'a>(&self, now: Instant, datagram: &'a [u8]) -> Option<Input<'a>> {
        let protocol = match self.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        let received = Receive::new(protocol, self.remote, self.local, datagram).ok()?;
        Some(Input::Receive(now, received))
    }
}
