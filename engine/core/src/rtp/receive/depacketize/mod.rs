//! From RTP payloads to access units, by codec.

mod av1;
mod broken;
mod vp9;

use str0m::format::CodecExtra;
use str0m::unversioned::{Depacketizer as _, H264Depacketizer, Vp8Depacketizer};
use visavis_bitstream::h264;
use visavis_types::VideoCodec;

use av1::Av1Depacketizer;
use broken::BrokenPayload;

/// Puts access units together.
#[derive(Debug)]
pub(super) enum Depacketizer {
    /// RFC 6184.
    H264(H264Depacketizer),
    /// RFC 7741.
    Vp8(Vp8Depacketizer),
    /// RFC 9628.
    Vp9,
    /// RTP Payload Format For AV1, version 1.0.
    Av1(Av1Depacketizer),
}

impl Depacketizer {
    /// A fresh one. Make one for each access unit that follows a broken one: they hold on to
    /// unfinished fragments.
    pub(super) fn new(codec: VideoCodec) -> Self {
        match codec {
            VideoCodec::H264 => Self::H264(H264Depacketizer::default()),
            VideoCodec::Vp8 => Self::Vp8(Vp8Depacketizer::default()),
            VideoCodec::Vp9 => Self::Vp9,
            VideoCodec::Av1 => Self::Av1(Av1Depacketizer::default()),
        }
    }

    /// Appends what a payload brings.
    pub(super) fn push(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), BrokenPayload> {
        let mut extra = CodecExtra::None;
        let pushed = match self {
            Self::H264(h264) => h264.depacketize(payload, unit, &mut extra),
            Self::Vp8(vp8) => vp8.depacketize(payload, unit, &mut extra),
            Self::Vp9 => return vp9::depacketize(payload, unit),
            Self::Av1(av1) => return av1.depacketize(payload, unit),
        };
        pushed.map_err(|_| BrokenPayload)
    }

    /// Whether an access unit begins with this payload for sure, even if it is not known what was
    /// before it.
    pub(super) fn is_start(&self, payload: &[u8]) -> bool {
        match self {
            Self::H264(_) => starts_h264_unit(payload) || is_first_h264_fragment(payload),
            // S set, partition 0 (RFC 7741 §4.2).
            Self::Vp8(_) => payload.first().is_some_and(|first| first & 0x17 == 0x10),
            Self::Vp9 => vp9::is_start(payload),
            Self::Av1(_) => av1::is_start(payload),
        }
    }
}

/// What comes before the first slice of a picture (ITU-T H.264 §7.4.1.2.3), or that slice: messages and
/// parameter sets before it may be of the unit that is lost.
fn starts_h264_unit(payload: &[u8]) -> bool {
    let nal = first_h264_unit(payload);
    matches!(h264::nal_type(nal), h264::SEI..=h264::DELIMITER | 14..=18)
        || h264::is_first_slice(nal)
}

/// Whether a payload begins in the middle of a picture: with a slice that is not its first, or with what
/// is left of a NAL unit.
pub(super) fn continues_h264_picture(payload: &[u8]) -> bool {
    if h264::nal_type(payload) == h264::FU_A {
        let Some(&header) = payload.get(1) else { return false };
        let starts = header & 0x80 != 0;
        let first_slice = payload.get(2).is_some_and(|first| first & 0x80 != 0);
        return h264::is_slice(header & h264::TYPE_MASK) && !(starts && first_slice);
    }
    let nal = first_h264_unit(payload);
    h264::is_slice(h264::nal_type(nal)) && !h264::is_first_slice(nal)
}

/// The first fragment of the first slice of a picture (RFC 6184 §5.8).
fn is_first_h264_fragment(payload: &[u8]) -> bool {
    match *payload {
        [_, header, first, ..] if h264::nal_type(payload) == h264::FU_A => {
            let is_slice = matches!(header & h264::TYPE_MASK, h264::SLICE | h264::IDR_SLICE);
            header & 0x80 != 0 && (first & 0x80 != 0 || !is_slice)
        }
        _ => false,
    }
}

/// The NAL unit that a payload is, or the first of those in it.
fn first_h264_unit(payload: &[u8]) -> &[u8] {
    match h264::nal_type(payload) {
        h264::STAP_A => payload.get(3..).unwrap_or_default(),
        _ => payload,
    }
}
