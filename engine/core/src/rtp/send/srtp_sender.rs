//! Encrypts datagrams for one viewer and queues them for sending.

use super::srtp::Srtp;
use crate::transport::{Outbox, Route};

/// Encrypts datagrams for one viewer straight into the memory they are sent from.
pub(super) struct SrtpSender<'a, O> {
    pub(super) srtp: &'a mut Srtp,
    pub(super) route: &'a Route,
    /// Reused.
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) out: &'a mut O,
}

impl<O: Outbox> SrtpSender<'_, O> {
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
