//! Settings in four layers: defaults, file, environment, flags.

mod check;
mod fields;
mod layers;
#[cfg(test)]
mod tests;
mod values;

pub use check::SettingsError;
pub use fields::Settings;
pub use layers::load;
pub use values::NamedFile;
pub(crate) use values::{size_text, texts};
