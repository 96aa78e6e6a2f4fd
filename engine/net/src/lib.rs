//! The kernel's edge: one UDP socket read and written in batches, TCP connections beside it, and a timer finer than a
//! millisecond.
//!
//! Everything that knows about a system call of the media path is in this crate. It knows nothing of
//! WebRTC.

mod addresses;
pub mod memory;
mod receiver;
mod rtp;
mod sender;
mod socket;
mod source;
mod tcp;
mod timer;

pub use addresses::AddressChanges;
pub use receiver::{Datagram, ReceiveBuffers};
pub use rtp::{RtpSocket, RtpSockets};
pub use sender::{SendCounters, Sender};
pub use socket::UdpEndpoint;
pub use tcp::{Frames, MAX_PACKET_BYTES, TcpAcceptor, TcpConnection, TcpCounters};
pub use timer::Timer;
