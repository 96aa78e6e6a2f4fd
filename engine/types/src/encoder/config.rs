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
    /// Long-term references that it keeps where it is asked to, 0 by default: pictures after which it can go on where
    /// later ones were lost, without a keyframe. With one temporal layer only.
    pub references: u8,
    /// Where its pictures will lie: by default in host memory, as I420.
    pub memory: MemoryKind,
}

impl VideoEncoderConfig {
    /// One temporal layer, no long-term references, pictures in host memory.
    pub const fn new(size: FrameSize, fps: u32, bitrate: Bitrate) -> Self {
        Self { size, fps, bitrate, temporal_layers: 1, references: 0, memory: MemoryKind::I420 }
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

    /// With so many long-term references.
    #[must_use]
    pub const fn references(self, references: u8) -> Self {
        Self { references, ..self }
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
    /// Whether it, or the one before it, is to be kept as a long-term reference, where the encoder keeps any and the
    /// one kept before was [received](super::VideoEncoder::reference_received) or lost.
    pub keep_reference: bool,
    /// Whether earlier pictures were lost. This picture then refers only to the long-term reference that was received
    /// last, and later ones to nothing older than this picture except that reference. Without one it is a keyframe.
    pub recover: bool,
}

impl FrameControl {
    /// No more than its time.
    pub const fn at(pts: Duration) -> Self {
        Self { pts, keyframe: false, keep_reference: false, recover: false }
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

    /// Decodable without the pictures after the last reference that was received, if `wanted`.
    #[must_use]
    pub const fn recover(self, wanted: bool) -> Self {
        Self { recover: wanted, ..self }
    }
}

/// A long-term reference that an encoder keeps, by the number it gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
    /// The long-term reference that whoever has decoded this picture has from now on. A keyframe is one, and counts as
    /// received, where the encoder keeps any.
    pub reference: Option<ReferenceId>,
    /// The long-term reference that it refers to, where it refers to nothing else.
    pub refers_to: Option<ReferenceId>,
}

impl Encoded {
    /// A picture without data.
    pub const SKIPPED: Self =
        Self { keyframe: false, skipped: true, layers: None, reference: None, refers_to: None };

    /// A picture with data.
    pub const fn picture(keyframe: bool) -> Self {
        Self { keyframe, skipped: false, layers: None, reference: None, refers_to: None }
    }

    /// With a place among temporal layers.
    #[must_use]
    pub const fn layers(self, layers: Option<Layering>) -> Self {
        Self { layers, ..self }
    }
}
