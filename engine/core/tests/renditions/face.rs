//! What is pushed into a session: pictures of several renditions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_core::{HubEvent, PacketizedFrame, Packetizer, PictureStatus};
use visavis_types::{Layering, RenditionId, RenditionSet, Rung, Stamps, TemporalLayer, VideoCodec};

use crate::LAYER_1;
use crate::common::{MS, World};

/// One rendition's encoder.
pub(crate) struct Encoder {
    pub(crate) id: RenditionId,
    packetizer: Packetizer,
    /// Its next picture is a keyframe.
    pub(crate) makes_keyframe: bool,
    bytes: usize,
    /// More than so many are not of use to its picture.
    pub(crate) most: usize,
    /// Keyframes are so many times larger.
    pub(crate) keyframe: usize,
    /// Every second picture is of layer 1, and refers to the one before it alone.
    is_layered: bool,
    /// Its pictures come so many after those of the others.
    pub(crate) delay: usize,
}

/// A session's encoders, which do what the hub asks for.
pub(crate) struct Face {
    pub(crate) encoders: Vec<Encoder>,
    pub(crate) active: RenditionSet,
    pub(crate) picture: u32,
    /// When each picture was captured.
    pub(crate) captured: Vec<Instant>,
    pub(crate) interval: Duration,
    /// Which were asked for a keyframe.
    pub(crate) asked: Vec<RenditionId>,
    /// What viewers got when that changed, and whether their networks are why.
    pub(crate) told: Vec<(PictureStatus, bool)>,
}

impl Face {
    /// Of a rendition for each of these sizes, the lowest first.
    pub(crate) fn new(world: &World, codec: VideoCodec, is_layered: bool, sizes: &[usize]) -> Self {
        let rung = |index| Rung::new(index).unwrap();
        let encoder = |(index, &bytes): (usize, &usize)| Encoder {
            id: RenditionId { session: world.number, codec, rung: rung(index as u8) },
            packetizer: Packetizer::new(codec),
            makes_keyframe: true,
            bytes,
            most: usize::MAX,
            keyframe: 1,
            is_layered,
            delay: 0,
        };
        Self {
            encoders: sizes.iter().enumerate().map(encoder).collect(),
            active: RenditionSet::EMPTY,
            picture: 0,
            captured: Vec::new(),
            interval: 33 * MS,
            asked: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn renditions(&self) -> RenditionSet {
        self.encoders.iter().map(|encoder| encoder.id).fold(RenditionSet::EMPTY, RenditionSet::with)
    }

    pub(crate) fn handle_events(&mut self, world: &mut World) {
        for event in world.events.drain(..) {
            match event {
                HubEvent::ActiveRenditions { video, .. } => self.active = video,
                HubEvent::KeyframeWanted { rendition, .. } => {
                    self.asked.push(rendition);
                    let all = self.encoders.iter_mut();
                    all.filter(|encoder| encoder.id == rendition)
                        .for_each(|encoder| encoder.makes_keyframe = true);
                }
                HubEvent::PictureChanged { picture, is_limited, .. } => {
                    self.told.push((picture, is_limited));
                }
                HubEvent::BitrateWanted { rendition, bitrate, .. } => {
                    let all = self.encoders.iter_mut();
                    // Headers are not of the pictures.
                    let bytes = bitrate.bps() as f64 * self.interval.as_secs_f64() / 8.0;
                    all.filter(|encoder| encoder.id == rendition)
                        .for_each(|encoder| encoder.bytes = bytes as usize);
                }
                _ => {}
            }
        }
    }

    /// One picture of each rendition that is in use, and the time up to the next.
    pub(crate) fn run(&mut self, world: &mut World, pictures: usize) {
        for _ in 0..pictures {
            self.handle_events(world);
            self.captured.push(world.now);
            for encoder in self.encoders.iter_mut().filter(|e| self.active.contains(e.id)) {
                let Some(picture) = self.picture.checked_sub(encoder.delay as u32) else {
                    continue;
                };
                let captured = self.captured[picture as usize];
                let frame = PacketizedFrame { captured, ..encoder.encode(picture, world) };
                world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
            }
            self.picture += 1;
            world.run(self.interval);
        }
    }
}

impl Encoder {
    pub(crate) fn encode(&mut self, picture: u32, world: &World) -> PacketizedFrame {
        let keyframe = std::mem::take(&mut self.makes_keyframe);
        let upper = picture % 2 == 1 && !keyframe;
        let layer = if upper { LAYER_1 } else { TemporalLayer::BASE };
        let layers =
            Layering { layer, sync: upper, refers_back: [if upper { 1 } else { 2 }, 0, 0] };
        let layers = self.is_layered.then_some(layers);
        let [a, b, c, d] = picture.to_be_bytes();
        let mut data = vec![self.id.rung.index() as u8, a, b, c, d, layer.index(), keyframe.into()];
        data.resize(self.bytes.min(self.most) * if keyframe { self.keyframe } else { 1 }, 0x55);
        let payloads = match self.id.codec {
            // Bare: what H264 packets begin with says nothing of order.
            VideoCodec::H264 => data.chunks(1_000).map(|piece| [&[0x41], piece].concat()).collect(),
            _ => self.packetizer.payloads(&data, keyframe, layers),
        };
        PacketizedFrame {
            rendition: self.id,
            keyframe,
            layers,
            payloads: Arc::new(payloads),
            captured: world.now,
            stamps: Stamps::pushed(world.now),
        }
    }
}
