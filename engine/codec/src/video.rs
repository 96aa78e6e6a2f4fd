use std::time::Duration;

use visavis_types::{Bitrate, CodecSet, FrameSize, VideoCodec};

use crate::I420Buffer;
use crate::h264::{self, H264Encoder};
use crate::vpx::VpxEncoder;

/// The codecs that there are encoders for: AV1 only in a build with the feature `av1`.
pub const ENCODERS: CodecSet = {
    let always = CodecSet::EMPTY.with(VideoCodec::H264).with(VideoCodec::Vp8).with(VideoCodec::Vp9);
    if cfg!(feature = "av1") { always.with(VideoCodec::Av1) } else { always }
};

/// The size in which a codec's encoder takes pictures of some size: the same, or the largest of its shape
/// where that is too large.
pub fn encodable_size(codec: VideoCodec, size: FrameSize) -> FrameSize {
    match codec {
        VideoCodec::H264 => h264::encodable_size(size),
        VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 => size,
    }
}

/// Settings of a video encoder.
#[derive(Debug, Clone, Copy)]
pub struct VideoEncoderConfig {
    /// Size of every picture; another size wants a new encoder.
    pub size: FrameSize,
    /// Frames per second that will come, 1 to 120: shares the bitrate out among frames.
    pub fps: u32,
    /// Target rate.
    pub bitrate: Bitrate,
}

impl VideoEncoderConfig {
    /// Whether a picture is of the encoder's size.
    pub(crate) fn check(&self, picture: &I420Buffer) -> Result<(), EncodeError> {
        let (expected, actual) = (self.size, picture.size());
        if expected == actual { Ok(()) } else { Err(EncodeError::WrongSize { expected, actual }) }
    }
}

/// What became of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// A decoder can start here.
    pub keyframe: bool,
    /// The encoder produced no data for this picture.
    pub skipped: bool,
}

/// Why there is no encoder, or no encoded picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The codec's library cannot do pictures of this size.
    #[error("{codec} cannot encode {}x{}; its library ends at {limit}", size.width(), size.height())]
    UnsupportedSize {
        /// The codec asked for.
        codec: VideoCodec,
        /// The size asked for.
        size: FrameSize,
        /// The largest size it can do, in words.
        limit: &'static str,
    },
    /// A codec whose pictures this build can send on, but not make: it is not among [`ENCODERS`].
    #[error("this build has no {0} encoder; AV1 wants the cargo feature `av1`")]
    NoEncoder(VideoCodec),
    /// Frames per second outside 1 to 120.
    #[error("{0} frames per second; 1 to 120 are possible")]
    FrameRate(u32),
    /// A bitrate of zero, or one that does not fit the library.
    #[error("a video bitrate of {0} cannot be set")]
    Bitrate(Bitrate),
    /// The picture is not of the encoder's size.
    #[error(
        "a picture of {}x{} for an encoder of {}x{}",
        actual.width(), actual.height(), expected.width(), expected.height()
    )]
    WrongSize {
        /// The encoder's size.
        expected: FrameSize,
        /// The picture's size.
        actual: FrameSize,
    },
    /// The library refused. The encoder should be replaced.
    #[error("{library} failed to {operation}: {detail}")]
    Library {
        /// Its name.
        library: &'static str,
        /// What it was asked to do.
        operation: &'static str,
        /// What it answered.
        detail: String,
    },
}

/// A video encoder for one stream: constant bitrate, no reordering, one reference, and keyframes
/// only where they are asked for. The first picture is always one.
///
/// Moves between threads, is used by one at a time.
pub trait VideoEncoder: Send {
    /// What comes out.
    fn codec(&self) -> VideoCodec;

    /// Encodes a picture and appends it to `out`: for H264 an access unit in Annex B form, with
    /// SPS and PPS before every keyframe; for VP8 and VP9 one frame; for AV1 a temporal unit of OBUs with
    /// sizes, with a sequence header in every keyframe.
    ///
    /// `pts` is the capture time since any fixed moment. Only its differences count, for rate
    /// control; it need not be regular.
    ///
    /// # Errors
    ///
    /// [`EncodeError::WrongSize`], after which the encoder goes on as before, or
    /// [`EncodeError::Library`]. `out` is unchanged then.
    fn encode(
        &mut self,
        picture: &I420Buffer,
        keyframe: bool,
        pts: Duration,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError>;

    /// Changes the target rate from the next picture on, without a keyframe. A rate the library
    /// cannot do is brought to the nearest one it can.
    fn set_bitrate(&mut self, bitrate: Bitrate);
}

/// Makes an encoder.
///
/// # Errors
///
/// Settings out of range, or a library that refuses them.
pub fn video_encoder(
    codec: VideoCodec,
    config: &VideoEncoderConfig,
) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    if !(1..=120).contains(&config.fps) {
        return Err(EncodeError::FrameRate(config.fps));
    }
    if config.bitrate.bps() == 0 {
        return Err(EncodeError::Bitrate(config.bitrate));
    }
    Ok(match codec {
        VideoCodec::H264 => Box::new(H264Encoder::new(config)?),
        VideoCodec::Vp8 => Box::new(VpxEncoder::vp8(config)?),
        VideoCodec::Vp9 => Box::new(VpxEncoder::vp9(config)?),
        #[cfg(feature = "av1")]
        VideoCodec::Av1 => Box::new(crate::aom::AomEncoder::new(config)?),
        #[cfg(not(feature = "av1"))]
        VideoCodec::Av1 => return Err(EncodeError::NoEncoder(codec)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_for_h264_keeps_its_shape() {
        let fitted = |width, height| {
            let size = FrameSize::new(width, height).unwrap();
            let fitted = encodable_size(VideoCodec::H264, size);
            assert_eq!(encodable_size(VideoCodec::Vp8, size), size);
            assert_eq!(encodable_size(VideoCodec::H264, fitted), fitted);
            (fitted.width(), fitted.height())
        };
        assert_eq!(fitted(3_840, 2_160), (3_840, 2_160));
        assert_eq!(fitted(2_160, 3_840), (2_160, 3_840));
        assert_eq!(fitted(4_096, 2_304), (3_840, 2_160));
        assert_eq!(fitted(4_032, 3_024), (2_880, 2_160));
        assert_eq!(fitted(4_096, 4_096), (2_160, 2_160));
        assert_eq!(fitted(16, 4_096), (16, 3_840));
    }
}
