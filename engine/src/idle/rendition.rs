//! An idle loop encoded with one codec.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use visavis_codec::{ColorMatrix, Encoders, ScaleError, Scaler, recolour};
use visavis_core::{Packetizer, Payloads};
use visavis_types::encoder::{EncodeError, FrameControl, VideoEncoder, VideoEncoderConfig};
use visavis_types::{Bitrate, FrameSize, I420Buffer, Layering, VideoCodec};

use crate::video::ladder::Scale;

/// An idle loop as access units, in groups that each begin with a keyframe. It can be shown from the first
/// group on, while the others are still being made.
#[derive(Debug)]
pub(crate) struct IdleRendition {
    pub(super) format: IdleFormat,
    fps: u32,
    gop: usize,
    groups: ArcSwap<Vec<Group>>,
    complete: AtomicBool,
}

/// How an idle loop is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdleFormat {
    pub(crate) codec: VideoCodec,
    pub(crate) bitrate: Bitrate,
    /// `None` for that of its pictures.
    pub(crate) size: Option<FrameSize>,
    /// What is made of that.
    pub(crate) scale: Scale,
}

/// Pictures from one keyframe up to the next.
type Group = Arc<Vec<IdleUnit>>;

/// One picture.
#[derive(Debug)]
pub(crate) struct IdleUnit {
    pub(crate) content: Content,
    pub(crate) keyframe: bool,
    pub(crate) layers: Option<Layering>,
}

/// A picture as far as it can be made ready.
#[derive(Debug)]
pub(crate) enum Content {
    /// RTP payloads, the same in every stream: all viewers of all sessions share them.
    Payloads(Arc<Payloads>),
    /// An access unit; its payloads number the pictures of the stream they are in.
    Unit(Vec<u8>),
    /// The encoder had no output.
    Nothing,
}

impl IdleRendition {
    pub(super) fn new(format: IdleFormat, fps: u32, gop: usize) -> Self {
        let (groups, complete) = (ArcSwap::default(), AtomicBool::new(false));
        Self { format, fps, gop: gop.max(1), groups, complete }
    }

    /// Groups that can be shown.
    pub(crate) fn len(&self) -> usize {
        self.groups.load().len()
    }

    /// Whether there are no more to come.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Relaxed)
    }

    /// A group, if it is made already.
    pub(crate) fn group(&self, index: usize) -> Option<Group> {
        self.groups.load().get(index).cloned()
    }

    /// There are no more to come.
    pub(super) fn complete(&self) {
        self.complete.store(true, Relaxed);
    }

    fn publish(&self, group: Vec<IdleUnit>) {
        let mut groups = Vec::clone(&self.groups.load());
        groups.push(Arc::new(group));
        self.groups.store(Arc::new(groups));
    }
}

/// A loop that is being encoded, group by group.
pub(super) struct Making {
    rendition: Arc<IdleRendition>,
    pictures: Box<dyn Iterator<Item = I420Buffer> + Send>,
    number: u32,
    camera: Camera,
}

impl Making {
    pub(super) fn new(
        rendition: Arc<IdleRendition>,
        encoders: Encoders,
        pictures: impl Iterator<Item = I420Buffer> + Send + 'static,
    ) -> Self {
        let camera = Camera {
            format: rendition.format,
            fps: rendition.fps,
            encoders,
            encoder: None,
            scaler: Scaler::default(),
            scaled: None,
            recoloured: None,
        };
        Self { rendition, pictures: Box::new(pictures), number: 0, camera }
    }

    /// Whether nobody wants it any more: all sessions that did have ended, or show something else.
    fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.rendition) == 1
    }

    /// Encodes the next group, which can be shown from then on; false when there are no more.
    pub(super) fn group(&mut self) -> bool {
        let mut group: Vec<IdleUnit> = Vec::with_capacity(self.rendition.gop);
        while group.len() < self.rendition.gop {
            if self.is_abandoned() {
                return false;
            }
            let Some(picture) = self.pictures.next() else { break };
            let at = Duration::from_secs(1) * self.number / self.rendition.fps;
            self.number += 1;
            match self.camera.take(&picture, group.is_empty(), at) {
                Ok(unit) => group.push(unit),
                Err(error) => {
                    let codec = self.rendition.format.codec;
                    tracing::error!(%codec, %error, "an idle loop is not encoded");
                    self.pictures = Box::new(std::iter::empty());
                }
            }
        }
        let more = group.len() == self.rendition.gop;
        if !group.is_empty() {
            self.rendition.publish(group);
        }
        more
    }

    pub(super) fn rendition(&self) -> &Arc<IdleRendition> {
        &self.rendition
    }
}

struct Camera {
    format: IdleFormat,
    fps: u32,
    encoders: Encoders,
    encoder: Option<(FrameSize, Box<dyn VideoEncoder>)>,
    scaler: Scaler,
    scaled: Option<I420Buffer>,
    recoloured: Option<I420Buffer>,
}

#[derive(Debug, thiserror::Error)]
enum CameraError {
    #[error(transparent)]
    Scale(#[from] ScaleError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Camera {
    fn take(
        &mut self,
        picture: &I420Buffer,
        keyframe: bool,
        at: Duration,
    ) -> Result<IdleUnit, CameraError> {
        let IdleFormat { codec, bitrate, size, scale } = self.format;
        let own = picture.size();
        let size = scale.of(size.unwrap_or(own));
        // Larger ones are shown smaller.
        let size = self.encoders.encodable_size(codec, size);
        let picture = if own == size {
            picture
        } else {
            let other = self.scaled.get_or_insert_with(|| I420Buffer::new(size));
            self.scaler.cover(picture, other)?;
            other
        };
        let (made, wanted) = (ColorMatrix::for_size(own), ColorMatrix::for_stream(codec, size));
        let picture = if made == wanted {
            picture
        } else {
            let other = self.recoloured.get_or_insert_with(|| I420Buffer::new(size));
            recolour(picture, made, wanted, other);
            other
        };
        let (_, encoder) = match self.encoder.take() {
            Some(encoder) if encoder.0 == size => self.encoder.insert(encoder),
            _ => {
                let config = VideoEncoderConfig::new(size, self.fps, bitrate);
                self.encoder.insert((size, self.encoders.make(codec, &config)?))
            }
        };
        let mut data = Vec::new();
        let control = FrameControl::at(at).keyframe(keyframe);
        let encoded = encoder.encode(&picture.into(), &control, &mut data)?;
        let (keyframe, layers) = (encoded.keyframe, encoded.layers);
        let content = match codec {
            _ if encoded.skipped || data.is_empty() => Content::Nothing,
            VideoCodec::H264 | VideoCodec::Av1 => Content::Payloads(Arc::new(
                Packetizer::new(codec).payloads(&data, keyframe, layers),
            )),
            VideoCodec::Vp8 | VideoCodec::Vp9 => {
                data.shrink_to_fit();
                Content::Unit(data)
            }
        };
        Ok(IdleUnit { content, keyframe, layers })
    }
}
