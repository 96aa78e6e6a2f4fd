//! RTP (RFC 3550): what is sent ([`send`], from what [`packetize`] cut up and [`history`] keeps), and what is received.

pub(crate) mod history;
pub(crate) mod packetize;
pub mod receive;
pub(crate) mod send;
