//! The way of one datagram to one viewer.

use super::srtp::Srtp;
use crate::transport::{Outbox, Route};

/// The way to one viewer: sealed. .
pub(super) struct Way<'a, O> {
    pub(super) srtp: &'a mut Srtp,
    pub(super) route: &'a Route,
    pub(super) out: &'a mut O,
}

impl<O: Outbox> Way<'_, O> {
    /// `index` is the sequence number with its roll-overs.
    pub(super) fn send_rtp(&mut self, header: &[u8], payload: &[u8], ssrc: u32, index: u64) {
        let len = header.len() + payload.len() + self.srtp.rtp_overhead();
        let slot = self.out.datagram(self.route, len);
        self.srtp.seal_rtp(header, payload, ssrc, index, slot);
    }

    pub(super) fn send_rtcp(&mut self, compound: &[u8], index: u32) {
        let len = compound.len() + self.srtp.rtcp_overhead();
        let slot = self.out.datagram(self.route, len);
        self.srtp.seal_rtcp(compound, index, slot);
    }
}
