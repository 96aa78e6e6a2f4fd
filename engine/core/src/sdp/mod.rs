//! Offers and answers (RFC 8866, RFC 3264, RFC 9429), read and written line by line.
//!
//! What comes from outside is read here, tolerantly and within limits ([`Offer`]), and only what we take of it
//! is put before the ICE, DTLS and RTP stack, in a form of our own ([`Sections::plan`]): that stack reads a
//! narrower language than browsers and applications write. The answer is written section by section against
//! the offer ([`Plan::answer`]), in the offer's own spelling, and then checked by the rules that the browser at
//! the other end applies ([`verify`]).
//!
//! Nothing in here knows the stack: texts go in, texts come out.

mod answer;
mod formats;
mod h264;
mod lines;
mod offer;
mod plan;
mod verify;

pub(crate) use answer::Ours;
pub(crate) use formats::{Codec, Format};
pub use offer::Offer;
pub(crate) use plan::{Plan, Sections, Supported, Taken, TakenKind};
pub use verify::verify;

/// The longest offer that is read. A browser's is 6 to 12 KiB.
pub const MAX_BYTES: usize = 32 << 10;

/// The longest line; a browser's have 200 bytes.
const MAX_LINE_BYTES: usize = 4 << 10;

/// Lines before the first section. What they say is said of each section, and looked for in each: where their number
/// is up to whoever sent them, so is the time that takes. A browser has a dozen.
const MAX_SESSION_LINES: usize = 256;

/// Sections of an offer, those that are disabled counted in.
pub const MAX_SECTIONS: usize = 16;

/// Formats of one section: there are no more payload types (RFC 3550 §5.1).
const MAX_FORMATS: usize = 128;

/// Candidates of an offer that are looked at; there are fewer that are used.
const MAX_CANDIDATES: usize = 64;

/// Why an offer has no answer. What is said goes to whoever sent the offer: it names nothing of ours and
/// repeats nothing of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// More than [`MAX_BYTES`].
    #[error("it is longer than 32 KiB")]
    TooLong,
    /// A line of more than 4 KiB.
    #[error("one of its lines is longer than 4 KiB")]
    LineTooLong,
    /// More than 256 lines before the first section.
    #[error("it has more than 256 lines before its first section")]
    TooManyLines,
    /// More than [`MAX_SECTIONS`].
    #[error("it has more than 16 sections")]
    TooManySections,
    /// A section names more formats than there are payload types.
    #[error("one of its sections has more than 128 formats")]
    TooManyFormats,
    /// It does not begin with `v=0`.
    #[error("it is no session description: the first line must be v=0")]
    NotSdp,
    /// A character that no line may have (RFC 8866 §9, `byte-string`).
    #[error("it has control characters in it")]
    ControlCharacter,
    /// It has no `m=` line.
    #[error("it has no media section")]
    NoSections,
    /// An `m=` line lacks a part, or has a port that is no number.
    #[error("one of its m= lines cannot be read")]
    MediaLine,
    /// A mid with a blank in it, or none behind the colon.
    #[error("one of its mids is no token")]
    Mid,
    /// Two sections share a mid (RFC 5888 §4).
    #[error("two of its sections have the same mid")]
    SameMid,
    /// No ICE user name and password, or not of the length that RFC 8839 §5.4 asks for.
    #[error("it lacks a=ice-ufrag and a=ice-pwd where its media is")]
    NoIce,
    /// No usable fingerprint.
    #[error("it lacks a=fingerprint with a hash function that can be checked")]
    NoFingerprint,
    /// A later offer wants the roles in DTLS to change, which they do not (RFC 8842 §5.3).
    #[error("its a=setup contradicts who is active and who is passive already")]
    Setup,
    /// The stack behind this could not work with it.
    #[error("there is something in it that cannot be worked with")]
    Unworkable,
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
    #[error("the system has no randomness")]
    NoRandomness,
    /// Nothing in it that we could send.
    #[error("no codec in common")]
    NoCommonCodec,
    /// A later offer of a peer, but from another connection: its certificate is another one.
    #[error("it comes from another connection than the offer before it")]
    OtherConnection,
}

/// Which way media flows, seen from whoever wrote the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Direction {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
}

impl Direction {
    /// What it means to say nothing (RFC 3264 §5.1).
    const DEFAULT: Self = Self { sends: true, receives: true };

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sendrecv" => Self::DEFAULT,
            "sendonly" => Self { sends: true, receives: false },
            "recvonly" => Self { sends: false, receives: true },
            "inactive" => Self { sends: false, receives: false },
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }
}

/// Header extensions that we send or read; the place of each is its index in lists of ids.
const EXTENSIONS: [&str; 4] = [
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
];
