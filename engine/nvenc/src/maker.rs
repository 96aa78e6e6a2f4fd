use std::fmt;
use std::sync::Arc;

use nvidia_video_codec_sdk::sys::nvEncodeAPI::NV_ENC_CAPS;
use visavis_types::encoder::{
    EncodeError, EncoderMaker, EncoderOffer, MemoryKind, Picture, SizeLimits, Unavailable,
    VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{CodecSet, FrameSize, VideoCodec};

use crate::api::Functions;
use crate::config::NvencConfig;
use crate::cuda::Gpu;
use crate::encoder::{Encoder, Parts};
use crate::error::{NAME, NvencError};
use crate::health::Health;
use crate::picture::{CudaPicture, DEVICE};
use crate::references::{LAYERS, REFERENCES};
use crate::session::{Device, Session};

/// Makes H264 encoders on one GPU. Can be used from any thread.
pub struct NvencMaker {
    device: Arc<Device>,
    config: NvencConfig,
    offer: EncoderOffer,
    health: Arc<Health>,
}

impl NvencMaker {
    /// Opens the driver's libraries, and a session on the GPU for a moment, to see what it can do. Takes some hundred
    /// milliseconds where there is a GPU, the first time.
    ///
    /// # Errors
    ///
    /// Why it cannot encode.
    pub fn open(config: NvencConfig) -> Result<Self, NvencError> {
        let gpu = Gpu::open(&config.libraries, config.gpu)?;
        let functions = Functions::load(&config.libraries)?;
        let device = Arc::new(Device { functions, gpu });
        let offer = offer(&device)?;
        Ok(Self { device, config, offer, health: Arc::default() })
    }

    /// What the GPU is called, such as "NVIDIA L4".
    pub fn gpu_name(&self) -> &str {
        self.device.gpu.name()
    }

    /// Copies a picture of host memory into memory of the GPU.
    ///
    /// # Errors
    ///
    /// [`NvencError::Cuda`] where there is no memory left, and for a picture that is no host memory.
    pub fn upload(&self, picture: &Picture<'_>) -> Result<CudaPicture, NvencError> {
        CudaPicture::upload(&self.device.gpu, picture)
    }

    /// Makes an encoder.
    ///
    /// # Errors
    ///
    /// Why there is none: no free session, a GPU that was lost or is left alone for a while.
    pub fn encoder(
        &self,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, NvencError> {
        let gpu = || self.gpu_name().to_owned();
        if let Some(rest) = self.health.rest() {
            return Err(NvencError::Resting { gpu: gpu(), seconds: rest.as_secs() + 1 });
        }
        let parts = Parts {
            device: Arc::clone(&self.device),
            health: Arc::clone(&self.health),
            offer: self.offer.clone(),
            maker: self.config.clone(),
        };
        Ok(Box::new(Encoder::new(parts, config)?))
    }
}

impl fmt::Debug for NvencMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NvencMaker({}: {:?})", self.gpu_name(), self.offer)
    }
}

/// What the GPU says it can do.
fn offer(device: &Arc<Device>) -> Result<EncoderOffer, NvencError> {
    let session = Session::open(device)?;
    if !session.has_h264()? {
        return Err(NvencError::NoEncoder { gpu: device.gpu.name().to_owned() });
    }
    let capability = |which| session.capability(which);
    let least = capability(NV_ENC_CAPS::NV_ENC_CAPS_WIDTH_MIN)?
        .max(capability(NV_ENC_CAPS::NV_ENC_CAPS_HEIGHT_MIN)?);
    let (width, height) = (
        capability(NV_ENC_CAPS::NV_ENC_CAPS_WIDTH_MAX)?,
        capability(NV_ENC_CAPS::NV_ENC_CAPS_HEIGHT_MAX)?,
    );
    // In either orientation: as much as both sides may have.
    let most = width.min(height).min(FrameSize::MAX_SIDE);
    let least = least.next_multiple_of(2).max(FrameSize::MIN_SIDE);
    let sizes = SizeLimits { least, longer: most, shorter: most };
    let references = capability(NV_ENC_CAPS::NV_ENC_CAPS_NUM_MAX_LTR_FRAMES)?
        >= u32::from(REFERENCES)
        && capability(NV_ENC_CAPS::NV_ENC_CAPS_SUPPORT_REF_PIC_INVALIDATION)? > 0;
    let layers = capability(NV_ENC_CAPS::NV_ENC_CAPS_SUPPORT_TEMPORAL_SVC)? > 0
        && capability(NV_ENC_CAPS::NV_ENC_CAPS_NUM_MAX_TEMPORAL_LAYERS)? >= u32::from(LAYERS);
    Ok(EncoderOffer::new()
        .sizes(sizes)
        .temporal_layers(if layers { LAYERS } else { 1 })
        .references(if references { REFERENCES } else { 0 })
        .memory([MemoryKind::I420, MemoryKind::Nv12, MemoryKind::Device(DEVICE)]))
}

impl EncoderMaker for NvencMaker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn codecs(&self) -> CodecSet {
        CodecSet::EMPTY.with(VideoCodec::H264)
    }

    fn offer(&self, codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        match codec {
            VideoCodec::H264 => Ok(self.offer.clone()),
            _ => Err(Unavailable::NotByDevice { device: "NVIDIA GPU" }),
        }
    }

    fn make(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        if codec != VideoCodec::H264 {
            let reason = Unavailable::NotByDevice { device: "NVIDIA GPU" };
            return Err(EncodeError::NoEncoder { codec, reason });
        }
        Ok(self.encoder(config)?)
    }
}
