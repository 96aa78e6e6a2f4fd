//! What stands for the scaler in a build without the feature `scale`.

use visavis_types::I420Buffer;

/// Scales nothing: this build lacks the cargo feature `scale`.
#[derive(Debug, Default)]
pub struct Scaler(());

/// A picture that cannot be scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScaleError {
    /// A build without the cargo feature `scale`.
    #[error("no scaling: this build lacks the cargo feature `scale`")]
    NotBuilt,
}

impl Scaler {
    /// Scales nothing.
    ///
    /// # Errors
    ///
    /// [`ScaleError::NotBuilt`].
    pub fn cover(
        &mut self,
        _picture: &I420Buffer,
        _out: &mut I420Buffer,
    ) -> Result<(), ScaleError> {
        Err(ScaleError::NotBuilt)
    }
}
