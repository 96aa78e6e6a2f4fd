use crate::{UnixMillis, VideoCodec};

/// One picture that the caller has encoded, borrowed for the duration of the push.
#[derive(Debug, Clone, Copy)]
pub struct EncodedFrame<'a> {
    /// One access unit: an Annex B byte stream for H264, one frame for VP8.
    pub data: &'a [u8],
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// Whether a decoder can start here. `None`: found out from the bitstream.
    pub keyframe: Option<bool>,
    /// When the picture was captured or rendered.
    pub timestamp: UnixMillis,
}

impl EncodedFrame<'_> {
    /// The largest access unit that is taken, in bytes.
    pub const MAX_BYTES: usize = 4 * 1024 * 1024;
}

/// One Opus packet (RFC 6716), borrowed from the caller for the duration of the push.
#[derive(Debug, Clone, Copy)]
pub struct EncodedAudio<'a> {
    /// The packet. How long it plays is told by its first byte.
    pub data: &'a [u8],
    /// When its first sample was captured, on the clock of the video it belongs to.
    pub timestamp: UnixMillis,
}
