//! From access unit to RTP payloads, once for all viewers.
//!
//! Every viewer's packets are made from one copy of the payloads. All fragments of an
//! access unit have the same length, give or take a byte, and only the last may be shorter: after encryption they
//! are a row of equal datagrams, which the kernel takes as one GSO send.

mod av1;
mod h264;
mod payloads;
mod red;
mod vp8;
mod vp9;

use std::sync::Arc;
use std::time::Instant;

use visavis_types::{AccessUnit, Layering, RenditionId, Stage, Stamps, VideoCodec};

pub use payloads::{MAX_PAYLOAD_BYTES, Payloads};
pub(crate) use red::Redundancy;

/// A row of RTP payloads, shared by all viewers.
#[derive(Debug, Clone)]
pub struct PacketizedFrame {
    /// Of which rendition.
    pub rendition: RenditionId,
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// Its place among temporal layers. `None` where the rendition has one layer.
    pub layers: Option<Layering>,
    /// RTP payloads in order; the marker bit goes on the last.
    pub payloads: Arc<Payloads>,
    /// When the picture was captured.
    pub captured: Instant,
    /// Where its time went so far.
    pub stamps: Stamps,
}

/// Turns the access units of one rendition into RTP payloads.
#[derive(Debug)]
pub struct Packetizer(Format);

/// The payload format, with what it counts.
#[derive(Debug)]
enum Format {
    /// RFC 6184, packetization-mode 1.
    H264,
    /// RFC 7741.
    Vp8(vp8::Numbering),
    /// RFC 9628: non-flexible mode where there is one layer, else flexible mode.
    Vp9(vp8::PictureId),
    /// RTP Payload Format For AV1, version 1.0.
    Av1,
}

impl Packetizer {
    /// A packetizer for one rendition.
    pub fn new(codec: VideoCodec) -> Self {
        Self(match codec {
            VideoCodec::H264 => Format::H264,
            VideoCodec::Vp8 => Format::Vp8(vp8::Numbering::default()),
            VideoCodec::Vp9 => Format::Vp9(vp8::PictureId::default()),
            VideoCodec::Av1 => Format::Av1,
        })
    }

    /// Packetizes one access unit. An empty one gives no payloads.
    pub fn packetize(
        &mut self,
        unit: &AccessUnit,
        now: impl FnOnce() -> Instant,
    ) -> PacketizedFrame {
        let payloads = self.payloads(&unit.data, unit.keyframe, unit.layers);
        let mut stamps = unit.stamps;
        stamps.set(Stage::Packetized, now());
        PacketizedFrame {
            rendition: unit.rendition,
            keyframe: unit.keyframe,
            layers: unit.layers,
            payloads: Arc::new(payloads),
            captured: unit.captured,
            stamps,
        }
    }

    /// The payloads of one access unit, of whatever session.
    pub fn payloads(&mut self, unit: &[u8], keyframe: bool, layers: Option<Layering>) -> Payloads {
        let most = unit.len() / MAX_PAYLOAD_BYTES + 4;
        // A few bytes of payload header each.
        let mut payloads = Payloads::with_capacity(most, unit.len() + 8 * most);
        match &mut self.0 {
            Format::H264 => h264::packetize(unit, MAX_PAYLOAD_BYTES, &mut payloads),
            Format::Vp8(numbering) => {
                vp8::packetize(unit, numbering, layers, MAX_PAYLOAD_BYTES, &mut payloads);
            }
            Format::Vp9(picture_id) => {
                let place = (picture_id.next(), keyframe, layers);
                vp9::packetize(unit, place, MAX_PAYLOAD_BYTES, &mut payloads);
            }
            Format::Av1 => av1::packetize(unit, keyframe, MAX_PAYLOAD_BYTES, &mut payloads),
        }
        payloads
    }
}
