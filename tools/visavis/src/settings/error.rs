/// Settings that cannot be used, in one sentence: which, where it was set, its value, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}
