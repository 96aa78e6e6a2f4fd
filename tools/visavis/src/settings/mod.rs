//! Settings in four layers: defaults, file, environment, flags.
//!
//! | file | what |
//! |---|---|
//! | `table` | every setting, defined once: key, type, default, flag, range, help |
//! | `definition` | what a definition consists of |
//! | `values` | how values are written, and read |
//! | `layers` | the four layers, one over the other |
//! | `check` | which settings go together |
//! | `example` | docs/visavis.toml, made from the table |

mod check;
mod definition;
mod error;
mod example;
mod given;
mod layers;
mod origin;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use error::SettingsError;
pub use example::example;
pub use layers::{Flags, load};
pub use table::Settings;
pub use values::NamedFile;

pub(crate) use definition::{Definition, Shape};
pub(crate) use example::wrap;
pub(crate) use given::Given;
pub(crate) use table::definitions;
