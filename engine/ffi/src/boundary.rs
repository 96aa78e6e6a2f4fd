//! What stands between C and everything else.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use visavis_types::catch_panic;

use crate::status::{Error, Result, remember, visavis_status, visavis_status::*};

/// The body of a function that C calls, which returns `Result<visavis_status>`. Outputs that are named before it have to
/// be there; they are NULL unless the body sets them.
macro_rules! entry {
    ([$($out:ident),+] $body:block) => {{
        // SAFETY: as below.
        #[allow(clippy::macro_metavars_in_unsafe, reason = "as below")]
        unsafe {
            $($crate::raw::put($out, std::ptr::null_mut());)+
        }
        entry!({
            $(if $out.is_null() {
                return Err($crate::raw::null(stringify!($out)));
            })+
            $body
        })
    }};
    ($body:block) => {
        $crate::boundary::enter(|| {
            // SAFETY: who calls keeps to the rules of the header: pointers are NULL, or good for what the function's
            // comment says, for the time of the call.
            #[allow(unused_unsafe, clippy::macro_metavars_in_unsafe, reason = "not all touch memory of C")]
            unsafe {
                $body
            }
        })
    };
}

/// The process that uses the library; 0: none yet.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Runs what C has called: no panic leaves, and after fork() nothing is run.
pub(crate) fn enter(run: impl FnOnce() -> Result<visavis_status>) -> visavis_status {
    let outcome = match check_process().map(|()| catch_panic(run)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => {
            Err(Error::new(VISAVIS_PANIC, format_args!("this is a bug of visavis: {why}")))
        }
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        remember(&error.text);
        error.status
    })
}

/// A child of fork() has none of the engine's threads, and of its locks those that were held for ever.
fn check_process() -> Result<()> {
    let this = process::id();
    match OWNER.compare_exchange(0, this, Relaxed, Relaxed) {
        Ok(_) => Ok(()),
        Err(owner) if owner == this => Ok(()),
        Err(owner) => Err(Error::new(
            VISAVIS_FORKED,
            format_args!(
                "process {this} was forked from {owner}, which had used visavis already; the engine's threads are not in \
                 it. Start the engine after fork(), or another program by exec()"
            ),
        )),
    }
}
