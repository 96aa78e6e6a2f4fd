use visavis_core::{Outbox, Route, Transport};
use visavis_net::{Sender, UdpEndpoint};

use super::addresses::Addresses;

/// The way out: from the hub to the socket.
pub(crate) struct Egress {
    pub(crate) endpoint: UdpEndpoint,
    pub(crate) sender: Sender,
    pub(crate) addresses: Addresses,
}

impl Egress {
    pub(crate) fn new(endpoint: UdpEndpoint, addresses: Addresses) -> Self {
        Self { endpoint, sender: Sender::default(), addresses }
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
    }
}
