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
mod direction;
mod error;
mod extensions;
mod formats;
mod h264;
mod limits;
mod lines;
mod offer;
mod plan;
mod verify;

pub(crate) use answer::Ours;
pub use error::{NegotiateError, SdpError};
pub(crate) use formats::{Codec, Format};
pub use limits::{MAX_BYTES, MAX_SECTIONS};
pub use offer::Offer;
pub(crate) use plan::{Plan, Sections, Supported, Taken, TakenKind};
pub use verify::verify;
