use crate::{UnixMillis, VideoCodec};

/// One picture that the caller has encoded, borrowed for the duration of the push.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EncodedFrame<'a> {
    /// One access unit: an Annex B byte stream for H264, one frame for VP8,
    /// one frame or superframe for VP9, one temporal unit of OBUs with sizes for AV1.
    pub data: &'a [u8],
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// Whether a decoder can start here. `None`: found out from the bitstream. Default: `None`.
    pub keyframe: Option<bool>,
    /// When the picture was captured or rendered. Default: when this was made.
    pub timestamp: UnixMillis,
}

impl<'a> EncodedFrame<'a> {
    /// The largest access unit that is taken, in bytes.
    pub const MAX_BYTES: usize = 4 * 1024 * 1024;

    /// An access unit of a picture that was captured now. Nothing is looked at before it is pushed.
    #[inline]
    pub fn new(data: &'a [u8], codec: VideoCodec) -> Self {
        Self { data, codec, keyframe: None, timestamp: UnixMillis::now() }
    }

    crate::setters! {
        into keyframe: Option<bool>,
        timestamp: UnixMillis,
    }
}

/// One Opus packet (RFC 6716), or one or more whole MP3 frames, borrowed from the caller for the duration of the push.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EncodedAudio<'a> {
    /// The packet or frames, which tell themselves how long they play.
    pub data: &'a [u8],
    /// When the first sample was captured, on the clock of the video it belongs to. Default: when this was made.
    pub timestamp: UnixMillis,
}

impl<'a> EncodedAudio<'a> {
    /// Sound that was captured now. Nothing is looked at before it is pushed.
    #[inline]
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, timestamp: UnixMillis::now() }
    }

    crate::setters! {
        timestamp: UnixMillis,
    }
}
