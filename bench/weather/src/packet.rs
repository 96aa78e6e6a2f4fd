/// What travels through a [`Network`](crate::Network).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its length on the link, headers included.
    pub bytes: usize,
    /// What is in it.
    pub content: Content,
}

/// What is in a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing that anybody reads.
    Padding,
    /// Of a UDP flow.
    Datagram(Box<[u8]>),
    /// Of a TCP flow.
    Segment(Segment),
}

/// What [TCP flows](crate::TcpSender) exchange. Data is counted in segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// From the sender.
    Data {
        /// Which of its transfers, each a connection.
        transfer: u64,
        /// Which of its segments.
        index: u64,
        /// Counts what the sender sends, what is sent again included.
        transmission: u64,
    },
    /// From the receiver, for each segment that it gets.
    Ack {
        /// Which of the sender's transfers.
        transfer: u64,
        /// All segments before this one have been received.
        next: u64,
        /// The segment that is acknowledged, also where others before it are missing (RFC 2018, without its blocks).
        index: u64,
        /// Which transmission of it.
        transmission: u64,
    },
}
