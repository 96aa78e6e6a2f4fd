/// Why an offer has no answer. The text goes to the sender of the offer: it names nothing of ours and repeats
/// nothing of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// More than [`MAX_BYTES`](super::MAX_BYTES).
    #[error("it is longer than 32 KiB")]
    TooLong,
    /// A line of more than 4 KiB.
    #[error("one of its lines is longer than 4 KiB")]
    LineTooLong,
    /// More than 256 lines before the first section.
    #[error("it has more than 256 lines before its first section")]
    TooManyLines,
    /// More than [`MAX_SECTIONS`](super::MAX_SECTIONS).
    #[error("it has more than 16 sections")]
    TooManySections,
    /// A section names more formats than there are payload types.
    #[error("one of its sections has more than 128 formats")]
    TooManyFormats,
    /// It does not begin with `v=0`.
    #[error("it is not a session description; its first line must be v=0")]
    NotSdp,
    /// A character that no line may have (RFC 8866 §9, `byte-string`).
    #[error("it contains control characters")]
    ControlCharacter,
    /// It has no `m=` line.
    #[error("it has no media section")]
    NoSections,
    /// An `m=` line lacks a part, or has a port that is not a number.
    #[error("one of its m= lines cannot be read")]
    MediaLine,
    /// A mid with a blank in it, or none behind the colon.
    #[error("one of its mids is not a token")]
    Mid,
    /// Two sections share a mid (RFC 5888 §4).
    #[error("two of its sections have the same mid")]
    SameMid,
    /// No ICE user name and password, or not of the length that RFC 8839 §5.4 asks for.
    #[error("it lacks a=ice-ufrag and a=ice-pwd where its media is")]
    NoIce,
    /// No usable fingerprint.
    #[error("it lacks a=fingerprint with a supported hash function")]
    NoFingerprint,
    /// A later offer wants the roles in DTLS to change, which they do not (RFC 8842 §5.3).
    #[error("its a=setup contradicts who is active and who is passive already")]
    Setup,
    /// The stack behind this does not take it.
    #[error("it contains something that is not supported")]
    Unsupported,
}

/// Why an offer got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// Not SDP, or not SDP that WebRTC can work with.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// The peer makes offers faster than they are taken.
    #[error("too many offers of this peer; wait a second")]
    TooManyOffers,
    /// The system gave none for the credentials of a new peer.
    #[error("the system has no random numbers to give")]
    NoRandomness,
    /// Nothing in it that we could send.
    #[error("no codec in common")]
    NoCommonCodec,
    /// A later offer of a peer, but from another connection: its certificate is another one.
    #[error("it comes from another connection than the offer before it")]
    OtherConnection,
}
