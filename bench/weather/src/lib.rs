//! Network weather for tests: what a network does to packets, from a seed.
//!
//! - [`Link`] is one direction of a network path: bandwidth, a queue, delay, jitter, reordering, losses alone and in
//!   bursts, duplicates, blackouts. It is sans-IO: whoever has it says what time it is.
//! - [`Conditions`] are the settings, and a [`Schedule`] is what they are at which time.
//! - A [`Network`] is flows in virtual time that share a link in each direction; [`TcpSender`] is somebody to share it
//!   with, and [`scenario`] has the networks of RFC 8867 and RFC 8869 §4.1.
//! - [`Relay`] puts a link in each direction between real UDP sockets of this machine.
//!
//! ```
//! use std::time::Duration;
//! use visavis_weather::{Bandwidth, Conditions, Link, SendOutcome};
//!
//! let conditions = Conditions {
//!     bandwidth: Bandwidth::from_kbps(800),
//!     delay: Duration::from_millis(50),
//!     ..Conditions::default()
//! };
//! let mut link = Link::new(conditions, 1);
//! assert_eq!(link.send(Duration::ZERO, "hello", 1_000), SendOutcome::Queued);
//!
//! // 10 ms to send 8,000 bits, and 50 ms to arrive.
//! let mut now = Duration::ZERO;
//! let arrived = loop {
//!     if let Some(packet) = link.poll(now) {
//!         break packet;
//!     }
//!     now = link.next_deadline().unwrap();
//! };
//! assert_eq!((arrived, now), ("hello", Duration::from_millis(60)));
//! ```

#![forbid(unsafe_code)]

mod bandwidth;
mod conditions;
mod counters;
mod draws;
mod endpoint;
mod link;
mod network;
mod packet;
mod relay;
pub mod scenario;
mod schedule;
mod tcp;

pub use bandwidth::Bandwidth;
pub use conditions::{Conditions, GilbertElliott, QueueLimit, Reordering};
pub use counters::{Counters, QueueDelay, RelayCounters};
pub use endpoint::{ConstantBitrate, Endpoint, Sink};
pub use link::{Link, SendOutcome};
pub use network::{Direction, FlowCounters, FlowId, Network};
pub use packet::{Content, Packet, Segment};
pub use relay::{Relay, RelayError};
pub use schedule::{Schedule, Trace};
pub use tcp::{TcpReceiver, TcpSender, Transfer};
