//! VP8 (RFC 6386) and VP9 by libvpx.

use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::time::Duration;

use visavis_types::{Bitrate, VideoCodec};
use vpx_sys::{
    VPX_CODEC_OK, VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION, VPX_FRAME_IS_KEY,
    vp8e_enc_control_id as control, vpx_codec_control_, vpx_codec_ctx_t, vpx_codec_cx_pkt_kind,
    vpx_codec_destroy, vpx_codec_enc_cfg_t, vpx_codec_enc_config_default, vpx_codec_enc_config_set,
    vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t, vpx_codec_err_to_string,
    vpx_codec_get_cx_data, vpx_codec_iface_t, vpx_codec_vp8_cx, vpx_codec_vp9_cx, vpx_image_t,
    vpx_img_fmt, vpx_img_wrap, vpx_kf_mode, vpx_rational, vpx_rc_mode,
};

use crate::clock::{Clock, TICKS_HZ, Tick};
use crate::{ColorMatrix, EncodeError, Encoded, I420Buffer, VideoEncoder, VideoEncoderConfig};

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

/// One thread, one reference per picture in effect, no look-ahead, no alternate reference.
pub(crate) struct VpxEncoder {
    codec: VideoCodec,
    vpx: Vpx,
    config: VideoEncoderConfig,
    clock: Clock,
    started: bool,
}

impl VpxEncoder {
    pub(crate) fn vp8(config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        // SAFETY: returns the address of a static description.
        let mut vpx =
            Vpx::new(unsafe { vpx_codec_vp8_cx() }, |settings| configure(settings, config))?;
        vpx.control("set the speed", control::VP8E_SET_CPUUSED, VP8_CPU_USED)?;
        vpx.control("set noise reduction", control::VP8E_SET_NOISE_SENSITIVITY, 0)?;
        vpx.control("set partitions", control::VP8E_SET_TOKEN_PARTITIONS, 0)?;
        Self::finish(VideoCodec::Vp8, vpx, VP8_MAX_INTRA_PERCENT, config)
    }

    pub(crate) fn vp9(config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        // SAFETY: returns the address of a static description.
        let mut vpx = Vpx::new(unsafe { vpx_codec_vp9_cx() }, |settings| {
            configure(settings, config);
            // Half of it is what the first keyframe may take.
            settings.rc_buf_initial_sz = VP9_INITIAL_BUFFER_MS;
            settings.rc_max_quantizer = VP9_MAX_QUANTIZER;
        })?;
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
        let clock = Clock::new(Duration::from_secs(1) / config.fps.max(1));
        Ok(Self { codec, vpx, config: *config, clock, started: false })
    }
}

impl VideoEncoder for VpxEncoder {
    fn codec(&self) -> VideoCodec {
        self.codec
    }

    fn encode(
        &mut self,
        picture: &I420Buffer,
        keyframe: bool,
        pts: Duration,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        self.config.check(picture)?;
        let force = keyframe || !self.started;
        let encoded = self.vpx.encode(picture, force, self.clock.tick(pts), out)?;
        self.started = true;
        Ok(encoded)
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        let before = self.vpx.settings.rc_target_bitrate;
        self.vpx.settings.rc_target_bitrate = kbps(bitrate);
        if self.vpx.apply_settings().is_err() {
            self.vpx.settings.rc_target_bitrate = before;
        }
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
    settings.rc_target_bitrate = kbps(config.bitrate);
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

    fn encode(
        &mut self,
        picture: &I420Buffer,
        keyframe: bool,
        tick: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let image = wrap(picture)?;
        let flags = if keyframe { i64::from(VPX_EFLAG_FORCE_KF) } else { 0 };
        // SAFETY: the context is initialized; the image describes the picture's planes, which are
        // read during the call only (there is no look-ahead).
        let answer = unsafe {
            let deadline = u64::from(VPX_DL_REALTIME);
            vpx_codec_encode(&mut *self.context, &image, tick.at, tick.length, flags, deadline)
        };
        checked("encode", answer)?;
        let mut encoded = Encoded { keyframe: false, skipped: true };
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
                encoded.skipped = false;
                encoded.keyframe = frame.flags & VPX_FRAME_IS_KEY != 0;
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
fn wrap(picture: &I420Buffer) -> Result<vpx_image_t, EncodeError> {
    let (size, data) = (picture.size(), picture.data().as_ptr().cast_mut());
    let mut image = MaybeUninit::uninit();
    // SAFETY: `image` is a place of the right type. With an alignment of 1 the library takes the
    // planes to lie one after another without padding, as they do; it does not touch the data.
    let wrapped = unsafe {
        let format = vpx_img_fmt::VPX_IMG_FMT_I420;
        vpx_img_wrap(image.as_mut_ptr(), format, size.width(), size.height(), 1, data)
    };
    if wrapped.is_null() {
        return Err(error("describe a picture", "it refused"));
    }
    // SAFETY: the call succeeded.
    Ok(unsafe { image.assume_init() })
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
