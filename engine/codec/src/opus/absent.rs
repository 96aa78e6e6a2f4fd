//! Encoder and decoder of a build without libopus: they say so when they are asked for anything. Packets that
//! come encoded need neither.

use visavis_types::Bitrate;

use super::config::{DECODER_RATES_HZ, OpusEncoderConfig, OpusError};

/// Encodes nothing: this build lacks the cargo feature `opus`.
#[derive(Debug)]
pub struct OpusEncoder(());

impl OpusEncoder {
    /// Whether this build has one.
    pub const IS_BUILT: bool = false;

    /// Makes one, which a session has whether or not it is needed.
    ///
    /// # Errors
    ///
    /// None.
    pub fn new(_config: &OpusEncoderConfig) -> Result<Self, OpusError> {
        Ok(Self(()))
    }

    /// Encodes nothing.
    ///
    /// # Errors
    ///
    /// [`OpusError::NotBuilt`].
    pub fn encode(&mut self, _samples: &[i16], _out: &mut Vec<u8>) -> Result<usize, OpusError> {
        Err(OpusError::NotBuilt)
    }

    /// Takes over from another that does not encode either.
    ///
    /// # Errors
    ///
    /// None.
    pub fn take_over(&mut self, _before: &[i16]) -> Result<(), OpusError> {
        Ok(())
    }

    /// Has no effect.
    ///
    /// # Errors
    ///
    /// None.
    pub fn set_bitrate(&mut self, _bitrate: Bitrate) -> Result<(), OpusError> {
        Ok(())
    }

    /// Has no effect.
    ///
    /// # Errors
    ///
    /// None.
    pub fn set_fec(&mut self, _fec: bool) -> Result<(), OpusError> {
        Ok(())
    }

    /// None.
    pub fn lookahead(&self) -> u32 {
        0
    }
}

/// Decodes nothing: this build lacks the cargo feature `opus`.
#[derive(Debug)]
pub enum OpusDecoder {}

impl OpusDecoder {
    /// The rates it would decode to.
    pub const SAMPLE_RATES_HZ: [u32; 5] = DECODER_RATES_HZ;

    /// Makes none.
    ///
    /// # Errors
    ///
    /// [`OpusError::NotBuilt`].
    pub fn new(_sample_rate: u32, _channels: u16) -> Result<Self, OpusError> {
        Err(OpusError::NotBuilt)
    }

    /// There is none to call this on.
    ///
    /// # Errors
    ///
    /// None.
    pub fn decode(&mut self, _packet: &[u8], _out: &mut Vec<i16>) -> Result<usize, OpusError> {
        match *self {}
    }

    /// There is none to call this on.
    ///
    /// # Errors
    ///
    /// None.
    pub fn conceal(&mut self, _samples: usize, _out: &mut Vec<i16>) -> Result<usize, OpusError> {
        match *self {}
    }

    /// There is none to call this on.
    ///
    /// # Errors
    ///
    /// None.
    pub fn recover(
        &mut self,
        _next: &[u8],
        _samples: usize,
        _out: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        match *self {}
    }

    /// There is none to call this on.
    ///
    /// # Errors
    ///
    /// None.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        match *self {}
    }
}
