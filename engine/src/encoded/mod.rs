//! The way of a picture that the caller has encoded.

mod parameter_sets;
mod sink;

pub use sink::EncodedVideoSink;
