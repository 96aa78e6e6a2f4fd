use openh264_sys2::{
    CAMERA_VIDEO_REAL_TIME, CONSTANT_ID, LOW_COMPLEXITY, PRO_BASELINE, RC_BITRATE_MODE,
    RC_OFF_MODE, SEncParamExt, SM_SINGLE_SLICE,
};
use visavis_bitstream::h264::{self, VideoSignal};
use visavis_types::encoder::{
    EncodeError, Encoded, EncoderMaker, EncoderOffer, FrameControl, I420Planes, Picture,
    ReferenceId, SizeLimits, Unavailable, VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{Bitrate, CodecSet, FrameSize, I420Buffer, Layering, VideoCodec};

use super::intra::IntraModel;
use super::long_term::{LongTerm, REFERENCES, SliceHeader};
use super::wels::{NEVER, WelsEncoder, WelsError};
use crate::encoder::layering::{Kept, Places};
use crate::matrix::ColorMatrix;

/// Sizes openh264 encodes.
const SIZES: SizeLimits = SizeLimits { least: 16, longer: 3_840, shorter: 2_160 };
/// The most temporal layers it makes.
const MAX_TEMPORAL_LAYERS: u8 = 4;
/// The most frames per second its rate control counts with.
const MAX_RATE_CONTROL_FPS: u32 = 60;
/// Bitrates its rate control can work with.
const BITRATE_RANGE: (u64, u64) = (10_000, 400_000_000);
/// Quantizers of the pictures between keyframes: finer is wasted, coarser is not a picture.
const QP_RANGE: (i32, i32) = (12, 48);
/// How many frames' worth of bits a keyframe may take.
const KEYFRAME_BUDGET_FRAMES: f64 = 2.5;
/// How far over its budget a keyframe may be before it is encoded again, more coarsely.
const KEYFRAME_TOLERANCE: f64 = 1.1;
/// How much finer a keyframe could be before it is encoded again, more finely.
const KEYFRAME_QP_SLACK: i32 = 4;
/// How often a keyframe is encoded at most.
const KEYFRAME_ATTEMPTS: u32 = 3;
/// Quantizers of keyframes that there was no room for, one after the other.
const COARSER_QPS: [i32; 3] = [26, 34, 42];

/// Makes H264 encoders by openh264.
#[derive(Debug)]
pub(crate) struct OpenH264;

impl EncoderMaker for OpenH264 {
    fn name(&self) -> &'static str {
        "openh264"
    }

    fn codecs(&self) -> CodecSet {
        CodecSet::EMPTY.with(VideoCodec::H264)
    }

    fn offer(&self, _codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        Ok(offer())
    }

    fn make(
        &self,
        _codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(H264Encoder::new(config)?))
    }
}

fn offer() -> EncoderOffer {
    let (least, most) = BITRATE_RANGE;
    EncoderOffer::new()
        .sizes(SIZES)
        .bitrates(Bitrate::from_bps(least)..=Bitrate::from_bps(most))
        .temporal_layers(MAX_TEMPORAL_LAYERS)
        .references(REFERENCES)
}

/// Constrained baseline: no reordering, one slice per picture, one thread; one reference where there is one
/// temporal layer.
///
/// Keyframes do not pass through the library's rate control, which makes them six frames' worth of
/// bits and more: their quantizer is set here, from the size of the one before, and a keyframe that
/// misses its budget is encoded again. The rate control never hears of them.
struct H264Encoder {
    wels: WelsEncoder,
    /// What the encoder was made with, up to date with the bitrate.
    params: SEncParamExt,
    config: VideoEncoderConfig,
    signal: VideoSignal,
    intra: IntraModel,
    kept: Kept,
    /// Where any are to be kept.
    long_term: Option<LongTerm>,
    started: bool,
}

impl H264Encoder {
    fn new(config: &VideoEncoderConfig) -> Result<Self, EncodeError> {
        let size = config.size;
        let (width, height) = (size.width(), size.height());
        let matrix = ColorMatrix::for_stream(VideoCodec::H264, size);
        let (wels, params) = WelsEncoder::new(size, |params| configure(params, config))?;
        let mut encoder = Self {
            wels,
            params,
            config: *config,
            signal: VideoSignal::limited(matrix.code()),
            intra: IntraModel::new(width * height),
            kept: Kept::default(),
            long_term: (config.references > 0).then(LongTerm::default),
            started: false,
        };
        encoder.prime()?;
        Ok(encoder)
    }

    /// Lets the rate control see one keyframe, which it needs to set itself up; of a black picture
    /// that costs it no bits.
    fn prime(&mut self) -> Result<(), EncodeError> {
        let mut black = I420Buffer::new(self.config.size);
        black.fill_black();
        let planes = Picture::from(&black).i420(self.config.size)?;
        Ok(self.wels.encode(&planes, 0)?)
    }

    /// Encodes a keyframe within its budget, as far as that is possible.
    fn encode_keyframe(&mut self, picture: &I420Planes<'_>, pts_ms: i64) -> Result<(), WelsError> {
        self.wels.set_rate_control(RC_OFF_MODE)?;
        self.try_keyframes(picture, pts_ms)?;
        self.wels.set_rate_control(RC_BITRATE_MODE)?;
        self.started = true;
        Ok(())
    }

    /// Encodes a keyframe with a library's encoder that is new, as the one before has given itself up ([`most_bits`]): the
    /// first keyframe is encoded before anything is known of the pictures. More coarsely it takes less.
    fn begin_anew(&mut self, picture: &I420Planes<'_>, pts_ms: i64) -> Result<(), EncodeError> {
        let mut result = Ok(());
        for qp in COARSER_QPS {
            let config = self.config;
            let adjust = |params: &mut SEncParamExt| configure(params, &config);
            (self.wels, self.params) = WelsEncoder::new(config.size, adjust)?;
            self.prime()?;
            // As if one had just met the budget with it.
            self.intra.learn(qp, self.keyframe_budget_bits());
            result = self.encode_keyframe(picture, pts_ms);
            if result.is_ok() {
                break;
            }
        }
        Ok(result?)
    }

    /// What a keyframe may take.
    fn keyframe_budget_bits(&self) -> f64 {
        let frame_bits = self.config.bitrate.bps() as f64 / f64::from(self.config.fps);
        (frame_bits * KEYFRAME_BUDGET_FRAMES).min(most_bits(self.config.size) as f64)
    }

    fn try_keyframes(&mut self, picture: &I420Planes<'_>, pts_ms: i64) -> Result<(), WelsError> {
        let budget_bits = self.keyframe_budget_bits();
        let mut qp = self.intra.qp_for(budget_bits);
        for attempt in 1.. {
            self.params.sSpatialLayers[0].iDLayerQp = qp;
            self.wels.set_params(&mut self.params)?;
            self.wels.force_idr()?;
            self.wels.encode(picture, pts_ms)?;
            let bits = self.wels.nals().map(<[u8]>::len).sum::<usize>() as f64 * 8.0;
            self.intra.learn(qp, bits);
            let better = self.intra.qp_for(budget_bits);
            let too_large = bits > budget_bits * KEYFRAME_TOLERANCE && better > qp;
            // Of the first keyframe nothing was known, so it may turn out needlessly coarse. Only
            // the first attempt is refined, so that there is one left if that overshoots.
            let guessed = !self.started && attempt == 1;
            let too_small = guessed && qp - better >= KEYFRAME_QP_SLACK;
            if attempt == KEYFRAME_ATTEMPTS || !(too_large || too_small) {
                break;
            }
            qp = better;
        }
        Ok(())
    }

    /// Encodes a picture that is no keyframe.
    fn encode_predicted(
        &mut self,
        picture: &I420Planes<'_>,
        control: &FrameControl,
        pts_ms: i64,
    ) -> Result<(), WelsError> {
        let Some(long_term) = &self.long_term else { return self.wels.encode(picture, pts_ms) };
        // After a keyframe the library has no other reference, and would make another one.
        if control.recover && !long_term.follows_keyframe() {
            self.wels.recover()?;
        }
        if !control.keep_reference {
            return self.wels.encode(picture, pts_ms);
        }
        self.wels.keep_reference(true)?;
        let result = self.wels.encode(picture, pts_ms);
        self.wels.keep_reference(false)?;
        result
    }

    /// The picture encoded last, and what is kept with it.
    fn encoded(&mut self) -> Encoded {
        let keyframe = self.wels.is_idr();
        let mut encoded = Encoded::picture(keyframe).layers(self.layering(keyframe));
        if let Some(long_term) = &mut self.long_term {
            let units = self.wels.nals().filter_map(|unit| unit.get(h264::START_CODE.len()..));
            let mut slices = units.filter(|unit| h264::is_slice(h264::nal_type(unit)));
            if let Some(slice) = slices.next().and_then(SliceHeader::parse) {
                (encoded.reference, encoded.refers_to) = long_term.learn(slice);
            }
        }
        encoded
    }

    /// The place of the picture encoded last among temporal layers. The library refers to the newest picture of the
    /// layers up to the picture's own; nothing refers to those of the highest layer.
    fn layering(&mut self, keyframe: bool) -> Option<Layering> {
        let layers = self.config.temporal_layers;
        if layers < 2 {
            return None;
        }
        let layer = self.wels.temporal_layer();
        let up_to_it: Places = (2 << layer) - 1;
        let kept_in: Places = if layer + 1 < layers { 1 << layer } else { 0 };
        self.kept.next(layer, keyframe, self.kept.newest(up_to_it), kept_in)
    }

    /// Appends what was encoded to `out`.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for unit in self.wels.nals() {
            let bare = unit.get(h264::START_CODE.len()..).unwrap_or_default();
            out.extend_from_slice(&h264::START_CODE);
            if h264::nal_type(bare) == h264::SPS {
                h264::write_low_latency(bare, self.signal, out)
                    .map_err(|_| library_error("write an SPS", "it cannot be read"))?;
            } else {
                out.extend_from_slice(bare);
            }
        }
        Ok(())
    }
}

impl VideoEncoder for H264Encoder {
    fn codec(&self) -> VideoCodec {
        VideoCodec::H264
    }

    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let planes = picture.i420(self.config.size)?;
        let pts_ms = i64::try_from(control.pts.as_millis()).unwrap_or(i64::MAX);
        let (mut keyframe, long_term) =
            (control.keyframe || !self.started, self.long_term.as_ref());
        if control.recover {
            keyframe |= !long_term.ok_or(EncodeError::NoReferences)?.is_received();
        }
        let result = if keyframe {
            self.encode_keyframe(&planes, pts_ms)
        } else {
            self.encode_predicted(&planes, control, pts_ms)
        };
        if result.is_err() {
            self.begin_anew(&planes, pts_ms)?;
        }
        let before = out.len();
        self.write(out).inspect_err(|_| out.truncate(before))?;
        if out.len() == before {
            return Ok(Encoded::SKIPPED);
        }
        Ok(self.encoded())
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        let before = std::mem::replace(&mut self.config.bitrate, bitrate);
        let bps = rate_control_bps(&self.config);
        // Refused only for a bitrate of zero, which the range excludes.
        match self.wels.set_bitrate(bps) {
            Ok(()) => set_bitrate(&mut self.params, bps),
            Err(_) => self.config.bitrate = before,
        }
    }

    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        offer().check_frame_rate(fps)?;
        let FrameParams { fps: rate, .. } = FrameParams::of(&self.config.fps(fps));
        self.wels.set_frame_rate(rate)?;
        set_frame_rate(&mut self.params, rate);
        self.config.fps = fps;
        // What the rate control is told of it goes by the frame rate.
        self.set_bitrate(self.config.bitrate);
        Ok(())
    }

    fn set_temporal_layers(&mut self, layers: u8) -> Result<(), EncodeError> {
        let config = self.config.temporal_layers(layers);
        offer().check(VideoCodec::H264, &config)?;
        *self = Self::new(&config)?;
        Ok(())
    }

    fn reference_received(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        let long_term = self.long_term.as_mut().ok_or(EncodeError::NoReferences)?;
        let feedback = long_term.received(reference);
        Ok(feedback.map_or(Ok(()), |feedback| self.wels.reference_feedback(feedback))?)
    }

    fn reference_lost(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        let long_term = self.long_term.as_mut().ok_or(EncodeError::NoReferences)?;
        let feedback = long_term.lost(reference);
        Ok(feedback.map_or(Ok(()), |feedback| self.wels.reference_feedback(feedback))?)
    }
}

impl From<WelsError> for EncodeError {
    fn from(error: WelsError) -> Self {
        library_error(error.operation, &format!("error {}", error.code))
    }
}

fn library_error(operation: &'static str, detail: &str) -> EncodeError {
    EncodeError::Library { library: "openh264", operation, detail: detail.to_owned() }
}

fn configure(params: &mut SEncParamExt, config: &VideoEncoderConfig) {
    let FrameParams { fps, bps } = FrameParams::of(config);
    let (width, height) = (config.size.width() as i32, config.size.height() as i32);
    params.iUsageType = CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = width;
    params.iPicHeight = height;
    params.iRCMode = RC_BITRATE_MODE;
    params.iTemporalLayerNum = i32::from(config.temporal_layers);
    params.iSpatialLayerNum = 1;
    params.iComplexityMode = LOW_COMPLEXITY;
    params.uiIntraPeriod = 0;
    let long_term = if config.references > 0 { i32::from(REFERENCES) } else { 0 };
    params.iNumRefFrame = references(config.temporal_layers) + long_term;
    params.eSpsPpsIdStrategy = CONSTANT_ID;
    params.iEntropyCodingModeFlag = 0;
    params.bEnableFrameSkip = false;
    params.bEnableSceneChangeDetect = false;
    params.bEnableLongTermReference = long_term > 0;
    params.iLTRRefNum = long_term;
    params.iLtrMarkPeriod = NEVER;
    params.bEnableDenoise = false;
    params.iMultipleThreadIdc = 1;
    params.iMinQp = QP_RANGE.0;
    params.iMaxQp = QP_RANGE.1;
    let layer = &mut params.sSpatialLayers[0];
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.uiProfileIdc = PRO_BASELINE;
    layer.uiLevelIdc =
        i32::from(h264::level_for_stream(config.size, config.fps, config.bitrate.bps()));
    layer.sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
    layer.sSliceArgument.uiSliceNum = 1;
    set_frame_rate(params, fps);
    set_bitrate(params, bps);
}

/// How many pictures others refer to: half of those from one of the lowest layer to the next.
fn references(temporal_layers: u8) -> i32 {
    ((1 << temporal_layers.saturating_sub(1)) / 2).max(1)
}

fn set_frame_rate(params: &mut SEncParamExt, fps: f32) {
    params.fMaxFrameRate = fps;
    params.sSpatialLayers[0].fFrameRate = fps;
}

fn set_bitrate(params: &mut SEncParamExt, bps: i32) {
    params.iTargetBitrate = bps;
    params.sSpatialLayers[0].iSpatialBitrate = bps;
}

/// What the rate control is told.
struct FrameParams {
    fps: f32,
    bps: i32,
}

impl FrameParams {
    fn of(config: &VideoEncoderConfig) -> Self {
        Self { fps: config.fps.min(MAX_RATE_CONTROL_FPS) as f32, bps: rate_control_bps(config) }
    }
}

/// The bitrate that gives each frame its share, although the rate control believes in fewer frames
/// per second than there may be.
fn rate_control_bps(config: &VideoEncoderConfig) -> i32 {
    let fps = u64::from(config.fps.min(MAX_RATE_CONTROL_FPS));
    let share = config.bitrate.bps().min(BITRATE_RANGE.1) * fps / u64::from(config.fps.max(1));
    let bps = share.min(most_bits(config.size) * fps).clamp(BITRATE_RANGE.0, BITRATE_RANGE.1);
    i32::try_from(bps).unwrap_or(i32::MAX)
}

/// What a picture may take: half of what it is, which is finer than anybody sees. The library has room for the whole
/// of it, and gives itself up where one takes more, as noise does that is encoded too finely.
fn most_bits(size: FrameSize) -> u64 {
    u64::from(size.width()) * u64::from(size.height()) * 12 / 2
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use visavis_bitstream::h264::Sps;

    fn encoder(width: u32, height: u32) -> H264Encoder {
        let size = FrameSize::new(width, height).unwrap();
        let bitrate = Bitrate::from_kbps(1_000);
        H264Encoder::new(&VideoEncoderConfig::new(size, 30, bitrate)).unwrap()
    }

    fn grey(encoder: &H264Encoder) -> I420Buffer {
        let mut picture = I420Buffer::new(encoder.config.size);
        picture.planes_mut().into_iter().for_each(|plane| plane.fill(128));
        picture
    }

    #[test]
    fn every_keyframe_starts_with_parameter_sets_that_forbid_delay() {
        for (width, height, level, matrix) in [(512, 512, 30, 6), (1280, 720, 31, 1)] {
            let mut encoder = encoder(width, height);
            let picture = grey(&encoder);
            for n in 0..6 {
                let mut out = Vec::new();
                let pts = Duration::from_millis(33 * n);
                let control = FrameControl::at(pts).keyframe(n == 3);
                let encoded = encoder.encode(&(&picture).into(), &control, &mut out).unwrap();
                let units: Vec<&[u8]> = h264::nal_units(&out).collect();
                let kinds: Vec<u8> = units.iter().map(|unit| h264::nal_type(unit)).collect();
                if n % 3 != 0 {
                    assert_eq!((kinds, encoded.keyframe), (vec![1], false));
                    continue;
                }
                assert_eq!((kinds, encoded.keyframe), (vec![h264::SPS, 8, h264::IDR_SLICE], true));
                let sps = Sps::parse(units[0]).unwrap();
                assert_eq!((sps.profile_idc, sps.constraints >> 6), (66, 3));
                assert_eq!((sps.level_idc, sps.max_num_ref_frames), (level, 1));
                assert_eq!((sps.width, sps.height), (width, height));
                let restriction = sps.vui.restriction.unwrap();
                assert_eq!(restriction.max_num_reorder_frames, 0);
                assert_eq!(restriction.max_dec_frame_buffering, 1);
                let signal = sps.vui.signal.unwrap();
                assert_eq!((signal.full_range, signal.description), (false, Some([1, 1, matrix])));
            }
        }
    }

    #[test]
    fn a_quantizer_for_keyframes_does_not_restart_the_encoder() {
        let mut encoder = encoder(256, 256);
        let picture = grey(&encoder);
        let mut out = Vec::new();
        for n in 0..10 {
            encoder.params.sSpatialLayers[0].iDLayerQp = 20 + n;
            encoder.wels.set_params(&mut encoder.params).unwrap();
            let control = FrameControl::at(Duration::ZERO);
            let encoded = encoder.encode(&(&picture).into(), &control, &mut out).unwrap();
            assert_eq!(encoded.keyframe, n == 0);
        }
    }

    /// The library takes a missing assembler for a wish, and is three times slower then. The build
    /// refuses to start without one; this finds a library that was built earlier.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_library_was_built_with_its_assembly() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbol = b"WelsSampleSad16x16_sse2";
        assert!(program.windows(symbol.len()).any(|window| window == symbol));
    }
}
