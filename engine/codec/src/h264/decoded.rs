use std::time::Duration;

use visavis_types::FrameSize;

/// A decoded picture's size and time; its samples are in the buffer it was decoded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Size of the picture.
    pub size: FrameSize,
    /// The time given with the access unit the picture was in.
    pub pts: Duration,
}

/// Why an access unit gave no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is no NAL unit in the data.
    #[error("no H264 NAL unit in {0} bytes")]
    NoNalUnit(usize),
    /// The data is damaged, of a profile the decoder does not know, or refers to pictures it does
    /// not have. Decoding can go on with the next keyframe.
    #[error("H264 data cannot be decoded (state {0:#x})")]
    Corrupt(i32),
    /// The pictures have a size the engine does not work with.
    #[error("H264 pictures of {width}x{height}: sides must be even and from 16 to 4096")]
    UnsupportedSize {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A build without the cargo feature `h264`.
    #[error("no H264 decoder: this build lacks the cargo feature `h264`")]
    NotBuilt,
    /// openh264 failed. The decoder should be replaced.
    #[error("openh264 failed to {operation} (error {code})")]
    Library {
        /// What it was asked to do.
        operation: &'static str,
        /// What it answered.
        code: i64,
    },
}
