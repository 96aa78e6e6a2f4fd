//! What a session is configured with: no delay, constant bitrate, keyframes only where they are asked for.

use std::mem::MaybeUninit;

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;
use visavis_types::encoder::VideoEncoderConfig;
use visavis_types::{Bitrate, FrameSize};

use crate::config::{NvencConfig, Preset};
use crate::references::REFERENCES;

/// Bitrates that are set; others are brought to the nearest.
const BITRATE_RANGE: (u64, u64) = (10_000, 400_000_000);
/// The rows from which pictures have the colours of BT.709 instead of BT.601.
const HD_ROWS: u32 = 720;
/// One slice for each picture (`sliceMode`: so many slices).
const SLICES: (u32, u32) = (3, 1);

/// A structure of NVENC: all zero except for what is set. Its fields are written where they lie, as zero is no value
/// of some.
pub(crate) fn zeroed<T>() -> Box<MaybeUninit<T>> {
    Box::new(MaybeUninit::zeroed())
}

/// `matrix_coefficients` of ITU-T H.273.
pub(crate) fn matrix(size: FrameSize) -> u8 {
    if size.height() >= HD_ROWS { 1 } else { 6 }
}

/// The GUID of a preset.
pub(crate) fn preset_guid(config: &NvencConfig, session: &VideoEncoderConfig) -> sys::GUID {
    match config.preset.unwrap_or_else(|| Preset::chosen(session.size, session.fps)) {
        Preset::P1 => sys::NV_ENC_PRESET_P1_GUID,
        Preset::P2 => sys::NV_ENC_PRESET_P2_GUID,
        Preset::P3 => sys::NV_ENC_PRESET_P3_GUID,
        Preset::P4 => sys::NV_ENC_PRESET_P4_GUID,
    }
}

pub(crate) fn bits_per_second(bitrate: Bitrate) -> u32 {
    u32::try_from(bitrate.bps().clamp(BITRATE_RANGE.0, BITRATE_RANGE.1)).unwrap_or(u32::MAX)
}

/// Sets what makes up the rate: a buffer of one picture, so that no picture is much larger than another.
pub(crate) fn set_rate(rc: &mut sys::NV_ENC_RC_PARAMS, bitrate: Bitrate, fps: u32) {
    let bps = bits_per_second(bitrate);
    rc.averageBitRate = bps;
    rc.maxBitRate = bps;
    rc.vbvBufferSize = bps / fps.max(1);
    rc.vbvInitialDelay = rc.vbvBufferSize;
}

/// Makes a preset's configuration ours.
///
/// # Safety
///
/// `config` is zeroed, or what the driver wrote for a preset of H264.
pub(crate) unsafe fn configure(
    config: *mut sys::NV_ENC_CONFIG,
    maker: &NvencConfig,
    session: &VideoEncoderConfig,
) {
    use sys::NV_ENC_MULTI_PASS::{NV_ENC_MULTI_PASS_DISABLED, NV_ENC_TWO_PASS_QUARTER_RESOLUTION};

    // Enums are written before a reference to what they are in is made: a newer driver may have set them to values
    // that the bindings do not know.
    // SAFETY: the caller gives memory of this type. All other fields are numbers, pointers that are not read here, and
    // unions of such.
    unsafe {
        (*config).version = sys::NV_ENC_CONFIG_VER;
        (*config).profileGUID = sys::NV_ENC_H264_PROFILE_BASELINE_GUID;
        (*config).gopLength = sys::NVENC_INFINITE_GOPLENGTH;
        (*config).frameIntervalP = 1;
        (*config).monoChromeEncoding = 0;
        (*config).frameFieldMode =
            sys::NV_ENC_PARAMS_FRAME_FIELD_MODE::NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME;
        (*config).mvPrecision = sys::NV_ENC_MV_PRECISION::NV_ENC_MV_PRECISION_QUARTER_PEL;
        (*config).rcParams.rateControlMode = sys::NV_ENC_PARAMS_RC_MODE::NV_ENC_PARAMS_RC_CBR;
        (*config).rcParams.qpMapMode = sys::NV_ENC_QP_MAP_MODE::NV_ENC_QP_MAP_DISABLED;
        (*config).rcParams.multiPass = match maker.two_pass {
            true => NV_ENC_TWO_PASS_QUARTER_RESOLUTION,
            false => NV_ENC_MULTI_PASS_DISABLED,
        };
    }
    // SAFETY: as above; its enums have just been written.
    let rc = unsafe { &mut (*config).rcParams };
    rc.version = sys::NV_ENC_RC_PARAMS_VER;
    set_rate(rc, session.bitrate, session.fps);
    rc.set_enableLookahead(0);
    rc.lookaheadDepth = 0;
    rc.set_zeroReorderDelay(1);
    rc.set_enableNonRefP(0);
    // A keyframe of two pictures' bits at most: more would be a queue at the viewer's network.
    rc.lowDelayKeyFrameScale = 2;

    // SAFETY: as above. A union holds whatever bytes there are; which of its members is meant the codec says.
    let h264 = unsafe { &raw mut (*config).encodeCodecConfig.h264Config };
    // SAFETY: as above, and the VUI's enums are among those written.
    let (h264, vui) = unsafe {
        (*h264).adaptiveTransformMode =
            sys::NV_ENC_H264_ADAPTIVE_TRANSFORM_MODE::NV_ENC_H264_ADAPTIVE_TRANSFORM_AUTOSELECT;
        (*h264).fmoMode = sys::NV_ENC_H264_FMO_MODE::NV_ENC_H264_FMO_AUTOSELECT;
        (*h264).bdirectMode = sys::NV_ENC_H264_BDIRECT_MODE::NV_ENC_H264_BDIRECT_MODE_AUTOSELECT;
        (*h264).entropyCodingMode =
            sys::NV_ENC_H264_ENTROPY_CODING_MODE::NV_ENC_H264_ENTROPY_CODING_MODE_CAVLC;
        (*h264).stereoMode = sys::NV_ENC_STEREO_PACKING_MODE::NV_ENC_STEREO_PACKING_MODE_NONE;
        (*h264).useBFramesAsRef = sys::NV_ENC_BFRAME_REF_MODE::NV_ENC_BFRAME_REF_MODE_DISABLED;
        (*h264).numRefL0 = sys::NV_ENC_NUM_REF_FRAMES::NV_ENC_NUM_REF_FRAMES_1;
        (*h264).numRefL1 = sys::NV_ENC_NUM_REF_FRAMES::NV_ENC_NUM_REF_FRAMES_AUTOSELECT;
        let vui = &raw mut (*h264).h264VUIParameters;
        (*vui).videoFormat = sys::NV_ENC_VUI_VIDEO_FORMAT::NV_ENC_VUI_VIDEO_FORMAT_UNSPECIFIED;
        (*vui).colourPrimaries = sys::NV_ENC_VUI_COLOR_PRIMARIES::NV_ENC_VUI_COLOR_PRIMARIES_BT709;
        (*vui).transferCharacteristics =
            sys::NV_ENC_VUI_TRANSFER_CHARACTERISTIC::NV_ENC_VUI_TRANSFER_CHARACTERISTIC_BT709;
        (*vui).colourMatrix = match matrix(session.size) {
            1 => sys::NV_ENC_VUI_MATRIX_COEFFS::NV_ENC_VUI_MATRIX_COEFFS_BT709,
            _ => sys::NV_ENC_VUI_MATRIX_COEFFS::NV_ENC_VUI_MATRIX_COEFFS_SMPTE170M,
        };
        (&mut *h264, &mut *vui)
    };
    vui.videoSignalTypePresentFlag = 1;
    vui.videoFullRangeFlag = 0;
    vui.colourDescriptionPresentFlag = 1;
    // Without it some decoders hold back up to 16 pictures.
    vui.bitstreamRestrictionFlag = 1;

    h264.idrPeriod = sys::NVENC_INFINITE_GOPLENGTH;
    h264.set_repeatSPSPPS(1);
    h264.set_disableSPSPPS(0);
    h264.set_outputAUD(0);
    h264.set_outputBufferingPeriodSEI(0);
    h264.set_outputPictureTimingSEI(0);
    h264.set_enableIntraRefresh(0);
    // Constant bitrate is a ceiling here: a still picture may take less.
    h264.set_enableFillerDataInsertion(0);
    h264.chromaFormatIDC = 1;
    (h264.sliceMode, h264.sliceModeData) = SLICES;
    let long_term = if session.references > 0 { u32::from(REFERENCES) } else { 0 };
    h264.set_enableLTR((long_term > 0).into());
    h264.ltrNumFrames = long_term;
    h264.ltrTrustMode = 0;
    h264.maxNumRefFrames = 1 + long_term;
    let layers = u32::from(session.temporal_layers);
    h264.set_enableTemporalSVC((layers > 1).into());
    h264.set_disableSVCPrefixNalu(1);
    h264.set_enableScalabilityInfoSEI(0);
    h264.numTemporalLayers = layers;
    h264.maxTemporalLayers = layers;
}

/// How an encoder is set up, or set up anew.
///
/// # Safety
///
/// `init` is zeroed; `config` outlives the calls that `init` is given to.
pub(crate) unsafe fn initialize(
    init: *mut sys::NV_ENC_INITIALIZE_PARAMS,
    config: *mut sys::NV_ENC_CONFIG,
    preset: sys::GUID,
    session: &VideoEncoderConfig,
) {
    let (width, height) = (session.size.width(), session.size.height());
    // SAFETY: the caller gives memory of this type, whose fields are written where they lie.
    unsafe {
        (*init).version = sys::NV_ENC_INITIALIZE_PARAMS_VER;
        (*init).encodeGUID = sys::NV_ENC_CODEC_H264_GUID;
        (*init).presetGUID = preset;
        (*init).encodeWidth = width;
        (*init).encodeHeight = height;
        (*init).darWidth = width;
        (*init).darHeight = height;
        (*init).maxEncodeWidth = width;
        (*init).maxEncodeHeight = height;
        (*init).frameRateNum = session.fps;
        (*init).frameRateDen = 1;
        // The asynchronous mode is for Windows.
        (*init).enableEncodeAsync = 0;
        (*init).enablePTD = 1;
        (*init).encodeConfig = config;
        (*init).tuningInfo = TUNING;
    }
}

/// No picture waits for another.
pub(crate) const TUNING: sys::NV_ENC_TUNING_INFO =
    sys::NV_ENC_TUNING_INFO::NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_one_picture() {
        let size = FrameSize::new(512, 512).unwrap();
        let session = VideoEncoderConfig::new(size, 25, Bitrate::from_kbps(1_000)).references(2);
        let mut config = zeroed::<sys::NV_ENC_CONFIG>();
        // SAFETY: zeroed.
        let config = unsafe {
            configure(config.as_mut_ptr(), &NvencConfig::default().two_pass(true), &session);
            config.assume_init_ref()
        };
        let rc = &config.rcParams;
        assert_eq!((rc.averageBitRate, rc.vbvBufferSize), (1_000_000, 40_000));
        assert_eq!((rc.enableLookahead(), rc.zeroReorderDelay()), (0, 1));
        assert_eq!((config.gopLength, config.frameIntervalP), (u32::MAX, 1));
        // SAFETY: it is H264's.
        let h264 = unsafe { &config.encodeCodecConfig.h264Config };
        assert_eq!((h264.maxNumRefFrames, h264.ltrNumFrames, h264.enableLTR()), (3, 2, 1));
        assert_eq!((h264.repeatSPSPPS(), h264.h264VUIParameters.bitstreamRestrictionFlag), (1, 1));
    }

    #[test]
    fn colours_go_by_the_size_as_everywhere() {
        use visavis_codec::ColorMatrix;

        for (width, height) in [(512, 512), (1_280, 718), (1_280, 720), (720, 1_280)] {
            let size = FrameSize::new(width, height).unwrap();
            assert_eq!(matrix(size), ColorMatrix::for_size(size).code());
        }
    }

    #[test]
    fn bitrates_are_brought_into_range() {
        assert_eq!(bits_per_second(Bitrate::from_bps(1)), 10_000);
        assert_eq!(bits_per_second(Bitrate::from_bps(u64::MAX)), 400_000_000);
    }
}
