//! What belongs to the process that made it.

use std::mem::ManuallyDrop;
use std::process;

use pyo3::prelude::*;

use crate::errors::Kind;

/// A value with threads behind it, which a child of fork() does not have: there it cannot be used, and is leaked
/// rather than dropped, as its end would wait for them for ever.
pub(crate) struct Here<T> {
    process: u32,
    value: ManuallyDrop<T>,
}

impl<T> Here<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { process: process::id(), value: ManuallyDrop::new(value) }
    }

    fn is_here(&self) -> bool {
        self.process == process::id()
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// In a child of fork().
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<&T> {
        if self.is_here() {
            return Ok(&self.value);
        }
        Err(Kind::Error.because(
            py,
            "this was made before fork(), and its threads are in the parent process; make it in the \
             process that uses it, or start processes with multiprocessing's method \"spawn\"",
        ))
    }
}

impl<T> Drop for Here<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: this is the only place that drops it, and runs once.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}
