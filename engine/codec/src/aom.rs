//! AV1 by libaom.

use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::time::Duration;

use libaom_sys::{
    AOM_CBR, AOM_CODEC_CX_FRAME_PKT, AOM_CODEC_OK, AOM_EFLAG_FORCE_KF, AOM_ENCODER_ABI_VERSION,
    AOM_FRAME_IS_KEY, AOM_IMG_FMT_I420, AOM_KF_DISABLED, AOM_USAGE_REALTIME, AOME_SET_CPUUSED,
    AOME_SET_MAX_INTRA_BITRATE_PCT, AV1E_SET_AQ_MODE, AV1E_SET_COEFF_COST_UPD_FREQ,
    AV1E_SET_COLOR_PRIMARIES, AV1E_SET_COLOR_RANGE, AV1E_SET_DELTAQ_MODE, AV1E_SET_ENABLE_CDEF,
    AV1E_SET_ENABLE_GLOBAL_MOTION, AV1E_SET_ENABLE_OBMC, AV1E_SET_ENABLE_ORDER_HINT,
    AV1E_SET_ENABLE_PALETTE, AV1E_SET_ENABLE_REF_FRAME_MVS, AV1E_SET_ENABLE_TPL_MODEL,
    AV1E_SET_ENABLE_WARPED_MOTION, AV1E_SET_MATRIX_COEFFICIENTS, AV1E_SET_MODE_COST_UPD_FREQ,
    AV1E_SET_MV_COST_UPD_FREQ, AV1E_SET_NOISE_SENSITIVITY, AV1E_SET_TRANSFER_CHARACTERISTICS,
    aom_codec_av1_cx, aom_codec_control, aom_codec_ctx_t, aom_codec_destroy, aom_codec_enc_cfg_t,
    aom_codec_enc_config_default, aom_codec_enc_config_set, aom_codec_enc_init_ver,
    aom_codec_encode, aom_codec_err_t, aom_codec_err_to_string, aom_codec_get_cx_data, aom_image_t,
    aom_img_wrap, aom_rational, aome_enc_control_id,
};
use visavis_types::encoder::{
    EncodeError, Encoded, EncoderMaker, EncoderOffer, FrameControl, I420Planes, Picture,
    ReferenceId, Unavailable, VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{Bitrate, CodecSet, VideoCodec};

use crate::encoder::clock::{Clock, TICKS_HZ, Tick};
use crate::matrix::ColorMatrix;

/// The fastest but one of the speeds that libaom has for calls.
const CPU_USED: c_int = 10;
/// How large a keyframe is meant to be, in percent of a frame's share of the bitrate. Measured at 512x512,
/// 1 Mbit/s: one of a talking head takes 0.7 frames' bits at 43 dB, one of a picture full of detail 1.2; at
/// 300 % the latter takes 8.
const MAX_INTRA_PERCENT: c_int = 100;
/// `color_primaries` and `transfer_characteristics` (AV1 specification, §6.4.2): those of BT.709, which are
/// (nearly) those of the sRGB pictures a renderer makes.
const BT709: c_int = 1;
/// `color_range`, in the same place.
const LIMITED_RANGE: c_int = 0;
/// Bitrates that make sense to libaom, which counts in kilobits.
const BITRATE_RANGE_KBPS: (u64, u64) = (10, 400_000);

/// What is switched on and off for calls, as libwebrtc does: tools that cost more time than they save bits
/// at this speed, and costs worked out once per picture instead of per superblock.
const FOR_CALLS: [(&str, aome_enc_control_id, c_int); 16] = [
    ("set the speed", AOME_SET_CPUUSED, CPU_USED),
    // Quantizers by how much of a picture's past repeats itself.
    ("set quantizers", AV1E_SET_AQ_MODE, 3),
    ("set quantizer steps", AV1E_SET_DELTAQ_MODE, 0),
    ("limit keyframes", AOME_SET_MAX_INTRA_BITRATE_PCT, MAX_INTRA_PERCENT),
    ("set noise reduction", AV1E_SET_NOISE_SENSITIVITY, 0),
    ("set the edge filter", AV1E_SET_ENABLE_CDEF, 1),
    ("set look-ahead models", AV1E_SET_ENABLE_TPL_MODEL, 0),
    ("set order hints", AV1E_SET_ENABLE_ORDER_HINT, 0),
    ("set overlapped motion", AV1E_SET_ENABLE_OBMC, 0),
    ("set warped motion", AV1E_SET_ENABLE_WARPED_MOTION, 0),
    ("set global motion", AV1E_SET_ENABLE_GLOBAL_MOTION, 0),
    ("set motion from references", AV1E_SET_ENABLE_REF_FRAME_MVS, 0),
    ("set palettes", AV1E_SET_ENABLE_PALETTE, 0),
    ("set coefficient costs", AV1E_SET_COEFF_COST_UPD_FREQ, 3),
    ("set mode costs", AV1E_SET_MODE_COST_UPD_FREQ, 3),
    ("set motion costs", AV1E_SET_MV_COST_UPD_FREQ, 3),
];

/// Makes AV1 encoders by libaom.
#[derive(Debug)]
pub(crate) struct Libaom;

impl EncoderMaker for Libaom {
    fn name(&self) -> &'static str {
        "libaom"
    }

    fn codecs(&self) -> CodecSet {
        CodecSet::EMPTY.with(VideoCodec::Av1)
    }

    fn offer(&self, _codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        Ok(offer())
    }

    fn make(
        &self,
        _codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(AomEncoder::new(config)?))
    }
}

fn offer() -> EncoderOffer {
    let (least, most) = BITRATE_RANGE_KBPS;
    EncoderOffer::new().bitrates(Bitrate::from_kbps(least)..=Bitrate::from_kbps(most))
}

/// One thread, no look-ahead, one temporal unit per picture.
struct AomEncoder {
    aom: Aom,
    config: VideoEncoderConfig,
    clock: Clock,
    started: bool,
}

impl AomEncoder {
    fn new(config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        let mut aom = Aom::new(|settings| configure(settings, config))?;
        for (operation, id, value) in FOR_CALLS {
            aom.control(operation, id, value)?;
        }
        let matrix = ColorMatrix::for_stream(VideoCodec::Av1, config.size);
        let matrix = c_int::from(matrix.code());
        aom.control("name the primaries", AV1E_SET_COLOR_PRIMARIES, BT709)?;
        aom.control("name the transfer curve", AV1E_SET_TRANSFER_CHARACTERISTICS, BT709)?;
        aom.control("name the matrix", AV1E_SET_MATRIX_COEFFICIENTS, matrix)?;
        aom.control("name the range", AV1E_SET_COLOR_RANGE, LIMITED_RANGE)?;
        let clock = Clock::new(interval(config.fps));
        Ok(Self { aom, config: *config, clock, started: false })
    }
}

impl VideoEncoder for AomEncoder {
    fn codec(&self) -> VideoCodec {
        VideoCodec::Av1
    }

    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let planes = picture.i420(self.config.size)?;
        if control.recover {
            return Err(EncodeError::NoReferences);
        }
        let force = control.keyframe || !self.started;
        let encoded = self.aom.encode(&planes, force, self.clock.tick(control.pts), out)?;
        self.started = true;
        Ok(encoded)
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        let before = self.aom.settings.rc_target_bitrate;
        self.aom.settings.rc_target_bitrate = kbps(bitrate);
        if self.aom.apply_settings().is_err() {
            self.aom.settings.rc_target_bitrate = before;
        }
    }

    /// The library goes by the times of pictures.
    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        offer().check_frame_rate(fps)?;
        self.config.fps = fps;
        self.clock.set_interval(interval(fps));
        Ok(())
    }

    fn set_temporal_layers(&mut self, layers: u8) -> Result<(), EncodeError> {
        offer().check_temporal_layers(layers)
    }

    fn reference_received(&mut self, _reference: ReferenceId) -> Result<(), EncodeError> {
        Err(EncodeError::NoReferences)
    }

    fn reference_lost(&mut self, _reference: ReferenceId) -> Result<(), EncodeError> {
        Err(EncodeError::NoReferences)
    }
}

fn interval(fps: u32) -> Duration {
    Duration::from_secs(1) / fps.max(1)
}

fn kbps(bitrate: Bitrate) -> c_uint {
    let (least, most) = BITRATE_RANGE_KBPS;
    (bitrate.bps() / 1_000).clamp(least, most) as c_uint
}

fn configure(settings: &mut aom_codec_enc_cfg_t, config: &VideoEncoderConfig) {
    settings.g_w = config.size.width();
    settings.g_h = config.size.height();
    settings.g_threads = 1;
    settings.g_timebase = aom_rational { num: 1, den: TICKS_HZ as c_int };
    // What is lost is sent again, so frames need not be decodable without those before them.
    settings.g_error_resilient = 0;
    settings.g_lag_in_frames = 0;
    settings.rc_end_usage = AOM_CBR;
    settings.rc_target_bitrate = kbps(config.bitrate);
    settings.rc_dropframe_thresh = 0;
    settings.rc_resize_mode = 0;
    settings.rc_min_quantizer = 2;
    settings.rc_max_quantizer = 63;
    settings.rc_undershoot_pct = 50;
    settings.rc_overshoot_pct = 15;
    // Milliseconds of stream: short, because what the encoder spends ahead, viewers wait for.
    settings.rc_buf_sz = 600;
    // Half of it is what the first keyframe may take.
    settings.rc_buf_initial_sz = 90;
    settings.rc_buf_optimal_sz = 400;
    settings.kf_mode = AOM_KF_DISABLED;
}

/// An encoder context of libaom, initialized.
struct Aom {
    /// Boxed, because the library remembers the address of the settings inside.
    context: Box<aom_codec_ctx_t>,
    settings: Box<aom_codec_enc_cfg_t>,
}

// SAFETY: a context may be used from any thread, by one at a time; every method takes `&mut self`.
unsafe impl Send for Aom {}

impl Aom {
    fn new(adjust: impl FnOnce(&mut aom_codec_enc_cfg_t)) -> Result<Self, EncodeError> {
        // SAFETY: returns the address of a static description.
        let codec = unsafe { aom_codec_av1_cx() };
        let mut settings = MaybeUninit::uninit();
        // SAFETY: `settings` is a place of the right type, which the call fills on success.
        let answer = unsafe {
            aom_codec_enc_config_default(codec, settings.as_mut_ptr(), AOM_USAGE_REALTIME)
        };
        checked("get defaults", answer)?;
        // SAFETY: the call succeeded.
        let mut settings = Box::new(unsafe { settings.assume_init() });
        adjust(&mut settings);
        // SAFETY: all zeros is what the library itself makes of a context before filling it: null
        // pointers and the error code for "no error".
        let mut context: Box<aom_codec_ctx_t> =
            Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        let version = AOM_ENCODER_ABI_VERSION as c_int;
        // SAFETY: both are valid, and stay at their address as long as the context lives.
        let answer =
            unsafe { aom_codec_enc_init_ver(&mut *context, codec, &*settings, 0, version) };
        // A context that failed to initialize has been destroyed already.
        checked("initialize", answer)?;
        Ok(Self { context, settings })
    }

    fn control(
        &mut self,
        operation: &'static str,
        id: aome_enc_control_id,
        value: c_int,
    ) -> Result<(), EncodeError> {
        // SAFETY: the context is initialized; each control used here takes one `int` (or an
        // `unsigned int`, which is passed alike).
        checked(operation, unsafe { aom_codec_control(&mut *self.context, id as c_int, value) })
    }

    fn apply_settings(&mut self) -> Result<(), EncodeError> {
        // SAFETY: the context is initialized and the settings are valid.
        let answer = unsafe { aom_codec_enc_config_set(&mut *self.context, &*self.settings) };
        checked("change settings", answer)
    }

    fn encode(
        &mut self,
        picture: &I420Planes<'_>,
        keyframe: bool,
        tick: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let image = describe(picture)?;
        let flags = if keyframe { i64::from(AOM_EFLAG_FORCE_KF) } else { 0 };
        // SAFETY: the context is initialized; the image describes the picture's planes, which are
        // read during the call only (there is no look-ahead).
        let answer =
            unsafe { aom_codec_encode(&mut *self.context, &image, tick.at, tick.length, flags) };
        checked("encode", answer)?;
        let mut encoded = Encoded::SKIPPED;
        let mut iterator = null();
        loop {
            // SAFETY: the context is initialized, the iterator starts at null and is passed back.
            let packet = unsafe { aom_codec_get_cx_data(&mut *self.context, &mut iterator) };
            // SAFETY: a packet is valid until the next encode.
            let Some(packet) = (unsafe { packet.as_ref() }) else { return Ok(encoded) };
            if packet.kind != AOM_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: `frame` is the member of the union that goes with this kind.
            let frame = unsafe { packet.data.frame };
            if frame.sz > 0 && !frame.buf.is_null() {
                // SAFETY: the packet owns this many bytes at this address.
                let data = unsafe { std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz) };
                out.extend_from_slice(data);
                let keyframe = encoded.keyframe || frame.flags & AOM_FRAME_IS_KEY != 0;
                encoded = Encoded::picture(keyframe);
            }
        }
    }
}

impl Drop for Aom {
    fn drop(&mut self) {
        // SAFETY: the context is initialized, and nothing uses it after this.
        unsafe { aom_codec_destroy(&mut *self.context) };
    }
}

/// Describes a picture to libaom, without copying it.
fn describe(picture: &I420Planes<'_>) -> Result<aom_image_t, EncodeError> {
    let size = picture.size();
    let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
    let [y_stride, uv_stride] = picture.strides().map(|stride| stride as c_int);
    let mut image = MaybeUninit::uninit();
    // SAFETY: `image` is a place of the right type; the library does not touch the data.
    let wrapped = unsafe {
        aom_img_wrap(image.as_mut_ptr(), AOM_IMG_FMT_I420, size.width(), size.height(), 1, y)
    };
    if wrapped.is_null() {
        return Err(error("describe a picture", "it refused"));
    }
    // SAFETY: the call succeeded.
    let mut image = unsafe { image.assume_init() };
    // The library has taken the planes to lie one after another.
    for (place, plane) in image.planes.iter_mut().zip([y, u, v]) {
        *place = plane;
    }
    for (place, stride) in image.stride.iter_mut().zip([y_stride, uv_stride, uv_stride]) {
        *place = stride;
    }
    Ok(image)
}

fn checked(operation: &'static str, answer: aom_codec_err_t) -> Result<(), EncodeError> {
    if answer == AOM_CODEC_OK {
        return Ok(());
    }
    // SAFETY: the library answers every code with the address of a static string.
    let detail = unsafe { CStr::from_ptr(aom_codec_err_to_string(answer)) };
    Err(error(operation, &detail.to_string_lossy()))
}

fn error(operation: &'static str, detail: &str) -> EncodeError {
    EncodeError::Library { library: "libaom", operation, detail: detail.to_owned() }
}
