use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use quinn_udp::RecvMeta;

use crate::UdpEndpoint;

/// Buffers filled by one `recvmmsg`.
const BUFFERS: usize = 16;

/// A GRO aggregate is at most one IP datagram.
const BUFFER_BYTES: usize = 65_536;

/// One datagram, borrowed from the receive buffers.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// The address of ours it was sent to, where the kernel tells.
    pub destination: Option<IpAddr>,
    /// Its bytes.
    pub contents: &'a [u8],
}

/// Memory for batch receives, allocated once.
#[derive(Debug)]
pub struct ReceiveBuffers {
    memory: Box<[u8]>,
    metas: [RecvMeta; BUFFERS],
    filled: usize,
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self {
            memory: vec![0; BUFFERS * BUFFER_BYTES].into_boxed_slice(),
            metas: [RecvMeta::default(); BUFFERS],
            filled: 0,
        }
    }
}

impl ReceiveBuffers {
    /// Receives one batch; [`datagrams`](Self::datagrams) then gives it. `Ok(false)`: nothing was
    /// waiting.
    ///
    /// The socket is edge-triggered: call again until `Ok(false)`, or come back later without waiting
    /// for an event.
    ///
    /// # Errors
    ///
    /// What the system reports of the socket, which can be read from again.
    pub fn fill(&mut self, endpoint: &UdpEndpoint) -> io::Result<bool> {
        self.filled = 0;
        let mut chunks = self.memory.chunks_mut(BUFFER_BYTES);
        let mut slices: [IoSliceMut<'_>; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        match endpoint.recv(&mut slices, &mut self.metas) {
            Ok(count) => {
                self.filled = count;
                Ok(true)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(false),
                // A peer's closed port comes back as an ICMP error on the next receive. It says
                // nothing about this socket.
                io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted => Ok(true),
                _ => Err(error),
            },
        }
    }

    /// The datagrams of the last batch, in order of arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let buffers = self.memory.chunks(BUFFER_BYTES).zip(&self.metas).take(self.filled);
        buffers.flat_map(|(buffer, meta)| {
            let bytes = buffer.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).map(|contents| Datagram {
                source: meta.addr,
                destination: meta.dst_ip,
                contents,
            })
        })
    }
}
