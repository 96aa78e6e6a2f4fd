//! Reading and mending encoded pictures and packets: the one home of bitstream syntax.
//!
//! Pure data in, data out: no C library, no codec. What reads a NAL unit, an OBU, a frame header or
//! an Opus packet's first bytes, or rewrites one, does it here.
//!
//! | syntax | where |
//! |---|---|
//! | bits and Exp-Golomb codes | [`BitReader`], [`BitWriter`] |
//! | H264: NAL units, emulation prevention, parameter sets, levels, avcC | [`h264`] |
//! | AV1: OBUs and LEB128 numbers | [`av1`] |
//! | VP8 and VP9 frame headers | [`vp8`], [`vp9`] |
//! | Opus packets | [`opus`] |
//!
//! [`inspect`] answers for a whole access unit what has to be known before it is sent: whether it is
//! what it is said to be, and whether a decoder can start with it.
//!
//! ```
//! use visavis_bitstream::{BitstreamError, inspect};
//! use visavis_types::VideoCodec;
//!
//! // A start code, then the header of an IDR slice.
//! let found = inspect(VideoCodec::H264, &[0, 0, 0, 1, 0x65, 0x88])?;
//! assert!(found.keyframe && found.picture);
//! # Ok::<_, BitstreamError>(())
//! ```
#![forbid(unsafe_code)]

pub mod av1;
mod bits;
pub mod h264;
mod inspect;
mod inspection;
pub mod opus;
pub mod vp8;
pub mod vp9;

pub use bits::{BitReader, BitWriter, Malformed};
pub use inspect::inspect;
pub use inspection::{BitstreamError, Inspection};
