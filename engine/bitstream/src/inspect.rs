use visavis_types::VideoCodec;

use crate::{BitstreamError, Inspection, av1, h264, vp8, vp9};

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
