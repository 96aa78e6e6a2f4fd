//! What viewers see while nobody pushes pictures: a still picture, or a short film round and round.
//! Encoded once for each codec, rate and size, however many sessions and viewers there are.

pub(crate) mod encoder;
pub(crate) mod idle_loop;
pub(crate) mod rendition;
pub(crate) mod source;

pub use idle_loop::{IdleError, IdleLoop, IdlePicture};
