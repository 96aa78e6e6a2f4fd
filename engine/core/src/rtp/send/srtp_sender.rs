//! Encrypts datagrams for one viewer and queues them for sending.

use std::time::Instant;

use super::srtp::Srtp;
use crate::bwe::BandwidthEstimator;
use crate::transport::{Outbox, Route};

/// What a datagram has beside SRTP: IPv4 and UDP.
const NETWORK_BYTES: usize = 20 + 8;

/// Encrypts datagrams for one viewer straight into the memory they are sent from.
pub(super) struct SrtpSender<'a, O> {
    pub(super) srtp: &'a mut Srtp,
    pub(super) route: &'a Route,
    /// Reused.
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) out: &'a mut O,
    /// Who is told of packets that are numbered across streams, and when they are sent.
    pub(super) arrivals: Option<(&'a mut BandwidthEstimator, Instant)>,
}

impl<O: Outbox> SrtpSender<'_, O> {
    /// Whether packets that leave now are numbered across streams.
    pub(super) fn is_numbering(&mut self) -> bool {
        self.arrivals.as_mut().is_some_and(|(estimator, now)| estimator.is_numbered(*now))
    }

    /// The number across streams of the next packet, whose header and payload are so long.
    pub(super) fn number(&mut self, len: usize) -> u16 {
        let bytes = len + self.overhead();
        self.arrivals.as_mut().map_or(0, |(estimator, now)| estimator.send(*now, bytes))
    }

    /// Packets are sent without numbers, so many, whose headers and payloads are so long together.
    pub(super) fn leave_unnumbered(&mut self, packets: usize, len: usize) {
        let bytes = len + packets * self.overhead();
        if let Some((estimator, _)) = &mut self.arrivals {
            estimator.send_unnumbered(bytes);
        }
    }

    /// What a datagram has beside its header and payload.
    pub(super) fn overhead(&self) -> usize {
        self.srtp.rtp_overhead() + NETWORK_BYTES
    }

    /// `index` is the sequence number with its roll-overs.
    pub(super) fn send_rtp(&mut self, header: &[u8], payload: &[u8], ssrc: u32, index: u64) {
        let len = header.len() + payload.len() + self.srtp.rtp_overhead();
        let slot = self.out.datagram(self.route, len);
        self.srtp.seal_rtp(header, payload, ssrc, index, slot);
    }

    /// Sends a changed copy of a payload that is shared with others, behind `head`.
    pub(super) fn send_rewritten_rtp(
        &mut self,
        header: &[u8],
        (head, payload): (&[u8], &[u8]),
        change: impl FnOnce(&mut [u8]),
        (ssrc, index): (u32, u64),
    ) {
        let mut copy = std::mem::take(self.scratch);
        copy.clear();
        copy.extend_from_slice(head);
        copy.extend_from_slice(payload);
        change(&mut copy[head.len()..]);
        self.send_rtp(header, &copy, ssrc, index);
        *self.scratch = copy;
    }

    pub(super) fn send_rtcp(&mut self, compound: &[u8], index: u32) {
        let len = compound.len() + self.srtp.rtcp_overhead();
        let slot = self.out.datagram(self.route, len);
        self.srtp.seal_rtcp(compound, index, slot);
    }
}
