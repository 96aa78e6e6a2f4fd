//! The way of sound from the caller to the Opus packet.

mod audio_loop;
mod pacer;
mod sink;

pub(crate) use audio_loop::{AudioCommand, AudioLoop, AudioSource};
pub use sink::AudioSink;

use std::time::Instant;

/// Samples a second inside the engine.
pub(crate) const SAMPLE_RATE_HZ: u32 = 48_000;

/// A chunk on its way to the audio loop.
#[derive(Debug)]
pub(crate) struct AudioBlock {
    /// Interleaved.
    pub(crate) samples: Vec<i16>,
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    /// When its first sample was captured.
    pub(crate) captured: Instant,
}
