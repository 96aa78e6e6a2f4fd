use visavis_core::{Outbox, Route, Transport};
use visavis_net::{Sender, UdpEndpoint};

use super::addresses::Addresses;
use super::connections::Connections;

/// The way out: from the hub to the sockets.
pub(crate) struct Egress {
    pub(crate) endpoint: UdpEndpoint,
    pub(crate) sender: Sender,
    pub(crate) connections: Connections,
    pub(crate) addresses: Addresses,
}

impl Egress {
    pub(crate) fn new(
        endpoint: UdpEndpoint,
        connections: Connections,
        addresses: Addresses,
    ) -> Self {
        Self { endpoint, sender: Sender::default(), connections, addresses }
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
            Transport::Tcp => self.connections.packet(route.remote, len),
        }
    }

    fn flush(&mut self) {
        self.sender.flush(&self.endpoint);
        self.connections.flush();
    }
}
