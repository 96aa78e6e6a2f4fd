//! Where settings come from, for errors.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a setting was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}

/// Where each setting was set last; those that have their defaults are not in it.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    pub(super) fn note(&mut self, key: &'static str, origin: Origin) {
        self.0.insert(key, origin);
    }

    /// The setting, and where it was set.
    pub(super) fn of(&self, key: &str) -> String {
        match self.0.get(key) {
            Some(origin) => format!("`{key}` ({origin})"),
            None => format!("`{key}`"),
        }
    }
}
