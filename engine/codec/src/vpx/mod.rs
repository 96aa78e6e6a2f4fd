//! VP8 (RFC 6386) and VP9 by libvpx.

mod references;

use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::time::Duration;

use visavis_types::encoder::{
    EncodeError, Encoded, EncoderMaker, EncoderOffer, FrameControl, I420Planes, Picture,
    ReferenceId, Unavailable, VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{Bitrate, CodecSet, Layering, VideoCodec};
use vpx_sys::{
    VP8_EFLAG_NO_REF_ARF, VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_REF_LAST, VP8_EFLAG_NO_UPD_ARF,
    VP8_EFLAG_NO_UPD_ENTROPY, VP8_EFLAG_NO_UPD_GF, VP8_EFLAG_NO_UPD_LAST, VPX_CODEC_OK,
    VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION, VPX_ERROR_RESILIENT_DEFAULT,
    VPX_FRAME_IS_KEY, vp8e_enc_control_id as control, vp9e_temporal_layering_mode,
    vpx_codec_control_, vpx_codec_ctx_t, vpx_codec_cx_pkt_kind, vpx_codec_destroy,
    vpx_codec_enc_cfg_t, vpx_codec_enc_config_default, vpx_codec_enc_config_set,
    vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t, vpx_codec_err_to_string,
    vpx_codec_get_cx_data, vpx_codec_iface_t, vpx_codec_vp8_cx, vpx_codec_vp9_cx, vpx_image_t,
    vpx_img_fmt, vpx_img_wrap, vpx_kf_mode, vpx_rational, vpx_rc_mode, vpx_svc_layer_id,
};

use references::{REFERENCES, References};

use crate::encoder::clock::{Clock, TICKS_HZ, Tick};
use crate::encoder::layering::{Kept, Places};
use crate::matrix::ColorMatrix;

/// Below zero: this speed, whatever the load. Measured at 512x512, 1 Mbit/s, and 1280x720,
/// 1.5 Mbit/s: -8 is up to a fifth faster than -6 at the same quality, -12 gains next to nothing
/// over that, -16 loses 0.3 dB.
const VP8_CPU_USED: c_int = -8;
/// From 5 on, speeds made for calls.
const VP9_CPU_USED: c_int = 8;
/// Quantizers by how much of a picture's past repeats itself: for calls.
const VP9_CYCLIC_REFRESH: c_int = 3;
/// Keeps the first keyframe of a picture full of detail at three frames' share of the bitrate.
const VP9_INITIAL_BUFFER_MS: c_uint = 120;
const VP9_MAX_QUANTIZER: c_uint = 63;
/// `color_space` in the frame header (VP9 bitstream specification, §7.2.2).
const VP9_BT601: c_int = 1;
const VP9_BT709: c_int = 2;
/// `color_range`, in the same place.
const VP9_LIMITED_RANGE: c_int = 0;
/// How large a keyframe may be, in percent of a frame's share of the bitrate. VP9 takes up to half as much
/// again for pictures full of detail.
const VP8_MAX_INTRA_PERCENT: c_int = 300;
const VP9_MAX_INTRA_PERCENT: c_int = 200;
/// Bitrates that make sense to libvpx, which counts in kilobits.
const BITRATE_RANGE_KBPS: (u64, u64) = (10, 400_000);

/// The most temporal layers it makes.
const MAX_TEMPORAL_LAYERS: u8 = 3;

/// Makes VP8 and VP9 encoders by libvpx, as far as the build has them.
#[derive(Debug)]
pub(crate) struct Libvpx;

impl EncoderMaker for Libvpx {
    fn name(&self) -> &'static str {
        "libvpx"
    }

    fn codecs(&self) -> CodecSet {
        let built = [VideoCodec::Vp8, VideoCodec::Vp9]
            .into_iter()
            .filter(|&codec| crate::encoder::built::is_built(codec));
        built.fold(CodecSet::EMPTY, CodecSet::with)
    }

    fn offer(&self, codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        Ok(offer(codec))
    }

    fn make(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(VpxEncoder::new(codec, config)?))
    }
}

fn offer(codec: VideoCodec) -> EncoderOffer {
    let (least, most) = BITRATE_RANGE_KBPS;
    EncoderOffer::new()
        .bitrates(Bitrate::from_kbps(least)..=Bitrate::from_kbps(most))
        .temporal_layers(MAX_TEMPORAL_LAYERS)
        // A VP9 picture depends on earlier ones by more than its references: lost pictures cannot be skipped.
        .references(if codec == VideoCodec::Vp8 { REFERENCES } else { 0 })
}

/// One thread, no look-ahead, no alternate reference; one reference per picture in effect, where there is one
/// temporal layer.
struct VpxEncoder {
    codec: VideoCodec,
    vpx: Vpx,
    config: VideoEncoderConfig,
    clock: Clock,
    layers: Layers,
    kept: Kept,
    /// Where any are to be kept.
    references: Option<References>,
    started: bool,
}

impl VpxEncoder {
    fn new(codec: VideoCodec, config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        if codec == VideoCodec::Vp8 { Self::vp8(config) } else { Self::vp9(config) }
    }

    fn vp8(config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        // SAFETY: returns the address of a static description.
        let mut vpx = Vpx::new(unsafe { vpx_codec_vp8_cx() }, |settings| {
            configure(settings, config);
            // Otherwise it puts pictures of its own choice where references are kept.
            if config.references > 0 {
                settings.g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
            }
        })?;
        vpx.control("set the speed", control::VP8E_SET_CPUUSED, VP8_CPU_USED)?;
        vpx.control("set noise reduction", control::VP8E_SET_NOISE_SENSITIVITY, 0)?;
        vpx.control("set partitions", control::VP8E_SET_TOKEN_PARTITIONS, 0)?;
        Self::finish(VideoCodec::Vp8, vpx, VP8_MAX_INTRA_PERCENT, config)
    }

    fn vp9(config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        // SAFETY: returns the address of a static description.
        let mut vpx = Vpx::new(unsafe { vpx_codec_vp9_cx() }, |settings| {
            configure(settings, config);
            // Half of it is what the first keyframe may take.
            settings.rc_buf_initial_sz = VP9_INITIAL_BUFFER_MS;
            settings.rc_max_quantizer = VP9_MAX_QUANTIZER;
            // What pictures of higher layers teach of probabilities is not to be missed where they are left out.
            settings.g_error_resilient =
                if config.temporal_layers > 1 { VPX_ERROR_RESILIENT_DEFAULT } else { 0 };
        })?;
        if config.temporal_layers > 1 {
            vpx.control("set layers", control::VP9E_SET_SVC, 1)?;
        }
        vpx.control("set the speed", control::VP8E_SET_CPUUSED, VP9_CPU_USED)?;
        vpx.control("set noise reduction", control::VP9E_SET_NOISE_SENSITIVITY, 0)?;
        vpx.control("set quantizers", control::VP9E_SET_AQ_MODE, VP9_CYCLIC_REFRESH)?;
        let colors = match ColorMatrix::for_stream(VideoCodec::Vp9, config.size) {
            ColorMatrix::Bt601 => VP9_BT601,
            ColorMatrix::Bt709 => VP9_BT709,
        };
        vpx.control("name the colours", control::VP9E_SET_COLOR_SPACE, colors)?;
        vpx.control("name their range", control::VP9E_SET_COLOR_RANGE, VP9_LIMITED_RANGE)?;
        Self::finish(VideoCodec::Vp9, vpx, VP9_MAX_INTRA_PERCENT, config)
    }

    fn finish(
        codec: VideoCodec,
        mut vpx: Vpx,
        max_intra_percent: c_int,
        config: &VideoEncoderConfig,
    ) -> Result<Self, EncodeError> {
        vpx.control("set the static threshold", control::VP8E_SET_STATIC_THRESHOLD, 1)?;
        let limit = control::VP8E_SET_MAX_INTRA_BITRATE_PCT;
        vpx.control("limit keyframes", limit, max_intra_percent)?;
        let clock = Clock::new(interval(config.fps));
        let layers = Layers { pattern: Layers::pattern(config.temporal_layers), next: 0 };
        Ok(Self {
            codec,
            vpx,
            config: *config,
            clock,
            layers,
            kept: Kept::default(),
            references: (config.references > 0).then(References::default),
            started: false,
        })
    }
}

impl VpxEncoder {
    /// The place of a picture among temporal layers, of the flags that it was encoded with.
    fn layering(&mut self, layer: u8, keyframe: bool, flags: i64) -> Option<Layering> {
        if self.config.temporal_layers < 2 {
            return None;
        }
        let without = |flag: u32| flags & i64::from(flag) == 0;
        let places = |each: [u32; 3]| -> Places {
            let bits = each.into_iter().enumerate();
            bits.map(|(place, flag)| Places::from(without(flag)) << place).sum()
        };
        let refers_to = places([VP8_EFLAG_NO_REF_LAST, VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_REF_ARF]);
        let kept_in = places([VP8_EFLAG_NO_UPD_LAST, VP8_EFLAG_NO_UPD_GF, VP8_EFLAG_NO_UPD_ARF]);
        self.kept.next(layer, keyframe, refers_to, kept_in)
    }
}

impl VideoEncoder for VpxEncoder {
    fn codec(&self) -> VideoCodec {
        self.codec
    }

    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let planes = picture.i420(self.config.size)?;
        let keyframe = control.keyframe || !self.started;
        let references = self.references.as_ref();
        if control.recover && references.is_none() {
            return Err(EncodeError::NoReferences);
        }
        let plan = references.map(|references| references.plan(control, keyframe));
        let (layer, flags) = match plan {
            Some(plan) => (0, plan.flags),
            None => self.layers.next(keyframe),
        };
        if self.config.temporal_layers > 1 {
            self.vpx.set_layer(self.codec, layer)?;
        }
        let tick = self.clock.tick(control.pts);
        let encoded = self.vpx.encode(&planes, flags, tick, out)?;
        self.started = true;
        let Some(keyframe) = encoded else { return Ok(Encoded::SKIPPED) };
        let mut encoded = Encoded::picture(keyframe).layers(self.layering(layer, keyframe, flags));
        if let (Some(references), Some(plan)) = (&mut self.references, plan) {
            (encoded.reference, encoded.refers_to) = references.learn(plan);
        }
        Ok(encoded)
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        let before = *self.vpx.settings;
        set_bitrate(&mut self.vpx.settings, bitrate, self.config.temporal_layers);
        match self.vpx.apply_settings() {
            Ok(()) => self.config.bitrate = bitrate,
            Err(_) => *self.vpx.settings = before,
        }
    }

    /// The library goes by the times of pictures.
    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        offer(self.codec).check_frame_rate(fps)?;
        self.config.fps = fps;
        self.clock.set_interval(interval(fps));
        Ok(())
    }

    fn set_temporal_layers(&mut self, layers: u8) -> Result<(), EncodeError> {
        let config = self.config.temporal_layers(layers);
        offer(self.codec).check(self.codec, &config)?;
        *self = Self::new(self.codec, &config)?;
        Ok(())
    }

    fn reference_received(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        let references = self.references.as_mut().ok_or(EncodeError::NoReferences)?;
        references.received(reference);
        Ok(())
    }

    fn reference_lost(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        let references = self.references.as_mut().ok_or(EncodeError::NoReferences)?;
        references.lost(reference);
        Ok(())
    }
}

fn interval(fps: u32) -> Duration {
    Duration::from_secs(1) / fps.max(1)
}

/// Which layer each picture is in, and which of the three pictures that are kept it refers to and replaces.
struct Layers {
    pattern: &'static [(u8, u32)],
    next: usize,
}

/// From the picture of the lowest layer before it, which it replaces.
const LAYER_0: u32 = FROM_LAST | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF;
/// From the picture of the lowest layer before it; kept, in a place of its own.
const MIDDLE: u32 =
    FROM_LAST | VP8_EFLAG_NO_UPD_LAST | VP8_EFLAG_NO_UPD_ARF | VP8_EFLAG_NO_UPD_ENTROPY;
/// From the picture of the lowest layer before it; nothing refers to it.
const TOP: u32 = FROM_LAST | KEPT_NOWHERE;
/// As [`TOP`], and from the picture of the middle layer before it.
const TOP_AFTER_MIDDLE: u32 = VP8_EFLAG_NO_REF_ARF | KEPT_NOWHERE;
const FROM_LAST: u32 = VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF;
/// Nor does what it learns of probabilities stay: pictures of lower layers are to be decoded without it.
const KEPT_NOWHERE: u32 =
    VP8_EFLAG_NO_UPD_LAST | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF | VP8_EFLAG_NO_UPD_ENTROPY;

impl Layers {
    fn pattern(layers: u8) -> &'static [(u8, u32)] {
        match layers {
            0 | 1 => &[(0, 0)],
            2 => &[(0, LAYER_0), (1, TOP)],
            _ => &[(0, LAYER_0), (2, TOP), (1, MIDDLE), (2, TOP_AFTER_MIDDLE)],
        }
    }

    /// Percent of the bitrate for each layer and those below it, as libwebrtc shares it out.
    fn shares(layers: u8) -> &'static [u32] {
        match layers {
            0 | 1 => &[100],
            2 => &[60, 100],
            _ => &[40, 60, 100],
        }
    }

    /// The layer of the next picture, and the library's flags for it. A keyframe begins the pattern anew.
    fn next(&mut self, keyframe: bool) -> (u8, i64) {
        if keyframe {
            self.next = 1;
            return (0, i64::from(VPX_EFLAG_FORCE_KF));
        }
        let (layer, flags) =
            self.pattern.get(self.next % self.pattern.len()).copied().unwrap_or((0, 0));
        self.next = (self.next + 1) % self.pattern.len();
        (layer, i64::from(flags))
    }
}

fn kbps(bitrate: Bitrate) -> c_uint {
    let (least, most) = BITRATE_RANGE_KBPS;
    (bitrate.bps() / 1_000).clamp(least, most) as c_uint
}

fn configure(settings: &mut vpx_codec_enc_cfg_t, config: &VideoEncoderConfig) {
    settings.g_w = config.size.width();
    settings.g_h = config.size.height();
    settings.g_threads = 1;
    settings.g_timebase = vpx_rational { num: 1, den: TICKS_HZ as c_int };
    // What is lost is sent again, so frames need not be decodable without those before them.
    settings.g_error_resilient = 0;
    settings.g_lag_in_frames = 0;
    settings.rc_end_usage = vpx_rc_mode::VPX_CBR;
    settings.rc_dropframe_thresh = 0;
    settings.rc_resize_allowed = 0;
    settings.rc_min_quantizer = 2;
    settings.rc_max_quantizer = 60;
    settings.rc_undershoot_pct = 100;
    settings.rc_overshoot_pct = 15;
    // Milliseconds of stream: short, because what the encoder spends ahead, viewers wait for.
    settings.rc_buf_sz = 600;
    settings.rc_buf_initial_sz = 300;
    settings.rc_buf_optimal_sz = 400;
    settings.kf_mode = vpx_kf_mode::VPX_KF_DISABLED;
    set_layers(settings, config.temporal_layers);
    set_bitrate(settings, config.bitrate, config.temporal_layers);
}

fn set_layers(settings: &mut vpx_codec_enc_cfg_t, layers: u8) {
    if layers < 2 {
        return;
    }
    let pattern = Layers::pattern(layers);
    settings.ts_number_layers = layers.into();
    settings.ts_periodicity = pattern.len() as c_uint;
    for (to, (layer, _)) in settings.ts_layer_id.iter_mut().zip(pattern) {
        *to = (*layer).into();
    }
    for (to, layer) in settings.ts_rate_decimator.iter_mut().zip(0..layers) {
        *to = 1 << (layers - 1 - layer);
    }
    // Which picture is in which layer is said with each.
    settings.temporal_layering_mode =
        vp9e_temporal_layering_mode::VP9E_TEMPORAL_LAYERING_MODE_BYPASS as c_int;
}

fn set_bitrate(settings: &mut vpx_codec_enc_cfg_t, bitrate: Bitrate, layers: u8) {
    settings.rc_target_bitrate = kbps(bitrate);
    if layers < 2 {
        return;
    }
    let shares =
        Layers::shares(layers).iter().map(|share| settings.rc_target_bitrate * share / 100);
    let places = settings.ts_target_bitrate.iter_mut().zip(&mut settings.layer_target_bitrate);
    // VP8 reads the one, VP9 the other.
    for (share, (vp8, vp9)) in shares.zip(places) {
        (*vp8, *vp9) = (share, share);
    }
}

/// An encoder context of libvpx, initialized.
struct Vpx {
    /// Boxed, because the library remembers the address of the settings inside.
    context: Box<vpx_codec_ctx_t>,
    settings: Box<vpx_codec_enc_cfg_t>,
}

// SAFETY: a context may be used from any thread, by one at a time; every method takes `&mut self`.
unsafe impl Send for Vpx {}

impl Vpx {
    /// `codec` is one of the library's descriptions.
    fn new(
        codec: *mut vpx_codec_iface_t,
        adjust: impl FnOnce(&mut vpx_codec_enc_cfg_t),
    ) -> Result<Self, EncodeError> {
        let mut settings = MaybeUninit::uninit();
        // SAFETY: `settings` is a place of the right type, which the call fills on success.
        let answer = unsafe { vpx_codec_enc_config_default(codec, settings.as_mut_ptr(), 0) };
        checked("get defaults", answer)?;
        // SAFETY: the call succeeded.
        let mut settings = Box::new(unsafe { settings.assume_init() });
        adjust(&mut settings);
        // SAFETY: all zeros is what the library itself makes of a context before filling it: null
        // pointers and the error code for "no error".
        let mut context: Box<vpx_codec_ctx_t> =
            Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        let version = VPX_ENCODER_ABI_VERSION as c_int;
        // SAFETY: both are valid, and stay at their address as long as the context lives.
        let answer =
            unsafe { vpx_codec_enc_init_ver(&mut *context, codec, &*settings, 0, version) };
        // A context that failed to initialize has been destroyed already.
        checked("initialize", answer)?;
        Ok(Self { context, settings })
    }

    fn control(
        &mut self,
        operation: &'static str,
        id: control,
        value: c_int,
    ) -> Result<(), EncodeError> {
        // SAFETY: the context is initialized; each control used here takes one `int` (or an
        // `unsigned int`, which is passed alike).
        checked(operation, unsafe { vpx_codec_control_(&mut *self.context, id as c_int, value) })
    }

    fn apply_settings(&mut self) -> Result<(), EncodeError> {
        // SAFETY: the context is initialized and the settings are valid.
        let answer = unsafe { vpx_codec_enc_config_set(&mut *self.context, &*self.settings) };
        checked("change settings", answer)
    }

    /// Says in which temporal layer the next picture is.
    fn set_layer(&mut self, codec: VideoCodec, layer: u8) -> Result<(), EncodeError> {
        let layer = c_int::from(layer);
        if codec == VideoCodec::Vp8 {
            return self.control("name a layer", control::VP8E_SET_TEMPORAL_LAYER_ID, layer);
        }
        let mut id = vpx_svc_layer_id {
            spatial_layer_id: 0,
            temporal_layer_id: layer,
            temporal_layer_id_per_spatial: [layer; 5],
        };
        let control = control::VP9E_SET_SVC_LAYER_ID as c_int;
        // SAFETY: the context is initialized; this control takes the address of such an id and copies it.
        let answer = unsafe { vpx_codec_control_(&mut *self.context, control, &raw mut id) };
        checked("name a layer", answer)
    }

    /// Appends what a picture becomes; tells whether that is a keyframe, or that there is nothing.
    fn encode(
        &mut self,
        picture: &I420Planes<'_>,
        flags: i64,
        tick: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Option<bool>, EncodeError> {
        let image = describe(picture)?;
        // SAFETY: the context is initialized; the image describes the picture's planes, which are
        // read during the call only (there is no look-ahead).
        let answer = unsafe {
            let deadline = u64::from(VPX_DL_REALTIME);
            vpx_codec_encode(&mut *self.context, &image, tick.at, tick.length, flags, deadline)
        };
        checked("encode", answer)?;
        let mut encoded = None;
        let mut iterator = null();
        loop {
            // SAFETY: the context is initialized, the iterator starts at null and is passed back.
            let packet = unsafe { vpx_codec_get_cx_data(&mut *self.context, &mut iterator) };
            // SAFETY: a packet is valid until the next encode.
            let Some(packet) = (unsafe { packet.as_ref() }) else { return Ok(encoded) };
            if packet.kind != vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: `frame` is the member of the union that goes with this kind.
            let frame = unsafe { packet.data.frame };
            let length = frame.sz as usize;
            if length > 0 && !frame.buf.is_null() {
                // SAFETY: the packet owns this many bytes at this address.
                let data = unsafe { std::slice::from_raw_parts(frame.buf.cast::<u8>(), length) };
                out.extend_from_slice(data);
                encoded = Some(frame.flags & VPX_FRAME_IS_KEY != 0);
            }
        }
    }
}

impl Drop for Vpx {
    fn drop(&mut self) {
        // SAFETY: the context is initialized, and nothing uses it after this.
        unsafe { vpx_codec_destroy(&mut *self.context) };
    }
}

/// Describes a picture to libvpx, without copying it.
fn describe(picture: &I420Planes<'_>) -> Result<vpx_image_t, EncodeError> {
    let size = picture.size();
    let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
    let [y_stride, uv_stride] = picture.strides().map(|stride| stride as c_int);
    let mut image = MaybeUninit::uninit();
    // SAFETY: `image` is a place of the right type; the library does not touch the data.
    let wrapped = unsafe {
        let format = vpx_img_fmt::VPX_IMG_FMT_I420;
        vpx_img_wrap(image.as_mut_ptr(), format, size.width(), size.height(), 1, y)
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

fn checked(operation: &'static str, answer: vpx_codec_err_t) -> Result<(), EncodeError> {
    if answer == VPX_CODEC_OK {
        return Ok(());
    }
    // SAFETY: the library answers every code with the address of a static string.
    let detail = unsafe { CStr::from_ptr(vpx_codec_err_to_string(answer)) };
    Err(error(operation, &detail.to_string_lossy()))
}

fn error(operation: &'static str, detail: &str) -> EncodeError {
    EncodeError::Library { library: "libvpx", operation, detail: detail.to_owned() }
}
