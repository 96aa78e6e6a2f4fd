use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::source::registered_as;

/// Asked of the kernel for each direction; it may grant less (`net.core.rmem_max`, `wmem_max`). A
/// keyframe to a hundred viewers is some 7 MB that leave in one burst.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// A non-blocking UDP socket with the kernel's batching features switched on where it has them.
#[derive(Debug)]
pub struct UdpEndpoint {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

impl UdpEndpoint {
    /// Opens a socket. `[::]` takes IPv4 too.
    ///
    /// # Errors
    ///
    /// The address is taken, or none of this machine; or the system lacks what batches need.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.ip() == Ipv6Addr::UNSPECIFIED {
            socket.set_only_v6(false)?;
        }
        socket.bind(&addr.into())?;
        let socket: std::net::UdpSocket = socket.into();
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let granted = grow_buffers(&state, &socket);
        let local = socket.local_addr()?;
        tracing::info!(
            %local,
            send_buffer_bytes = granted.0,
            receive_buffer_bytes = granted.1,
            gso_segments = state.max_gso_segments(),
            gro_segments = state.gro_segments(),
            "media socket open"
        );
        if state.max_gso_segments() == 1 {
            tracing::warn!("this kernel has no UDP GSO: each packet is a system call of its own");
        }
        Ok(Self { socket: mio::net::UdpSocket::from_std(socket), state, local })
    }

    /// Where it listens, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The most datagrams one send can carry; 1 where the kernel has no GSO.
    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    pub(crate) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.try_send(UdpSockRef::from(&self.socket), transmit)
    }

    pub(crate) fn recv(
        &self,
        buffers: &mut [io::IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.state.recv(UdpSockRef::from(&self.socket), buffers, metas)
    }
}

/// Sets both buffers as large as the kernel allows; returns what it granted (send, receive).
fn grow_buffers(state: &UdpSocketState, socket: &std::net::UdpSocket) -> (usize, usize) {
    let socket = || UdpSockRef::from(socket);
    if let Err(error) = state.set_send_buffer_size(socket(), SOCKET_BUFFER_BYTES) {
        tracing::debug!(%error, "the send buffer stays as it is");
    }
    if let Err(error) = state.set_recv_buffer_size(socket(), SOCKET_BUFFER_BYTES) {
        tracing::debug!(%error, "the receive buffer stays as it is");
    }
    let send = state.send_buffer_size(socket()).unwrap_or(0);
    let receive = state.recv_buffer_size(socket()).unwrap_or(0);
    (send, receive)
}

registered_as!(UdpEndpoint, |own| own.socket);
