//! `visavis._visavis`, the part of the Python package that is Rust: thin classes over the engine and the signaling
//! server. Names, documentation, types and asyncio are the business of the Python files beside it.
//!
//! | file | what |
//! |---|---|
//! | `engine` | the engine, with or without the signaling server |
//! | `session` | one face: pushes, signaling, messages |
//! | `utterance` | speech that is made ahead of its time |
//! | `receiver` | what is waited for, also by file descriptor |
//! | `wait` | waiting without the GIL, and with Ctrl-C |
//! | `buffer`, `picture`, `sound` | memory of other libraries, looked at and borrowed |
//! | `outcome` | what goes with every push |
//! | `events`, `status` | what comes out, as Python objects |
//! | `config` | settings, checked |
//! | `here` | what must not be used after fork() |
//! | `errors` | exceptions |
//!
//! No thread of the engine's ever calls into Python, so none ever waits for the GIL.

mod buffer;
mod config;
mod engine;
mod errors;
mod events;
mod here;
mod log;
mod outcome;
mod picture;
mod receiver;
mod session;
mod sound;
mod status;
mod utterance;
mod wait;

use pyo3::prelude::*;

/// The Rust part of the package `visavis`.
#[pymodule]
mod _visavis {
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::log::log_to_stderr;
    #[pymodule_export]
    use super::receiver::Receiver;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::utterance::Utterance;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        visavis::faults::install_panic_hook();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
