use crate::{Bitrate, FrameSize, VideoCodec};

use super::memory::MemoryKind;
use super::size::SizeLimits;

/// Why a maker makes no encoder here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// Left out of this build.
    #[error("this build lacks the cargo feature `{feature}`")]
    NotBuilt {
        /// The cargo feature it comes with.
        feature: &'static str,
    },
    /// No maker in the list is for this codec.
    #[error("no encoder is known for it")]
    Unknown,
    /// A library that is loaded while running is not installed.
    #[error("the library {library} is missing")]
    MissingLibrary {
        /// Its file name.
        library: &'static str,
    },
    /// The hardware it needs is not there.
    #[error("there is no {device}")]
    NoDevice {
        /// What is needed, such as "NVIDIA GPU".
        device: &'static str,
    },
    /// The hardware is there, and cannot encode this codec.
    #[error("the {device} has no such encoder")]
    NotByDevice {
        /// What was asked.
        device: &'static str,
    },
}

/// Why there is no encoder, or no encoded picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No maker in the list makes an encoder for this codec. Its pictures can be sent on where they come
    /// encoded.
    #[error("no {codec} encoder: {reason}")]
    NoEncoder {
        /// The codec asked for.
        codec: VideoCodec,
        /// What the most preferred maker for it says.
        reason: Unavailable,
    },
    /// No encoder for the codec takes pictures of this size.
    #[error("invalid size {size} for {codec}; expected {limits}")]
    UnsupportedSize {
        /// The codec asked for.
        codec: VideoCodec,
        /// The size asked for.
        size: FrameSize,
        /// The sizes the most preferred encoder takes.
        limits: SizeLimits,
    },
    /// Frames per second out of range.
    #[error("invalid frame rate {fps}; expected {least} to {most}")]
    FrameRate {
        /// The rate asked for.
        fps: u32,
        /// The lowest rate.
        least: u32,
        /// The highest rate.
        most: u32,
    },
    /// A bitrate of zero.
    #[error("invalid video bitrate {0}; expected more than 0")]
    Bitrate(Bitrate),
    /// More temporal layers than the encoder makes, or none.
    #[error("invalid number of temporal layers {layers}; expected 1 to {most}")]
    TemporalLayers {
        /// The number asked for.
        layers: u8,
        /// The most it makes.
        most: u8,
    },
    /// More long-term references than the encoder keeps.
    #[error("invalid number of long-term references {references}; expected 0 to {most}")]
    References {
        /// The number asked for.
        references: u8,
        /// The most it keeps.
        most: u8,
    },
    /// Long-term references are kept with one temporal layer only.
    #[error("invalid number of temporal layers {0}; expected 1 with long-term references")]
    ReferencesWithLayers(u8),
    /// The picture is not of the encoder's size.
    #[error("invalid picture size {actual}; expected {expected}")]
    WrongSize {
        /// The encoder's size.
        expected: FrameSize,
        /// The picture's size.
        actual: FrameSize,
    },
    /// The picture lies where the encoder does not take it from.
    #[error("this encoder takes no pictures in {0}")]
    Memory(MemoryKind),
    /// The encoder keeps no long-term references.
    #[error("this encoder keeps no long-term references")]
    NoReferences,
    /// The library refused. The encoder should be replaced.
    #[error("{library} failed to {operation}: {detail}")]
    Library {
        /// Its name.
        library: &'static str,
        /// What it was asked to do.
        operation: &'static str,
        /// What it answered.
        detail: String,
    },
}
