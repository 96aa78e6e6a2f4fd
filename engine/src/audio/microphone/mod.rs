//! The viewers' microphones. A packet comes from a media loop as a [`MicEvent`](microphones::MicEvent), is put in
//! order and decoded ([`Microphones`](microphones::Microphones)), and goes to the application as a [`MicChunk`]
//! ([`Output`](output::Output)); what is found in it goes there as an event.

mod allowance;
mod chunk;
mod decode;
pub(crate) mod microphones;
pub(crate) mod output;
pub(crate) mod reader;
mod voice_activity;

pub use chunk::MicChunk;
