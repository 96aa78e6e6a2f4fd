//! The way of sound from the caller to the Opus packet, and of microphones to the caller.

mod audio_loop;
mod drift;
mod encoders;
mod microphone;
mod opus_queue;
mod pacer;
mod sink;
mod source;

pub(crate) use audio_loop::{AudioCommand, AudioLoop};
pub use microphone::{MicChunk, Microphone};
pub(crate) use microphone::{MicEvent, Microphones};
pub use sink::AudioSink;
pub(crate) use source::AudioSource;

use std::sync::Arc;
use std::time::Instant;

/// Samples a second inside the engine.
pub(crate) const SAMPLE_RATE_HZ: u32 = 48_000;

/// What is on its way to the audio loop. A session's sound is one or the other.
#[derive(Debug)]
pub(crate) enum AudioBlock {
    Pcm(PcmBlock),
    Opus(OpusBlock),
}

/// A chunk of samples.
#[derive(Debug)]
pub(crate) struct PcmBlock {
    /// Interleaved.
    pub(crate) samples: Vec<i16>,
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    /// When its first sample was captured.
    pub(crate) captured: Instant,
}

/// An Opus packet.
#[derive(Debug, Clone)]
pub(crate) struct OpusBlock {
    pub(crate) data: Arc<[u8]>,
    /// How long it plays, in samples at 48 kHz.
    pub(crate) samples: u32,
    /// When its first sample was captured.
    pub(crate) captured: Instant,
    pub(crate) timing: OpusTiming,
}

/// When an Opus packet is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpusTiming {
    /// When those before it have been played: its caller may push faster than real time.
    Paced,
    /// At once: its sender keeps time. The sender's clock counts so many samples since the packet
    /// before, if there was one.
    Live { step: Option<u32> },
}
