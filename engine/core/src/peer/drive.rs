//! The only caller of [`Rtc::poll_output`].
//!
//! str0m's contract is that every mutation of an `Rtc` is followed by a drain of its output up to the
//! next timeout. [`drain`] is that drain; everything else in this crate mutates and then calls it.

use str0m::net::Transmit;
use str0m::{Event, Output, Reason, Rtc, RtcError};

use crate::deadline::{Deadline, DeadlineReason};

/// What a drain gives. Handed over by value and taken apart at once: boxing the large variant would be
/// an allocation per event.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Drained {
    /// To be sent.
    Transmit(Transmit),
    /// To be handled.
    Event(Event),
}

/// Drains everything an `Rtc` has to send or report, and returns when it wants to be woken, and why.
pub(crate) fn drain(rtc: &mut Rtc, mut each: impl FnMut(Drained)) -> Result<Deadline, RtcError> {
    loop {
        match rtc.poll_output()? {
            Output::Transmit(transmit) => each(Drained::Transmit(transmit)),
            Output::Event(event) => each(Drained::Event(event)),
            Output::Timeout(at) => {
                let reason = reason(rtc.last_timeout_reason());
                return Ok(Deadline { at, reason });
            }
        }
    }
}

fn reason(reason: Reason) -> DeadlineReason {
    match reason {
        Reason::Ice => DeadlineReason::Ice,
        Reason::DTLS => DeadlineReason::Dtls,
        Reason::Sctp | Reason::Channel => DeadlineReason::DataChannel,
        Reason::Feedback | Reason::Nack => DeadlineReason::Rtcp,
        _ => DeadlineReason::Stack,
    }
}
