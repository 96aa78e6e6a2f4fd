//! The way of a picture that the caller has encoded.

pub(crate) mod sink;

pub(crate) use sink::EncodedVideoSink;
