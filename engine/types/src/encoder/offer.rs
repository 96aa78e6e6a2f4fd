use std::ops::RangeInclusive;

use crate::{Bitrate, VideoCodec};

use super::config::VideoEncoderConfig;
use super::error::EncodeError;
use super::memory::MemoryKind;
use super::size::SizeLimits;

/// What an encoder can do here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncoderOffer {
    /// Sizes of pictures.
    pub sizes: SizeLimits,
    /// Target rates; others are brought to the nearest of them.
    pub bitrates: RangeInclusive<Bitrate>,
    /// Frames per second.
    pub frame_rates: RangeInclusive<u32>,
    /// The most temporal layers.
    pub temporal_layers: u8,
    /// The most long-term references that it keeps, with one temporal layer.
    pub references: u8,
    /// Where pictures may lie.
    pub memory: Vec<MemoryKind>,
}

impl EncoderOffer {
    /// All sizes that frames may have, any bitrate, 1 to 120 frames per second, one temporal layer, no
    /// long-term references, I420 in host memory.
    pub fn new() -> Self {
        Self {
            sizes: SizeLimits::ALL,
            bitrates: Bitrate::from_bps(1)..=Bitrate::from_bps(u64::MAX),
            frame_rates: 1..=120,
            temporal_layers: 1,
            references: 0,
            memory: vec![MemoryKind::I420],
        }
    }

    /// With these sizes.
    #[must_use]
    pub fn sizes(self, sizes: SizeLimits) -> Self {
        Self { sizes, ..self }
    }

    /// With these target rates.
    #[must_use]
    pub fn bitrates(self, bitrates: RangeInclusive<Bitrate>) -> Self {
        Self { bitrates, ..self }
    }

    /// With these frame rates.
    #[must_use]
    pub fn frame_rates(self, frame_rates: RangeInclusive<u32>) -> Self {
        Self { frame_rates, ..self }
    }

    /// With so many temporal layers at most.
    #[must_use]
    pub fn temporal_layers(self, temporal_layers: u8) -> Self {
        Self { temporal_layers, ..self }
    }

    /// With so many long-term references.
    #[must_use]
    pub fn references(self, references: u8) -> Self {
        Self { references, ..self }
    }

    /// With pictures in these places.
    #[must_use]
    pub fn memory(self, memory: impl Into<Vec<MemoryKind>>) -> Self {
        Self { memory: memory.into(), ..self }
    }
}

impl EncoderOffer {
    /// Whether an encoder can be made with these settings.
    ///
    /// # Errors
    ///
    /// What is out of range.
    pub fn check(&self, codec: VideoCodec, config: &VideoEncoderConfig) -> Result<(), EncodeError> {
        self.check_frame_rate(config.fps)?;
        if config.bitrate.bps() == 0 {
            return Err(EncodeError::Bitrate(config.bitrate));
        }
        self.check_temporal_layers(config.temporal_layers)?;
        self.check_references(config)?;
        if !self.memory.contains(&config.memory) {
            return Err(EncodeError::Memory(config.memory));
        }
        if !self.sizes.contains(config.size) {
            let (size, limits) = (config.size, self.sizes);
            return Err(EncodeError::UnsupportedSize { codec, size, limits });
        }
        Ok(())
    }

    /// Whether so many frames per second may come.
    ///
    /// # Errors
    ///
    /// [`EncodeError::FrameRate`].
    pub fn check_frame_rate(&self, fps: u32) -> Result<(), EncodeError> {
        let (&least, &most) = (self.frame_rates.start(), self.frame_rates.end());
        if (least..=most).contains(&fps) {
            return Ok(());
        }
        Err(EncodeError::FrameRate { fps, least, most })
    }

    fn check_references(&self, config: &VideoEncoderConfig) -> Result<(), EncodeError> {
        let (references, most) = (config.references, self.references);
        if references > most {
            return Err(EncodeError::References { references, most });
        }
        if references > 0 && config.temporal_layers > 1 {
            return Err(EncodeError::ReferencesWithLayers(config.temporal_layers));
        }
        Ok(())
    }

    /// Whether so many temporal layers can be made.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TemporalLayers`].
    pub fn check_temporal_layers(&self, layers: u8) -> Result<(), EncodeError> {
        let most = self.temporal_layers;
        if (1..=most).contains(&layers) {
            return Ok(());
        }
        Err(EncodeError::TemporalLayers { layers, most })
    }
}

impl Default for EncoderOffer {
    fn default() -> Self {
        Self::new()
    }
}
