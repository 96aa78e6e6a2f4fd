use std::time::Duration;

use crate::{Bitrate, FrameSize, Layering};

use super::memory::MemoryKind;

/// Settings of a video encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoEncoderConfig {
    /// Size of every picture; another size wants a new encoder.
    pub size: FrameSize,
    /// Frames per second that will come: shares the bitrate out among frames. 1 to 120.
    pub fps: u32,
    /// Target rate, of all layers together. More than zero.
    pub bitrate: Bitrate,
    /// Temporal layers, 1 by default: each more than the first can be left out, and halves the frame rate so.
    pub temporal_layers: u8,
    /// Where its pictures will lie: by default in host memory, as I420.
    pub memory: MemoryKind,
}

impl VideoEncoderConfig {
    /// One temporal layer, pictures in host memory.
    pub const fn new(size: FrameSize, fps: u32, bitrate: Bitrate) -> Self {
        Self { size, fps, bitrate, temporal_layers: 1, memory: MemoryKind::I420 }
    }

    /// With so many frames per second.
    #[must_use]
    pub const fn fps(self, fps: u32) -> Self {
        Self { fps, ..self }
    }

    /// With so many temporal layers.
    #[must_use]
    pub const fn temporal_layers(self, temporal_layers: u8) -> Self {
        Self { temporal_layers, ..self }
    }

    /// With pictures that lie there.
    #[must_use]
    pub const fn memory(self, memory: MemoryKind) -> Self {
        Self { memory, ..self }
    }
}

/// What is wanted of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameControl {
    /// Its capture time since any fixed moment. Only differences count, for rate control; they need not be
    /// regular.
    pub pts: Duration,
    /// Whether it is to be a keyframe. The first one is, whatever this says.
    pub keyframe: bool,
    /// Whether it is to be kept as a long-term reference, where the encoder keeps any.
    pub keep_reference: bool,
}

impl FrameControl {
    /// No more than its time.
    pub const fn at(pts: Duration) -> Self {
        Self { pts, keyframe: false, keep_reference: false }
    }

    /// A keyframe if `wanted`.
    #[must_use]
    pub const fn keyframe(self, wanted: bool) -> Self {
        Self { keyframe: wanted, ..self }
    }

    /// Kept as a long-term reference if `wanted`.
    #[must_use]
    pub const fn keep_reference(self, wanted: bool) -> Self {
        Self { keep_reference: wanted, ..self }
    }
}

/// A long-term reference that an encoder keeps, by the number it gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReferenceId(pub u32);

/// What became of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Encoded {
    /// A decoder can start here.
    pub keyframe: bool,
    /// The encoder produced no data for this picture.
    pub skipped: bool,
    /// Its place among temporal layers. `None` where there is one layer.
    pub layers: Option<Layering>,
    /// Under which number it is kept, if it was to be kept and is.
    pub reference: Option<ReferenceId>,
}

impl Encoded {
    /// A picture without data.
    pub const SKIPPED: Self =
        Self { keyframe: false, skipped: true, layers: None, reference: None };

    /// A picture with data.
    pub const fn picture(keyframe: bool) -> Self {
        Self { keyframe, skipped: false, layers: None, reference: None }
    }

    /// With a place among temporal layers.
    #[must_use]
    pub const fn layers(self, layers: Option<Layering>) -> Self {
        Self { layers, ..self }
    }
}
