use std::time::Instant;

use visavis_core::{Outbox, Route, Transport};
use visavis_net::{Sender, UdpEndpoint};

use super::addresses::Addresses;

/// The way out: from the hub to the socket.
pub(crate) struct Egress {
    pub(crate) endpoint: UdpEndpoint,
    pub(crate) sender: Sender,
    pub(crate) addresses: Addresses,
    /// When the first flush since [`mark`](Self::mark) was done.
    first_flush: Option<Instant>,
    marking: bool,
}

impl Egress {
    pub(crate) fn new(endpoint: UdpEndpoint, addresses: Addresses) -> Self {
        Self { endpoint, sender: Sender::default(), addresses, first_flush: None, marking: false }
    }

    /// From here on the first flush is noted.
    pub(crate) fn mark(&mut self) {
        self.marking = true;
        self.first_flush = None;
    }

    /// When the first flush since [`mark`](Self::mark) was done.
    pub(crate) fn first_flush(&mut self) -> Option<Instant> {
        self.marking = false;
        self.first_flush.take()
    }
}

impl Outbox for Egress {
    fn datagram(&mut self, route: &Route, len: usize) -> &mut [u8] {
        match route.transport {
            Transport::Udp => {
                let from = self.addresses.source_for(route.local.ip());
                let to = self.addresses.to_socket(route.remote);
                self.sender.queue(&self.endpoint, from, to, len)
            }
        }
    }

    fn flush(&mut self) {
        self.sender.flush(&self.endpoint);
        if self.marking && self.first_flush.is_none() {
            self.first_flush = Some(Instant::now());
        }
    }
}
