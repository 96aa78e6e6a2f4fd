use std::sync::Arc;
use std::time::Duration;

use visavis_bitstream::h264::{self, VideoSignal};
use visavis_types::encoder::{
    EncodeError, Encoded, EncoderOffer, FrameControl, MemoryKind, Picture, ReferenceId,
    VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{Bitrate, VideoCodec};

use crate::config::NvencConfig;
use crate::encode_session::{EncodeSession, Output, Submission};
use crate::error::NvencError;
use crate::health::Health;
use crate::params;
use crate::references::{Layers, LongTerm};
use crate::session::Device;

/// NVENC's clock for times of pictures, which it takes as names.
const CLOCK: Duration = Duration::from_micros(1);

/// A session of NVENC as the engine wants an encoder. What a session fails at makes it unusable: the engine makes another
/// encoder then.
#[derive(Debug)]
pub(crate) struct Encoder {
    device: Arc<Device>,
    health: Arc<Health>,
    offer: EncoderOffer,
    maker: NvencConfig,
    session: EncodeSession,
    /// What is wanted from the next picture on.
    config: VideoEncoderConfig,
    /// What the session has been told of the rate.
    told: (Bitrate, u32),
    signal: VideoSignal,
    long_term: Option<LongTerm>,
    layers: Option<Layers>,
    /// The time of the picture before.
    before: Option<u64>,
}

/// What an encoder is made with besides its settings.
pub(crate) struct Parts {
    pub(crate) device: Arc<Device>,
    pub(crate) health: Arc<Health>,
    pub(crate) offer: EncoderOffer,
    pub(crate) maker: NvencConfig,
}

impl Encoder {
    pub(crate) fn new(parts: Parts, config: &VideoEncoderConfig) -> Result<Self, NvencError> {
        let Parts { device, health, offer, maker } = parts;
        let session = EncodeSession::new(&device, &maker, config)?;
        Ok(Self {
            device,
            health,
            offer,
            maker,
            session,
            config: *config,
            told: (config.bitrate, config.fps),
            signal: VideoSignal::limited(params::matrix(config.size)),
            long_term: (config.references > 0).then(LongTerm::default),
            layers: (config.temporal_layers > 1).then(Layers::default),
            before: None,
        })
    }

    fn try_encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, NvencError> {
        let told = (self.config.bitrate, self.config.fps);
        if self.told != told {
            self.session.set_rate(told.0, told.1)?;
            self.told = told;
        }
        let timestamp = self.timestamp(control.pts);
        let mut submission = Submission {
            timestamp,
            keyframe: control.keyframe || self.before.is_none(),
            ..Submission::default()
        };
        let mut refers_to = None;
        if control.recover && !submission.keyframe {
            (submission.refer_to, refers_to) = self.recover();
            submission.keyframe = submission.refer_to.is_none();
        }
        if let Some(long_term) = &mut self.long_term {
            if submission.keyframe {
                long_term.clear();
                submission.keep = Some(0);
            } else if control.keep_reference {
                submission.keep = long_term.free();
            }
        }
        let (start, signal) = (out.len(), self.signal);
        let mut made = None;
        let result = self.session.encode(picture, submission, |data, output| {
            write(data, output.keyframe, signal, out)?;
            made = Some(output);
            Ok(())
        });
        self.before = Some(timestamp);
        let made = result.and_then(|()| made.ok_or(NvencError::Output("nothing came out")));
        match made {
            Ok(output) if out.len() > start => Ok(self.encoded(output, submission, refers_to)),
            Ok(_) => Ok(Encoded::SKIPPED),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// The slot to refer to after a loss, with what is in it; nothing where a keyframe is needed.
    fn recover(&mut self) -> (Option<u32>, Option<ReferenceId>) {
        let usable = self.long_term.as_ref().and_then(LongTerm::usable);
        let (Some((slot, id)), Some(before)) = (usable, self.before) else { return (None, None) };
        // Pictures between what viewers have and the next one may be lost: none may be referred to later either. Of
        // those that are not kept the encoder has the last one alone, and a reference that is on its way.
        let pending = self.long_term.as_mut().and_then(LongTerm::take_pending);
        for timestamp in [Some(before), pending].into_iter().flatten() {
            if Some(timestamp) == self.long_term.as_ref().and_then(LongTerm::usable_timestamp) {
                continue;
            }
            if let Err(error) = self.session.invalidate(timestamp) {
                // A keyframe helps as well.
                tracing::debug!(%error, "no reference was given up");
                return (None, None);
            }
        }
        (Some(slot), Some(id))
    }

    /// What came out, and what is kept with it.
    fn encoded(
        &mut self,
        output: Output,
        submission: Submission,
        refers_to: Option<ReferenceId>,
    ) -> Encoded {
        let mut encoded = Encoded::picture(output.keyframe);
        encoded.layers = self
            .layers
            .as_mut()
            .and_then(|layers| layers.next(output.temporal_layer, output.keyframe));
        if let Some(long_term) = &mut self.long_term {
            if output.keyframe && !submission.keyframe {
                // The encoder has found nothing to refer to.
                long_term.clear();
            }
            encoded.refers_to = refers_to.filter(|_| !output.keyframe);
            encoded.reference =
                submission.keep.map(|slot| long_term.keep(slot, submission.timestamp));
            if let Some(id) = encoded.reference.filter(|_| output.keyframe) {
                long_term.received(id);
            }
        }
        encoded
    }

    /// A time that grows from picture to picture: NVENC tells pictures apart by it.
    fn timestamp(&self, pts: Duration) -> u64 {
        let time = u64::try_from(pts.as_nanos() / CLOCK.as_nanos()).unwrap_or(u64::MAX);
        self.before.map_or(time, |before| time.max(before + 1))
    }
}

/// Appends an access unit: of a keyframe, with parameter sets that forbid delay.
fn write(
    data: &[u8],
    keyframe: bool,
    signal: VideoSignal,
    out: &mut Vec<u8>,
) -> Result<(), NvencError> {
    if !keyframe {
        out.extend_from_slice(data);
        return Ok(());
    }
    let mut sets = 0;
    for unit in h264::nal_units(data) {
        out.extend_from_slice(&h264::START_CODE);
        match h264::nal_type(unit) {
            h264::SPS => {
                sets |= 1;
                h264::write_low_latency(unit, signal, out)
                    .map_err(|_| NvencError::Output("its SPS cannot be read"))?;
            }
            kind => {
                sets |= if kind == h264::PPS { 2 } else { 0 };
                out.extend_from_slice(unit);
            }
        }
    }
    if sets == 3 { Ok(()) } else { Err(NvencError::Output("a keyframe without parameter sets")) }
}

impl VideoEncoder for Encoder {
    fn codec(&self) -> VideoCodec {
        VideoCodec::H264
    }

    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let (expected, actual) = (self.config.size, picture.size());
        if expected != actual {
            return Err(EncodeError::WrongSize { expected, actual });
        }
        let memory = picture.memory();
        let is_ours = match picture {
            Picture::Device(picture) => {
                let picture: &dyn std::any::Any = *picture;
                picture.is::<crate::picture::CudaPicture>()
            }
            _ => matches!(memory, MemoryKind::I420 | MemoryKind::Nv12),
        };
        if !is_ours {
            return Err(EncodeError::Memory(memory));
        }
        if control.recover && self.long_term.is_none() {
            return Err(EncodeError::NoReferences);
        }
        let result = self.try_encode(picture, control, out);
        match &result {
            Ok(_) => {}
            Err(_) => self.health.failed(),
        }
        Ok(result?)
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        self.config.bitrate = bitrate;
    }

    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        self.offer.check_frame_rate(fps)?;
        self.config.fps = fps;
        Ok(())
    }

    fn set_temporal_layers(&mut self, layers: u8) -> Result<(), EncodeError> {
        let config = self.config.temporal_layers(layers);
        self.offer.check(VideoCodec::H264, &config)?;
        let parts = Parts {
            device: Arc::clone(&self.device),
            health: Arc::clone(&self.health),
            offer: self.offer.clone(),
            maker: self.maker.clone(),
        };
        // A session of its own: layers are not among what can be changed.
        *self = Self::new(parts, &config)?;
        Ok(())
    }

    fn reference_received(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        self.long_term.as_mut().ok_or(EncodeError::NoReferences)?.received(reference);
        Ok(())
    }

    fn reference_lost(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        let long_term = self.long_term.as_mut().ok_or(EncodeError::NoReferences)?;
        if let Some(timestamp) = long_term.lost(reference) {
            self.session.invalidate(timestamp).inspect_err(|_| self.health.failed())?;
        }
        Ok(())
    }
}
