//! Where datagrams go.

use std::net::SocketAddr;

/// Where datagrams go.
pub trait Outbox {
    /// Room for one datagram of `len` bytes, which is filled before anything else is asked for. `from`
    /// is the ICE candidate it leaves from.
    fn datagram(&mut self, from: SocketAddr, to: SocketAddr, len: usize) -> &mut [u8];

    /// One peer's turn is over: its datagrams may leave now.
    fn flush(&mut self);
}
