/// Why a peer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It closed the connection, or its signaling did.
    Closed,
    /// ICE and DTLS took too long.
    ConnectTimeout,
    /// Its network path is gone.
    Vanished,
    /// Its protocol state broke.
    Failed,
    /// It has no certificate of a kind that is taken here, which is ECDSA: its own is RSA, most likely.
    RsaCertificate,
    /// Its session was removed.
    SessionEnded,
}
