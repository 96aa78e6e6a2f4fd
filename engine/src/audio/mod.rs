//! The way of sound from the caller to the Opus packet, and of microphones to the caller.

pub(crate) mod audio_loop;
pub(crate) mod block;
mod drift;
mod encoders;
mod fade;
pub(crate) mod microphone;
mod opus_queue;
mod opus_streams;
mod pacer;
pub(crate) mod queue;
pub(crate) mod sink;
mod sound;
pub(crate) mod source;
mod speech;

pub use microphone::{MicChunk, Microphone};
pub use sink::AudioSink;
