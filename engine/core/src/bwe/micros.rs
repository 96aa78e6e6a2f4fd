//! Time as whole numbers, as the two ends have clocks of their own.

use std::time::Duration;

/// Microseconds from some moment on.
pub(super) type Micros = i64;

pub(super) const fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}

pub(super) const fn seconds(micros: Micros) -> f64 {
    micros as f64 * 1e-6
}
