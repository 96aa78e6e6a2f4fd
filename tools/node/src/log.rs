//! What the engine logs, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

/// What is shown: all that visavis says but what is said for each packet.
const SHOWN: &str = "warn,visavis=debug,visavis_core=debug,visavis_codec=debug,visavis_net=debug,\
    visavis_signaling=debug";

/// From now on the log goes to stderr; a second call does nothing.
pub(crate) fn start() {
    let subscriber = tracing_subscriber::fmt().with_writer(io::stderr);
    // One that is there already stays.
    let _ = subscriber.with_env_filter(EnvFilter::new(SHOWN)).try_init();
}
