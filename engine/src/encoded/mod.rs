//! The way of a picture that the caller has encoded.

mod sink;

pub use sink::EncodedVideoSink;
