//! What the process does on SIGINT, SIGTERM and SIGHUP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// SIGINT and SIGTERM: the first asks to stop, the second ends the program at once.
pub(super) struct StopSignals {
    /// Gets one message, at the first signal.
    pub(super) asked: Receiver<()>,
}

impl StopSignals {
    pub(super) fn install() -> io::Result<Self> {
        const ENDED_BY_SIGNAL: i32 = 130;
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let armed = Arc::clone(&stopping);
            signal_hook::flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL, armed)?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (ask, asked) = bounded(1);
        let wait = move || {
            if signals.forever().next().is_some() {
                stopping.store(true, Ordering::SeqCst);
                // Nobody listens any more when the program is ending anyway.
                let _ = ask.send(());
            }
            // The thread lives on so that the handler for the second signal stays.
            signals.forever().for_each(drop);
        };
        std::thread::Builder::new().name("visavis-signals".to_owned()).spawn(wait)?;
        Ok(Self { asked })
    }
}

/// SIGHUP: reads the certificate again. Without a handler it would end the process, as it does when a terminal is
/// closed.
pub(super) struct ReloadSignals(Signals);

impl ReloadSignals {
    /// Catches the signal from now on.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self(Signals::new([SIGHUP])?))
    }

    /// Calls `reload` on its own thread for each signal, including those received before this call.
    pub(super) fn call(mut self, reload: impl Fn() + Send + 'static) -> io::Result<()> {
        let wait = move || self.0.forever().for_each(|_| reload());
        std::thread::Builder::new().name("visavis-hangup".to_owned()).spawn(wait).map(drop)
    }
}
