use std::fmt;
use std::sync::Arc;

use visavis_types::encoder::{
    EncodeError, EncoderMaker, EncoderOffer, Unavailable, VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{CodecSet, FrameSize, VideoCodec};

use super::built::is_built;

/// Makers of encoders in order of preference. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Encoders {
    known: Arc<Vec<Known>>,
}

/// An encoder that was made out of a list.
#[non_exhaustive]
pub struct EncoderMade {
    /// The encoder.
    pub encoder: Box<dyn VideoEncoder>,
    /// The name of its maker.
    pub maker: &'static str,
    /// Why the maker before it in the list did not make it; `None` for the most preferred one.
    pub refused: Option<EncodeError>,
}

impl fmt::Debug for EncoderMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maker, refused, .. } = self;
        f.debug_struct("EncoderMade").field("maker", maker).field("refused", refused).finish()
    }
}

/// A maker, and what it said of one codec when it was put into the list.
#[derive(Debug, Clone)]
struct Known {
    codec: VideoCodec,
    offer: Result<EncoderOffer, Unavailable>,
    maker: Arc<dyn EncoderMaker>,
}

impl Encoders {
    /// A list without makers: [`with`](Self::with) puts them in.
    pub fn none() -> Self {
        Self::default()
    }

    /// The software encoders of this build. Codecs that it was built without say which cargo feature they
    /// come with.
    pub fn software() -> Self {
        let mut list = Self::none();
        for maker in makers().into_iter().rev() {
            list = list.with(maker);
        }
        list
    }

    /// With a maker that is preferred to those that are there. It is asked what it can do.
    #[must_use]
    pub fn with(mut self, maker: Arc<dyn EncoderMaker>) -> Self {
        let fresh = maker.codecs().iter().map(|codec| Known {
            codec,
            offer: maker.offer(codec),
            maker: Arc::clone(&maker),
        });
        let fresh: Vec<Known> = fresh.collect();
        Arc::make_mut(&mut self.known).splice(0..0, fresh);
        self
    }

    /// The codecs there is an encoder for.
    pub fn codecs(&self) -> CodecSet {
        let all = VideoCodec::ALL.into_iter().filter(|&codec| self.offer(codec).is_ok());
        all.fold(CodecSet::EMPTY, CodecSet::with)
    }

    /// What the most preferred encoder for a codec can do.
    ///
    /// # Errors
    ///
    /// Why there is none: what the most preferred maker says.
    pub fn offer(&self, codec: VideoCodec) -> Result<&EncoderOffer, Unavailable> {
        if let Some((offer, _)) = self.offers(codec).next() {
            return Ok(offer);
        }
        let refused = self.known.iter().find(|known| known.codec == codec);
        let reason = refused.and_then(|known| known.offer.as_ref().err());
        Err(reason.copied().unwrap_or(Unavailable::Unknown))
    }

    /// The size in which a codec's pictures are encoded: the same, or the largest of its shape where that is
    /// too large for all encoders. The same, too, where there is no encoder.
    pub fn encodable_size(&self, codec: VideoCodec, size: FrameSize) -> FrameSize {
        let mut sizes = self.offers(codec).map(|(offer, _)| offer.sizes);
        let Some(first) = sizes.next() else { return size };
        let fits = first.contains(size) || sizes.any(|other| other.contains(size));
        if fits { size } else { first.fit(size) }
    }

    /// Makes an encoder as [`make_by`](Self::make_by) does, whoever makes it.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn make(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        self.make_by(codec, config).map(|made| made.encoder)
    }

    /// Makes an encoder: the most preferred one that can do what is asked, or the next where that one fails.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoEncoder`] for a codec without an encoder. Otherwise what the last one said: settings
    /// out of range, or a library that refuses them.
    pub fn make_by(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<EncoderMade, EncodeError> {
        let reason = self.offer(codec).err().unwrap_or(Unavailable::Unknown);
        let mut error = EncodeError::NoEncoder { codec, reason };
        let mut refused = None;
        for (offer, maker) in self.offers(codec) {
            match offer.check(codec, config).and_then(|()| maker.make(codec, config)) {
                Ok(encoder) => return Ok(EncoderMade { encoder, maker: maker.name(), refused }),
                Err(refusal) => {
                    error = refusal.clone();
                    refused = Some(refusal);
                }
            }
        }
        Err(error)
    }

    /// What can be made for a codec.
    fn offers(
        &self,
        codec: VideoCodec,
    ) -> impl Iterator<Item = (&EncoderOffer, &Arc<dyn EncoderMaker>)> {
        self.known
            .iter()
            .filter(move |known| known.codec == codec)
            .filter_map(|known| known.offer.as_ref().ok().map(|offer| (offer, &known.maker)))
    }
}

/// The makers of this build in order of preference, and a substitute for each that it lacks.
fn makers() -> Vec<Arc<dyn EncoderMaker>> {
    vec![
        #[cfg(feature = "h264")]
        Arc::new(crate::h264::OpenH264),
        #[cfg(any(feature = "vp8", feature = "vp9"))]
        Arc::new(crate::vpx::Libvpx),
        #[cfg(feature = "av1")]
        Arc::new(crate::aom::Libaom),
        Arc::new(NotBuilt),
    ]
}

/// Stands for the software encoders that a build lacks.
#[derive(Debug)]
struct NotBuilt;

impl EncoderMaker for NotBuilt {
    fn name(&self) -> &'static str {
        "not built"
    }

    fn codecs(&self) -> CodecSet {
        VideoCodec::ALL
            .into_iter()
            .filter(|&codec| !is_built(codec))
            .fold(CodecSet::EMPTY, CodecSet::with)
    }

    fn offer(&self, codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        Err(Unavailable::NotBuilt { feature: feature(codec) })
    }

    fn make(
        &self,
        codec: VideoCodec,
        _config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        let reason = Unavailable::NotBuilt { feature: feature(codec) };
        Err(EncodeError::NoEncoder { codec, reason })
    }
}

/// The cargo feature that a codec's software encoder comes with.
const fn feature(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "h264",
        VideoCodec::Vp8 => "vp8",
        VideoCodec::Vp9 => "vp9",
        VideoCodec::Av1 => "av1",
    }
}
