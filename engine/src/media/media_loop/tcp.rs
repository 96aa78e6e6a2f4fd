//! Datagrams that come over TCP connections.

use std::sync::Arc;
use std::time::Instant;

use visavis_core::{Route, TransportAddress};
use visavis_net::Frames;
use visavis_types::Refusal;

use super::{MAX_EVENTS, MediaLoop, RECEIVE_BUDGET};
use crate::faults::FaultDomain;

/// Packets that a stranger may send at once before one of them is a check that a peer has made.
const MAX_STRANGE_PACKETS: usize = 8;

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
            let mut is_known = hub.knows(TransportAddress::tcp(arrived.remote));
            let mut strange = 0;
            while (is_known || strange < MAX_STRANGE_PACKETS)
                && let Some(packet) = frames.next()
            {
                if let Some(at) = at {
                    hub.receive(now, Route::tcp(at, arrived.remote), packet, egress);
                }
                if !is_known {
                    strange += 1;
                    is_known = hub.knows(TransportAddress::tcp(arrived.remote));
                }
            }
            if frames.is_broken() || !is_known && strange == MAX_STRANGE_PACKETS {
                egress.connections.refuse(&arrived);
            } else {
                egress.connections.done(&arrived, frames.rest(), is_known);
            }
        }
        let is_known = |remote| hub.knows(TransportAddress::tcp(remote));
        egress.connections.sweep(is_known, Instant::now());
        hub.refusals().count_many(Refusal::Connection, egress.connections.take_refused());
    }
}
