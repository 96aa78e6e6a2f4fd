//! The log. Python's `logging` is not called: it would have the engine's threads wait for the GIL.

use std::io;

use pyo3::prelude::*;
use tracing_subscriber::EnvFilter;

use crate::errors::{Kind, OrRaise};

/// Writes the log to stderr from now on.
#[pyfunction]
pub(crate) fn log_to_stderr(py: Python<'_>, filter: &str) -> PyResult<()> {
    let filter = EnvFilter::try_new(filter).or_raise(py, Kind::InvalidValue)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    log.try_init().or_raise(py, Kind::Error)
}
