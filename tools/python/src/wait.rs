//! Waiting without the GIL. Python handles signals on its main thread alone and only when asked, so what waits does
//! so in short pieces.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors::Kind;

/// Ctrl-C is noticed within this time.
pub(crate) const PIECE: Duration = Duration::from_millis(100);

/// A time of Python's: `None` is for ever.
///
/// # Errors
///
/// What is negative, no number, or longer than there is time.
pub(crate) fn patience(py: Python<'_>, seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds
        .map(|seconds| {
            Duration::try_from_secs_f64(seconds).map_err(|_| {
                let sentence =
                    format!("invalid timeout {seconds}; expected seconds from 0 on, or None");
                Kind::InvalidValue.because(py, sentence)
            })
        })
        .transpose()
}

/// Calls `attempt`, without the GIL and each time with the longest it may wait, until it has something, or `patience`
/// is over; `None` then.
///
/// # Errors
///
/// What a signal handler raises, such as `KeyboardInterrupt`.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    patience: Option<Duration>,
    attempt: impl Fn(Duration) -> Option<T> + Sync,
) -> PyResult<Option<T>> {
    let begin = Instant::now();
    loop {
        let left = patience.map(|patience| patience.saturating_sub(begin.elapsed()));
        let piece = left.map_or(PIECE, |left| left.min(PIECE));
        if let Some(found) = py.detach(|| attempt(piece)) {
            return Ok(Some(found));
        }
        py.check_signals()?;
        if left.is_some_and(|left| left <= piece) {
            return Ok(None);
        }
    }
}
