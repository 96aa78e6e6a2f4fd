//! SIGHUP: read the certificate again. Without this it would end the process, as it does when a terminal is closed.

use std::io;

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

/// Waits for the signal from now on.
pub(crate) struct Hangups(Signals);

impl Hangups {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self(Signals::new([SIGHUP])?))
    }

    /// Has this called for each, on a thread of its own; for those that came before as well.
    pub(crate) fn call(mut self, hung_up: impl Fn() + Send + 'static) -> io::Result<()> {
        let wait = move || self.0.forever().for_each(|_| hung_up());
        std::thread::Builder::new().name("visavis-hangup".to_owned()).spawn(wait).map(drop)
    }
}
