use std::sync::Arc;
use std::time::Instant;

use crate::{AudioCodec, AudioRenditionSet, Layering, RenditionId, Stamps};

/// One encoded picture.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// Of which rendition.
    pub rendition: RenditionId,
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// Its place among temporal layers. `None` where the rendition has one layer.
    pub layers: Option<Layering>,
    /// As [`EncodedFrame::data`](crate::EncodedFrame::data).
    pub data: Vec<u8>,
    /// When the picture was captured, on the monotonic clock all media share.
    pub captured: Instant,
    /// Where its time went so far.
    pub stamps: Stamps,
}

/// One encoded piece of sound.
#[derive(Debug, Clone)]
pub struct AudioPacket {
    /// What it is encoded with.
    pub codec: AudioCodec,
    /// Whom it is for: viewers that are sent one of these.
    pub renditions: AudioRenditionSet,
    /// An Opus packet (RFC 6716), or samples of G.711; shared by all viewers.
    pub data: Arc<[u8]>,
    /// RTP time of its first sample, at the codec's [clock rate](AudioCodec::clock_hz).
    pub rtp_time: u32,
    /// When its first sample was captured, on the monotonic clock all media share.
    pub captured: Instant,
    /// Whether sound begins here after silence: becomes the RTP marker bit (RFC 3551 §4.1).
    pub talkspurt: bool,
}
