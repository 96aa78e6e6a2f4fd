//! A value before it is read, and why it cannot be.

/// A value as it was given.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// One text, from the environment or a flag.
    Text(String),
    /// The items of a list, from flags.
    Texts(Vec<String>),
    /// What a settings file has.
    Toml(toml::Value),
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The value, as it was given.
    pub(super) value: String,
    /// What is wrong with it, or what is expected instead.
    pub(crate) reason: String,
}

impl Invalid {
    pub(super) fn new(value: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        Self { value: value.to_string(), reason: reason.into() }
    }
}
