/// What [`inspect`](crate::inspect) finds in an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// Whether there is a picture in it. An H264 encoder may hand out its parameter sets alone.
    pub picture: bool,
}

/// Why data is not a bitstream of its codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitstreamError {
    /// H264 that does not begin with `00 00 01` or `00 00 00 01`: perhaps length-prefixed (AVCC).
    #[error("H264 without a start code; expected Annex B")]
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
    #[error("broken AV1 OBUs; expected OBUs that carry their sizes")]
    Av1Obu,
}
