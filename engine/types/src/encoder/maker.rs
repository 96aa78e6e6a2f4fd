use std::fmt;

use crate::{Bitrate, CodecSet, VideoCodec};

use super::config::{Encoded, FrameControl, ReferenceId, VideoEncoderConfig};
use super::error::{EncodeError, Unavailable};
use super::offer::EncoderOffer;
use super::picture::Picture;

/// Makes video encoders: a library, a device, or an encoder of the application's own.
pub trait EncoderMaker: fmt::Debug + Send + Sync {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// The codecs it is for, whether or not it can do them here.
    fn codecs(&self) -> CodecSet;

    /// What it can do here. Asked once for each codec, when it is put into a list.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn offer(&self, codec: VideoCodec) -> Result<EncoderOffer, Unavailable>;

    /// Makes an encoder, with settings within what it offers for the codec.
    ///
    /// # Errors
    ///
    /// A library or device that refuses, though it said it could.
    fn make(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError>;
}

/// A video encoder for one stream: constant bitrate, no reordering, and keyframes only where they are asked
/// for. The first picture is always one.
///
/// Moves between threads, is used by one at a time.
pub trait VideoEncoder: Send {
    /// What comes out.
    fn codec(&self) -> VideoCodec;

    /// Encodes a picture and appends it to `out`: for H264 an access unit in Annex B form, with
    /// SPS and PPS before every keyframe; for VP8 and VP9 one frame; for AV1 a temporal unit of OBUs with
    /// sizes, with a sequence header in every keyframe.
    ///
    /// # Errors
    ///
    /// [`EncodeError::WrongSize`], [`EncodeError::Memory`], or [`EncodeError::NoReferences`] where it is to recover and
    /// keeps none, after which the encoder goes on as before; or [`EncodeError::Library`]. `out` is unchanged then.
    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError>;

    /// Changes the target rate from the next picture on, without a keyframe. A rate the library
    /// cannot do is brought to the nearest one it can.
    fn set_bitrate(&mut self, bitrate: Bitrate);

    /// Changes how many frames per second will come, without a keyframe.
    ///
    /// # Errors
    ///
    /// [`EncodeError::FrameRate`], or [`EncodeError::Library`]; the rate stays as it was then.
    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError>;

    /// Changes the number of temporal layers. The next picture is a keyframe.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TemporalLayers`], or [`EncodeError::Library`]; the encoder goes on as before then.
    fn set_temporal_layers(&mut self, layers: u8) -> Result<(), EncodeError>;

    /// Says that all viewers that matter now have this long-term reference. From the second picture after this call on,
    /// pictures that [recover](FrameControl::recover) use it, and older references are dropped. An unknown reference is
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoReferences`], or [`EncodeError::Library`].
    fn reference_received(&mut self, reference: ReferenceId) -> Result<(), EncodeError>;

    /// Says that a viewer does not have a long-term reference, so that no picture refers to it any more from the next
    /// but one on. One that is not kept any more is ignored.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoReferences`] where the encoder keeps none ([`VideoEncoderConfig::references`]): a keyframe
    /// helps then. Or [`EncodeError::Library`].
    fn reference_lost(&mut self, reference: ReferenceId) -> Result<(), EncodeError>;
}
