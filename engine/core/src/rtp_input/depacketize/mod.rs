//! From RTP payloads to access units, by codec.

use str0m::format::CodecExtra;
use str0m::unversioned::{Depacketizer as _, H264Depacketizer, Vp8Depacketizer};
use visavis_types::VideoCodec;

use crate::bitstream::h264;

/// A payload that breaks the rules of its format; its access unit cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokenPayload;

/// Puts access units together.
#[derive(Debug)]
pub(super) enum Depacketizer {
    /// RFC 6184.
    H264(H264Depacketizer),
    /// RFC 7741.
    Vp8(Vp8Depacketizer),
}

impl Depacketizer {
    /// A fresh one. Make one for each access unit that follows a broken one: they hold on to
    /// unfinished fragments.
    pub(super) fn new(codec: VideoCodec) -> Self {
        match codec {
            VideoCodec::H264 => Self::H264(H264Depacketizer::default()),
            VideoCodec::Vp8 => Self::Vp8(Vp8Depacketizer::default()),
        }
    }

    /// Appends what a payload brings.
    pub(super) fn push(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), BrokenPayload> {
        let mut extra = CodecExtra::None;
        let pushed = match self {
            Self::H264(h264) => h264.depacketize(payload, unit, &mut extra),
            Self::Vp8(vp8) => vp8.depacketize(payload, unit, &mut extra),
        };
        pushed.map_err(|_| BrokenPayload)
    }

    /// Whether an access unit begins with this payload for sure, even if it is not known what was
    /// before it.
    pub(super) fn is_start(&self, payload: &[u8]) -> bool {
        match self {
            Self::H264(_) => starts_h264_unit(payload),
            // S set, partition 0 (RFC 7741 §4.2).
            Self::Vp8(_) => payload.first().is_some_and(|first| first & 0x17 == 0x10),
        }
    }
}

/// Delimiters and parameter sets come before the slices of a picture (ITU-T H.264 §7.4.1.2.3).
fn starts_h264_unit(payload: &[u8]) -> bool {
    const STAP_A: u8 = 24;
    let nal = match h264::nal_type(payload) {
        STAP_A => payload.get(3..).unwrap_or_default(),
        _ => payload,
    };
    matches!(h264::nal_type(nal), h264::DELIMITER | h264::SPS)
}
