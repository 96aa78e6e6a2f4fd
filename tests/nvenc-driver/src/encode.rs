//! The encoder inside: openh264, made to do what NVENC would be asked.

use std::time::Duration;

use visavis_codec::Encoders;
use visavis_types::encoder::{Encoded, FrameControl, I420Planes, VideoEncoder, VideoEncoderConfig};
use visavis_types::{Bitrate, FrameSize, I420Buffer, VideoCodec};

/// NV12; the other format is I420.
pub(crate) const NV12: u32 = 1;
/// I420.
pub(crate) const I420: u32 = 256;

pub(crate) struct SoftwareEncoder {
    encoder: Box<dyn VideoEncoder>,
    pub(crate) size: FrameSize,
    pub(crate) preset: u32,
    pub(crate) long_term: u32,
    pub(crate) layers: u32,
    /// What is kept in each long-term slot, with the time of the picture.
    slots: Vec<Option<Slot>>,
    /// The slot that the library would refer to, and how many pictures it has known so.
    received: Option<(usize, u32)>,
    /// A slot for which the library has not said that it keeps a picture.
    marked: Option<(usize, u64)>,
    /// The picture before must not be referred to.
    last_is_invalid: bool,
    pub(crate) last_timestamp: Option<u64>,
}

#[derive(Clone, Copy)]
struct Slot {
    timestamp: u64,
}

/// An encoded picture.
pub(crate) struct Picture {
    pub(crate) data: Vec<u8>,
    pub(crate) keyframe: bool,
    pub(crate) layer: u32,
    pub(crate) timestamp: u64,
}

/// What is wanted of one picture.
pub(crate) struct Wanted {
    pub(crate) timestamp: u64,
    pub(crate) keyframe: bool,
    pub(crate) mark: Option<u32>,
    pub(crate) refer_to: Option<u32>,
}

/// Settings.
pub(crate) struct Settings {
    pub(crate) size: FrameSize,
    pub(crate) fps: u32,
    pub(crate) bps: u32,
    pub(crate) preset: u32,
    pub(crate) long_term: u32,
    pub(crate) layers: u32,
}

impl SoftwareEncoder {
    pub(crate) fn new(settings: &Settings) -> Option<Self> {
        let &Settings { size, fps, bps, preset, long_term, layers } = settings;
        let config = VideoEncoderConfig::new(size, fps, Bitrate::from_bps(bps.into()))
            .references(if long_term > 0 { 2 } else { 0 })
            .temporal_layers(u8::try_from(layers.max(1)).ok()?);
        let encoder = Encoders::software().make(VideoCodec::H264, &config).ok()?;
        Some(Self {
            encoder,
            size,
            preset,
            long_term,
            layers,
            slots: vec![None; long_term as usize],
            received: None,
            marked: None,
            last_is_invalid: false,
            last_timestamp: None,
        })
    }

    pub(crate) fn set_rate(&mut self, bps: u32, fps: u32) -> bool {
        self.encoder.set_bitrate(Bitrate::from_bps(bps.into()));
        self.encoder.set_frame_rate(fps).is_ok()
    }

    pub(crate) fn has(&self, slot: u32) -> bool {
        let slot = slot as usize;
        self.slots.get(slot).is_some_and(Option::is_some)
            || self.marked.is_some_and(|(marked, _)| marked == slot)
    }

    /// No later picture refers to the one of this time. Whether there was one.
    pub(crate) fn invalidate(&mut self, timestamp: u64) -> bool {
        let of_slot =
            self.slots.iter_mut().find(|slot| slot.is_some_and(|s| s.timestamp == timestamp));
        let in_slot = of_slot.map(Option::take).is_some();
        let is_last = self.last_timestamp == Some(timestamp);
        self.last_is_invalid |= is_last;
        in_slot || is_last || self.last_timestamp.is_some_and(|last| timestamp < last)
    }

    pub(crate) fn encode(&mut self, picture: &I420Buffer, wanted: &Wanted) -> Option<Picture> {
        let slot = wanted.refer_to.map(|slot| slot as usize);
        let can_recover = slot.is_some_and(|slot| {
            self.slots.get(slot).is_some_and(Option::is_some)
                && self.received.is_some_and(|(received, since)| received == slot && since >= 2)
        });
        // Where nothing is left to refer to, the picture is intra coded, as NVENC's is.
        let nothing_left = (self.last_is_invalid || slot.is_some()) && !can_recover;
        let keyframe = wanted.keyframe || nothing_left;
        let control = FrameControl::at(Duration::from_micros(wanted.timestamp))
            .keyframe(keyframe)
            .keep_reference(wanted.mark.is_some() && !keyframe)
            .recover(can_recover && !keyframe);
        let mut data = Vec::new();
        let encoded = self.encoder.encode(&picture.into(), &control, &mut data).ok()?;
        self.note(&encoded, wanted);
        self.last_is_invalid = false;
        self.last_timestamp = Some(wanted.timestamp);
        let layer = encoded.layers.map_or(0, |layering| layering.layer.index().into());
        Some(Picture { data, keyframe: encoded.keyframe, layer, timestamp: wanted.timestamp })
    }

    /// What is kept after a picture.
    fn note(&mut self, encoded: &Encoded, wanted: &Wanted) {
        if let Some((_, since)) = &mut self.received {
            *since += 1;
        }
        if encoded.keyframe {
            self.slots.fill(None);
            (self.received, self.marked) = (None, None);
        }
        if let Some(slot) = wanted.mark {
            let slot = slot as usize;
            self.slots[slot] = None;
            self.marked = Some((slot, wanted.timestamp));
        }
        if let (Some(id), Some((slot, timestamp))) = (encoded.reference, self.marked) {
            self.slots[slot] = Some(Slot { timestamp });
            self.marked = None;
            // Decoders of ours have everything; which slot is usable the caller knows.
            let _ = self.encoder.reference_received(id);
            self.received = Some((slot, if encoded.keyframe { 2 } else { 0 }));
        }
    }
}

/// A picture out of memory as NVENC lays it out.
///
/// # Safety
///
/// `data` holds a picture of this size, format and pitch.
pub(crate) unsafe fn read(
    data: *const u8,
    size: FrameSize,
    format: u32,
    pitch: usize,
) -> I420Buffer {
    let (width, height) = (size.width() as usize, size.height() as usize);
    let bytes = pitch * height * 3 / 2;
    // SAFETY: the caller says so.
    let data = unsafe { std::slice::from_raw_parts(data, bytes) };
    let (luma, chroma) = data.split_at(pitch * height);
    let mut picture = I420Buffer::new(size);
    if format == I420 {
        let (u, v) = chroma.split_at(pitch / 2 * (height / 2));
        if let Ok(planes) = I420Planes::new(size, [luma, u, v], [pitch, pitch / 2]) {
            copy_planes(&planes, &mut picture);
        }
        return picture;
    }
    let [y, u, v] = picture.planes_mut();
    for (row, target) in y.chunks_mut(width).enumerate().take(height) {
        target.copy_from_slice(&luma[row * pitch..row * pitch + width]);
    }
    for row in 0..height / 2 {
        let source = &chroma[row * pitch..row * pitch + width];
        for (at, pair) in source.chunks(2).enumerate() {
            u[row * width / 2 + at] = pair[0];
            v[row * width / 2 + at] = pair[1];
        }
    }
    picture
}

fn copy_planes(planes: &I420Planes<'_>, picture: &mut I420Buffer) {
    let size = planes.size();
    let (width, height) = (size.width() as usize, size.height() as usize);
    let [luma, chroma] = planes.strides();
    let shapes =
        [(luma, width, height), (chroma, width / 2, height / 2), (chroma, width / 2, height / 2)];
    for ((source, target), (stride, width, rows)) in
        planes.planes().into_iter().zip(picture.planes_mut()).zip(shapes)
    {
        for row in 0..rows {
            target[row * width..][..width].copy_from_slice(&source[row * stride..][..width]);
        }
    }
}
