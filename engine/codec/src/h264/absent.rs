use std::time::Duration;

use super::decoded::{DecodeError, Decoded};
use crate::matrix::StreamColors;
use visavis_types::I420Buffer;

/// Decodes nothing: this build lacks the cargo feature `h264`.
#[derive(Debug)]
pub enum H264Decoder {}

impl H264Decoder {
    /// Makes none.
    ///
    /// # Errors
    ///
    /// [`DecodeError::NotBuilt`].
    pub fn new() -> Result<Self, DecodeError> {
        Err(DecodeError::NotBuilt)
    }

    /// There is none to call this on.
    ///
    /// # Errors
    ///
    /// None.
    pub fn decode(
        &mut self,
        _access_unit: &[u8],
        _pts: Duration,
        _out: &mut I420Buffer,
    ) -> Result<Option<Decoded>, DecodeError> {
        match *self {}
    }

    /// There is none to call this on.
    pub fn colors(&self) -> StreamColors {
        match *self {}
    }

    /// There is none to call this on.
    ///
    /// # Errors
    ///
    /// None.
    pub fn flush(&mut self, _out: &mut I420Buffer) -> Result<Option<Decoded>, DecodeError> {
        match *self {}
    }
}
