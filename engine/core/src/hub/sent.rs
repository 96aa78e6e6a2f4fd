use std::time::Instant;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSent {
    /// The peers it was sent to.
    pub peers: usize,
    /// When the first of them had all of its datagrams.
    pub first: Option<Instant>,
}
