//! The only caller of [`Rtc::poll_output`].
//!
//! str0m's contract is that every mutation of an `Rtc` is followed by a drain of its output up to the
//! next timeout. [`drain`] is that drain; everything else in this crate mutates and then calls it.

use std::time::{Duration, Instant};

use str0m::net::Transmit;
use str0m::{Event, Input, Output, PacerReason, Reason, Rtc, RtcError};

/// How often a timeout that is due already is fed back within one drain. With bandwidth estimation
/// on that is once per packet; the bound is there so that a mistake in either library costs a turn,
/// not the loop.
const MAX_DUE_TIMEOUTS: usize = 4_096;

/// A timeout this near is due. After each packet the pacer asks to be called a microsecond later;
/// feeding that back at once instead of sleeping sends a picture in one go.
const NEAR: Duration = Duration::from_micros(100);

/// How long timers of bandwidth estimation and pacing may wait for a turn that comes anyway.
///
/// They ask to be called every 25 ms, and every round trip where no feedback comes: thousands of times
/// a second for each viewer of a silent session nearby. Nothing of ours hangs on them, because media
/// leaves unpaced; while media flows, its own turns come more often than this.
const ESTIMATION_REST: Duration = Duration::from_millis(50);

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
            Output::Timeout(at) => {
                let due = at <= now + NEAR && due_timeouts < MAX_DUE_TIMEOUTS;
                if can_rest(rtc) && !(due && due_timeouts == 0) {
                    return Ok(at.max(now + ESTIMATION_REST));
                }
                if !due || !rtc.is_alive() {
                    return Ok(at);
                }
                due_timeouts += 1;
                rtc.handle_input(Input::Timeout(at.max(now)))?;
            }
        }
    }
}

/// Whether nothing but the upkeep of estimator and pacer is due next.
fn can_rest(rtc: &Rtc) -> bool {
    matches!(
        rtc.last_timeout_reason(),
        Reason::BweDelayControl
            | Reason::BweProbeControl
            | Reason::BweProbeEstimator
            | Reason::Pacer(PacerReason::Handle | PacerReason::Padding)
    )
}
