//! An idle loop encoded with one codec.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use visavis_codec::{
    ColorMatrix, I420Buffer, VideoEncoder, VideoEncoderConfig, recolour, video_encoder,
};
use visavis_types::{Bitrate, FrameSize, VideoCodec};

/// An idle loop as access units, in groups that each begin with a keyframe. It can be shown from the first
/// group on, while the others are still being made.
#[derive(Debug)]
pub(crate) struct Reel {
    pub(super) codec: VideoCodec,
    pub(super) bitrate: Bitrate,
    fps: u32,
    gop: usize,
    groups: ArcSwap<Vec<Group>>,
    complete: AtomicBool,
}

/// Pictures from one keyframe up to the next.
type Group = Arc<Vec<ReelUnit>>;

/// One access unit.
#[derive(Debug)]
pub(crate) struct ReelUnit {
    /// Empty where the encoder had nothing to say.
    pub(crate) data: Vec<u8>,
    pub(crate) keyframe: bool,
}

impl Reel {
    pub(super) fn new(codec: VideoCodec, bitrate: Bitrate, fps: u32, gop: usize) -> Self {
        let (groups, complete) = (ArcSwap::default(), AtomicBool::new(false));
        Self { codec, bitrate, fps, gop: gop.max(1), groups, complete }
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

    /// Encodes it all; group by group it can be shown.
    pub(super) fn make(&self, pictures: impl Iterator<Item = I420Buffer>) {
        let mut camera = Camera { reel: self, encoder: None, recoloured: None };
        let mut group: Vec<ReelUnit> = Vec::with_capacity(self.gop);
        for (number, picture) in (0u32..).zip(pictures) {
            let first = group.len() == self.gop;
            if first {
                self.publish(std::mem::take(&mut group));
            }
            let at = Duration::from_secs(1) * number / self.fps;
            match camera.take(&picture, group.is_empty(), at) {
                Ok(unit) => group.push(unit),
                Err(error) => {
                    tracing::error!(codec = %self.codec, %error, "an idle loop is not encoded");
                    break;
                }
            }
        }
        if !group.is_empty() {
            self.publish(group);
        }
        self.complete.store(true, Relaxed);
    }

    fn publish(&self, group: Vec<ReelUnit>) {
        let mut groups = Vec::clone(&self.groups.load());
        groups.push(Arc::new(group));
        self.groups.store(Arc::new(groups));
    }
}

struct Camera<'a> {
    reel: &'a Reel,
    encoder: Option<(FrameSize, Box<dyn VideoEncoder>)>,
    recoloured: Option<I420Buffer>,
}

impl Camera<'_> {
    fn take(
        &mut self,
        picture: &I420Buffer,
        keyframe: bool,
        at: Duration,
    ) -> Result<ReelUnit, visavis_codec::EncodeError> {
        let (size, codec) = (picture.size(), self.reel.codec);
        let (made, wanted) = (ColorMatrix::for_size(size), ColorMatrix::for_stream(codec, size));
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
                let Reel { fps, bitrate, .. } = *self.reel;
                let config = VideoEncoderConfig { size, fps, bitrate };
                self.encoder.insert((size, video_encoder(codec, &config)?))
            }
        };
        let mut data = Vec::new();
        let encoded = encoder.encode(picture, keyframe, at, &mut data)?;
        if encoded.skipped {
            data.clear();
        }
        data.shrink_to_fit();
        Ok(ReelUnit { keyframe: encoded.keyframe, data })
    }
}
