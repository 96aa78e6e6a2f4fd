use super::sound::{Mp3Error, Mp3Sound};

/// Decodes nothing: this build lacks the cargo feature `mp3`.
#[derive(Debug, Clone, Default)]
pub struct Mp3Decoder(());

impl Mp3Decoder {
    /// Decodes nothing.
    ///
    /// # Errors
    ///
    /// [`Mp3Error::NotBuilt`].
    pub fn decode(&mut self, _data: &[u8], _out: &mut Vec<i16>) -> Result<Mp3Sound, Mp3Error> {
        Err(Mp3Error::NotBuilt)
    }
}
