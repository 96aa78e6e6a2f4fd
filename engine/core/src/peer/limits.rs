//! How much a peer may send of each kind.

use crate::rate::RateLimit;

/// Offers of a peer that lives. Each is answered on the media loop.
const OFFERS: RateLimit = RateLimit::per_second(2, 16);

/// Packets of a microphone: one each 10 or 20 ms, and what the network held back comes at once.
const RTP: RateLimit = RateLimit::per_second(250, 500);

/// Feedback: reports, and each 20 ms a request for what was lost.
const RTCP: RateLimit = RateLimit::per_second(200, 400);

/// DTLS: the handshake and then SCTP. What is too much counts as lost to it, and it slows down.
const DTLS: RateLimit = RateLimit::per_second(2_000, 4_000);

/// Messages of one viewer: dozens fit into a packet, and each is an event.
const MESSAGES: RateLimit = RateLimit::per_second(1_000, 4_000);

/// How much of each kind a peer may send.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) offers: RateLimit,
    pub(super) rtp: RateLimit,
    pub(super) rtcp: RateLimit,
    pub(super) dtls: RateLimit,
    pub(super) messages: RateLimit,
}

impl Default for Limits {
    fn default() -> Self {
        Self { offers: OFFERS, rtp: RTP, rtcp: RTCP, dtls: DTLS, messages: MESSAGES }
    }
}
