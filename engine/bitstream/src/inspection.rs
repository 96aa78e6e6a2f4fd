use visavis_types::VideoCodec;

use crate::{av1, h264, vp8, vp9};

/// What a look at an access unit tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// Whether there is a picture in it. An H264 encoder may hand out its parameter sets alone.
    pub picture: bool,
}

/// Why a bitstream is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitstreamError {
    /// H264 that does not begin with `00 00 01` or `00 00 00 01`: perhaps length-prefixed (AVCC).
    #[error("H264 without a start code; Annex B is what is wanted")]
    NoStartCode,
    /// An H264 NAL unit with an impossible header.
    #[error("an H264 NAL unit with the header {0:#04x}")]
    NalHeader(u8),
    /// Start codes, and nothing behind them.
    #[error("H264 without a NAL unit")]
    NoNalUnit,
    /// A VP8 frame tag or keyframe header that cannot be (RFC 6386 §9.1).
    #[error("a broken VP8 frame header")]
    Vp8Header,
    /// A VP9 frame header that cannot be (VP9 bitstream specification §6.2).
    #[error("a broken VP9 frame header")]
    Vp9Header,
    /// AV1 OBUs that do not fit into one another, or lack their sizes (AV1 specification §5.3).
    #[error("broken AV1 OBUs; OBUs with sizes are what is wanted")]
    Av1Obu,
}

/// Looks at one access unit.
///
/// # Errors
///
/// When it cannot be a bitstream of this codec.
pub fn inspect(codec: VideoCodec, data: &[u8]) -> Result<Inspection, BitstreamError> {
    match codec {
        VideoCodec::H264 => h264::inspect(data),
        VideoCodec::Vp8 => vp8::inspect(data),
        VideoCodec::Vp9 => vp9::inspect(data),
        VideoCodec::Av1 => av1::inspect(data),
    }
}
