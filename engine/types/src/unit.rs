use std::sync::Arc;
use std::time::Instant;

use crate::{Stamps, VideoCodec};

/// One encoded picture.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// As [`EncodedFrame::data`](crate::EncodedFrame::data).
    pub data: Vec<u8>,
    /// When the picture was captured, on the monotonic clock all media share.
    pub captured: Instant,
    /// Where its time went so far.
    pub stamps: Stamps,
}

/// One Opus packet.
#[derive(Debug, Clone)]
pub struct OpusPacket {
    /// The packet (RFC 6716), shared by all viewers.
    pub data: Arc<[u8]>,
    /// RTP time of its first sample, in units of 1/48000 s (RFC 7587 §4.1).
    pub rtp_time: u32,
    /// When its first sample was captured, on the monotonic clock all media share.
    pub captured: Instant,
    /// Whether sound begins here after silence: becomes the RTP marker bit (RFC 3551 §4.1).
    pub talkspurt: bool,
}
