//! Datagrams that come over TCP connections.

use std::sync::Arc;
use std::time::Instant;

use visavis_core::{Route, TransportAddress};
use visavis_net::{Frames, MAX_PACKET_BYTES};
use visavis_types::Refusal;

use super::{MAX_EVENTS, MediaLoop, RECEIVE_BUDGET};
use crate::faults::FaultDomain;

/// What is read of one connection before the others get their turn, and the beginning of a packet before it.
pub(super) const TCP_BUFFER_BYTES: usize = 16 * 1024 + MAX_PACKET_BYTES;

impl MediaLoop {
    /// Takes connections and what comes over them, until it is time for something else.
    pub(super) fn receive_by_tcp(&mut self) {
        let faults = Arc::clone(&self.faults);
        faults.guard(FaultDomain::Datagram, &"a TCP connection", || self.receive_some_by_tcp());
    }

    fn receive_some_by_tcp(&mut self) {
        let until = Instant::now() + RECEIVE_BUDGET;
        let Self { egress, hub, tcp_buffer, .. } = self;
        egress.connections.accept(until);
        while hub.waiting_events() <= MAX_EVENTS
            && Instant::now() < until
            && let Some(arrived) = egress.connections.read(tcp_buffer)
        {
            let now = Instant::now();
            let at = egress.addresses.tcp_candidate_for(arrived.at, arrived.remote.ip());
            let mut frames = Frames::new(tcp_buffer.get(..arrived.length).unwrap_or_default());
            for packet in frames.by_ref() {
                if let Some(at) = at {
                    hub.receive(now, Route::tcp(at, arrived.remote), packet, egress);
                }
            }
            if frames.is_broken() {
                egress.connections.refuse(&arrived);
            } else {
                let is_known = hub.knows(TransportAddress::tcp(arrived.remote));
                egress.connections.done(&arrived, frames.rest(), is_known);
            }
        }
        let is_known = |remote| hub.knows(TransportAddress::tcp(remote));
        egress.connections.sweep(is_known, Instant::now());
        hub.refusals().count_many(Refusal::Connection, egress.connections.take_refused());
    }
}
