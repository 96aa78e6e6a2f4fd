//! The bundled clip the demo face speaks.

use std::time::Duration;

/// Spoken with a free synthesiser; see `fixtures/README.md`.
static CLIP: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/speech.wav"));

/// Mono speech in memory.
#[derive(Debug)]
pub struct Speech {
    samples: Vec<i16>,
    rate_hz: u32,
}

impl Speech {
    /// The clip that is part of the program.
    ///
    /// # Errors
    ///
    /// The clip cannot be read, which a test rules out.
    pub fn bundled() -> Result<Self, hound::Error> {
        let mut reader = hound::WavReader::new(CLIP)?;
        let rate_hz = reader.spec().sample_rate;
        let samples = reader.samples().collect::<Result<_, _>>()?;
        Ok(Self { samples, rate_hz })
    }

    /// Mono.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate_hz))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_is_speech_of_a_sensible_length_and_level() {
        let speech = Speech::bundled().unwrap();
        assert_eq!(speech.rate_hz(), 24_000);
        assert!((10..=20).contains(&speech.duration().as_secs()));
        let peak = speech.samples().iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((16_000..32_000).contains(&peak), "{peak}");
    }
}
