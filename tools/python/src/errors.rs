//! Exceptions. Their classes are Python's (`visavis/_errors.py`), where a class can have two bases.

use std::fmt::Display;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The classes of `visavis/_errors.py` that are raised from here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// The base of all.
    Error,
    /// A value that cannot be used; a `ValueError` too.
    InvalidValue,
    /// An object that cannot be used; a `TypeError` too.
    InvalidType,
    /// Nothing came in time; a `TimeoutError` too.
    Timeout,
    /// What is used was closed, or has ended.
    Closed,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::InvalidValue => "InvalidValue",
            Self::InvalidType => "InvalidType",
            Self::Timeout => "Timeout",
            Self::Closed => "Closed",
        }
    }

    /// The exception with its sentence.
    pub(crate) fn because(self, py: Python<'_>, sentence: impl Display) -> PyErr {
        let class = py
            .import("visavis._errors")
            .and_then(|module| module.getattr(self.name()))
            .and_then(|class| Ok(class.cast_into::<PyType>()?));
        match class {
            Ok(class) => PyErr::from_type(class, (sentence.to_string(),)),
            Err(error) => error,
        }
    }
}

/// Turns typed errors of the engine into exceptions.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>, kind: Kind) -> PyResult<T>;
}

impl<T, E: Display> OrRaise<T> for Result<T, E> {
    fn or_raise(self, py: Python<'_>, kind: Kind) -> PyResult<T> {
        self.map_err(|error| kind.because(py, error))
    }
}

/// Whether a protocol is not there, rather than broken.
pub(crate) fn is_type_error(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyTypeError>(py)
}
