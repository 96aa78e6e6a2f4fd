//! Where the media comes from: the demo face or a file, made ahead of time by one thread and pushed
//! into the session on the beat by another.

pub mod demo;
pub mod pacer;

pub use visavis_film::{
    Item, Picture, Pool, Sound, Source, SourceError, SourceInfo, chunks, play, units,
};
