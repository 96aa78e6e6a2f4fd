//! The only caller of [`Rtc::poll_output`].
//!
//! str0m's contract is that every mutation of an `Rtc` is followed by a drain of its output up to the
//! next timeout. [`drain`] is that drain; everything else in this crate mutates and then calls it.

use std::time::Instant;

use str0m::net::Transmit;
use str0m::{Event, Input, Output, Rtc, RtcError};

/// How often a timeout that is due already is fed back within one drain.
///
/// With bandwidth estimation on, the pacer often asks for *now*; feeding it back at once instead of
/// sleeping is worth ten milliseconds at the median. The bound is there so that a mistake in either
/// library costs a turn, not the loop.
const MAX_DUE_TIMEOUTS: usize = 64;

/// What a drain gives. Handed over by value and taken apart at once: boxing the large variant would be
/// an allocation per event.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Drained {
    /// To be sent.
    Transmit(Transmit),
    /// To be handled.
    Event(Event),
}

/// Drains everything an `Rtc` has to say at `now`, and returns when it wants to be woken.
pub(crate) fn drain(
    rtc: &mut Rtc,
    now: Instant,
    mut each: impl FnMut(Drained),
) -> Result<Instant, RtcError> {
    let mut due_timeouts = 0;
    loop {
        match rtc.poll_output()? {
            Output::Transmit(transmit) => each(Drained::Transmit(transmit)),
            Output::Event(event) => each(Drained::Event(event)),
            Output::Timeout(at) if at > now || due_timeouts == MAX_DUE_TIMEOUTS => return Ok(at),
            Output::Timeout(_) => {
                due_timeouts += 1;
                if !rtc.is_alive() {
                    return Ok(now);
                }
                rtc.handle_input(Input::Timeout(now))?;
            }
        }
    }
}
