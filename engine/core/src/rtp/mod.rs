//! RTP (RFC 3550): what is sent ([`send`], from what [`packetize`] cut up and [`history`] keeps), and what is received.
//!
//! [`packetize`], [`history`] and [`receive`] do not know [`send`], and what is received and what is sent do not know
//! each other.

pub(crate) mod history;
pub(crate) mod numbers;
pub(crate) mod packetize;
pub mod receive;
pub(crate) mod send;
pub(crate) mod stamp;
