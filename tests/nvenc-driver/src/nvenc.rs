//! The functions of `libnvidia-encode.so.1`: the table, sessions, and encoders.

use std::ffi::{c_char, c_int};

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;
use sys::NVENCSTATUS::{
    self, NV_ENC_ERR_DEVICE_NOT_EXIST, NV_ENC_ERR_ENCODER_NOT_INITIALIZED, NV_ENC_ERR_INVALID_CALL,
    NV_ENC_ERR_INVALID_DEVICE, NV_ENC_ERR_INVALID_PARAM, NV_ENC_ERR_INVALID_PTR,
    NV_ENC_ERR_INVALID_VERSION, NV_ENC_ERR_OUT_OF_MEMORY, NV_ENC_ERR_UNSUPPORTED_DEVICE,
    NV_ENC_ERR_UNSUPPORTED_PARAM, NV_ENC_SUCCESS,
};
use visavis_types::FrameSize;

use crate::call::{Answer, Raw, call, check_reserved, check_version, refuse, status};
use crate::cuda;
use crate::encode::{Settings, SoftwareEncoder};
use crate::resources;
use crate::session::Session;
use crate::state::{State, state};

/// The largest sides.
const MOST: u32 = 4_096;

#[unsafe(no_mangle)]
unsafe extern "C" fn NvEncodeAPIGetMaxSupportedVersion(version: *mut u32) -> NVENCSTATUS {
    let mut state = state();
    if let Some(failure) = state.failure("NvEncodeAPIGetMaxSupportedVersion") {
        return status(failure);
    }
    // SAFETY: C callers pass where it is to be written.
    unsafe { version.write(state.get("version") as u32) };
    NV_ENC_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn NvEncodeAPICreateInstance(
    table: *mut sys::NV_ENCODE_API_FUNCTION_LIST,
) -> NVENCSTATUS {
    let mut state = state();
    if let Some(failure) = state.failure("NvEncodeAPICreateInstance") {
        return status(failure);
    }
    // SAFETY: C callers pass such a structure.
    let table = unsafe { &mut *table };
    if table.version != sys::NV_ENCODE_API_FUNCTION_LIST_VER {
        state.violation("a function list of another version");
        return NV_ENC_ERR_INVALID_VERSION;
    }
    table.nvEncOpenEncodeSessionEx = Some(open);
    table.nvEncGetEncodeGUIDCount = Some(codec_count);
    table.nvEncGetEncodeGUIDs = Some(codecs);
    table.nvEncGetEncodeCaps = Some(capability);
    table.nvEncGetEncodePresetConfigEx = Some(preset);
    table.nvEncInitializeEncoder = Some(initialize);
    table.nvEncReconfigureEncoder = Some(reconfigure);
    table.nvEncInvalidateRefFrames = Some(invalidate);
    table.nvEncDestroyEncoder = Some(destroy);
    table.nvEncGetLastErrorString = Some(last_error);
    resources::fill(table);
    NV_ENC_SUCCESS
}

unsafe extern "C" fn open(
    params: *mut sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS,
    session: *mut Raw,
) -> NVENCSTATUS {
    // SAFETY: C callers pass such a structure, and where the session is to be written.
    let params = unsafe { &*params };
    let mut state = state();
    state.count("nvEncOpenEncodeSessionEx", 1);
    if let Some(failure) = state.failure("nvEncOpenEncodeSessionEx") {
        return status(failure);
    }
    let context = params.device as usize;
    let checked = check_version(
        &mut state,
        "NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS",
        params.version,
        sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER,
    )
    .and_then(|()| check_reserved(&mut state, "open", &params.reserved1, &params.reserved2));
    if let Err(status) = checked {
        return status;
    }
    if params.apiVersion != sys::NVENCAPI_VERSION {
        state.violation("a session of another version of the interface");
        return NV_ENC_ERR_INVALID_VERSION;
    }
    if params.deviceType != sys::NV_ENC_DEVICE_TYPE::NV_ENC_DEVICE_TYPE_CUDA
        || !cuda::is_context(&state, context)
        || cuda::current() != Some(context)
    {
        state.violation("a session of no context, or of one that is not current");
        return NV_ENC_ERR_INVALID_DEVICE;
    }
    if state.get("lost") != 0 {
        return NV_ENC_ERR_DEVICE_NOT_EXIST;
    }
    if state.get("encoder") == 0 {
        return NV_ENC_ERR_UNSUPPORTED_DEVICE;
    }
    if state.sessions.len() as i64 >= state.get("sessions_max") {
        return NV_ENC_ERR_OUT_OF_MEMORY;
    }
    let handle = state.handle();
    state.sessions.insert(handle, Session::new(context));
    state.count("opened", 1);
    // SAFETY: as above.
    unsafe { session.write(handle as Raw) };
    NV_ENC_SUCCESS
}

unsafe extern "C" fn codec_count(session: Raw, count: *mut u32) -> NVENCSTATUS {
    call("nvEncGetEncodeGUIDCount", session, false, |state| {
        // SAFETY: C callers pass where it is to be written.
        unsafe { count.write(1 + state.get("h264") as u32) };
        Ok(())
    })
}

unsafe extern "C" fn codecs(
    session: Raw,
    guids: *mut sys::GUID,
    room: u32,
    written: *mut u32,
) -> NVENCSTATUS {
    call("nvEncGetEncodeGUIDs", session, false, |state| {
        let mut codecs = vec![sys::NV_ENC_CODEC_HEVC_GUID];
        if state.get("h264") != 0 {
            codecs.push(sys::NV_ENC_CODEC_H264_GUID);
        }
        codecs.truncate(room as usize);
        // SAFETY: there is room for as many, as the caller says.
        unsafe {
            std::ptr::copy_nonoverlapping(codecs.as_ptr(), guids, codecs.len());
            written.write(codecs.len() as u32);
        }
        Ok(())
    })
}

unsafe extern "C" fn capability(
    session: Raw,
    codec: sys::GUID,
    params: *mut sys::NV_ENC_CAPS_PARAM,
    value: *mut c_int,
) -> NVENCSTATUS {
    use sys::NV_ENC_CAPS as Caps;

    call("nvEncGetEncodeCaps", session, false, |state| {
        // SAFETY: C callers pass such a structure, and where the value is to be written.
        let params = unsafe { &*params };
        check_version(state, "NV_ENC_CAPS_PARAM", params.version, sys::NV_ENC_CAPS_PARAM_VER)?;
        if codec != sys::NV_ENC_CODEC_H264_GUID {
            return refuse(state, "capabilities of another codec", NV_ENC_ERR_INVALID_PARAM);
        }
        let found = match params.capsToQuery {
            Caps::NV_ENC_CAPS_WIDTH_MAX | Caps::NV_ENC_CAPS_HEIGHT_MAX => i64::from(MOST),
            Caps::NV_ENC_CAPS_WIDTH_MIN => state.get("min_width"),
            Caps::NV_ENC_CAPS_HEIGHT_MIN => state.get("min_height"),
            Caps::NV_ENC_CAPS_NUM_MAX_LTR_FRAMES => state.get("ltr"),
            Caps::NV_ENC_CAPS_SUPPORT_REF_PIC_INVALIDATION => 1,
            Caps::NV_ENC_CAPS_SUPPORT_TEMPORAL_SVC => 1,
            Caps::NV_ENC_CAPS_NUM_MAX_TEMPORAL_LAYERS => state.get("layers"),
            _ => return refuse(state, "a capability that nobody needs", NV_ENC_ERR_INVALID_PARAM),
        };
        // SAFETY: as above.
        unsafe { value.write(found as c_int) };
        Ok(())
    })
}

unsafe extern "C" fn preset(
    session: Raw,
    codec: sys::GUID,
    preset: sys::GUID,
    tuning: sys::NV_ENC_TUNING_INFO,
    config: *mut sys::NV_ENC_PRESET_CONFIG,
) -> NVENCSTATUS {
    call("nvEncGetEncodePresetConfigEx", session, false, |state| {
        // SAFETY: C callers pass such a structure, all zero but for its versions, which are read where they lie.
        let (version, inner) = unsafe { ((*config).version, (*config).presetCfg.version) };
        check_version(state, "NV_ENC_PRESET_CONFIG", version, sys::NV_ENC_PRESET_CONFIG_VER)?;
        check_version(state, "NV_ENC_CONFIG", inner, sys::NV_ENC_CONFIG_VER)?;
        if codec != sys::NV_ENC_CODEC_H264_GUID || preset_number(&preset).is_none() {
            return refuse(state, "a preset that is unknown", NV_ENC_ERR_UNSUPPORTED_PARAM);
        }
        if tuning != sys::NV_ENC_TUNING_INFO::NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY {
            return refuse(state, "another tuning", NV_ENC_ERR_UNSUPPORTED_PARAM);
        }
        // What must not stay as it is, with an enum of a newer header among it.
        // SAFETY: as above; numbers are written where numbers, or enums of that size, lie.
        unsafe {
            let config = &raw mut (*config).presetCfg;
            (*config).gopLength = 250;
            (*config).frameIntervalP = 3;
            (&raw mut (*config).rcParams.multiPass).cast::<u32>().write(77);
            (*config).rcParams.lookaheadDepth = 8;
        }
        Ok(())
    })
}

fn preset_number(preset: &sys::GUID) -> Option<u32> {
    let presets = [
        sys::NV_ENC_PRESET_P1_GUID,
        sys::NV_ENC_PRESET_P2_GUID,
        sys::NV_ENC_PRESET_P3_GUID,
        sys::NV_ENC_PRESET_P4_GUID,
    ];
    (1..).zip(presets).find(|(_, guid)| guid == preset).map(|(number, _)| number)
}

/// What an encoder is set up with, held to what the header says, and to what a session of ours is for.
fn settings(
    state: &mut State,
    init: &sys::NV_ENC_INITIALIZE_PARAMS,
) -> Result<Settings, NVENCSTATUS> {
    use sys::NV_ENC_PARAMS_RC_MODE::NV_ENC_PARAMS_RC_CBR;

    check_version(
        state,
        "NV_ENC_INITIALIZE_PARAMS",
        init.version,
        sys::NV_ENC_INITIALIZE_PARAMS_VER,
    )?;
    check_reserved(state, "NV_ENC_INITIALIZE_PARAMS", &init.reserved, &init.reserved2)?;
    if init.encodeConfig.is_null() || !init.privData.is_null() {
        refuse(state, "no configuration", NV_ENC_ERR_INVALID_PTR)?;
    }
    // SAFETY: it is not null, and C callers pass such a structure.
    let config = unsafe { &*init.encodeConfig };
    let rc = &config.rcParams;
    check_version(state, "NV_ENC_CONFIG", config.version, sys::NV_ENC_CONFIG_VER)?;
    check_version(state, "NV_ENC_RC_PARAMS", rc.version, sys::NV_ENC_RC_PARAMS_VER)?;
    check_reserved(state, "NV_ENC_CONFIG", &config.reserved, &config.reserved2)?;
    // SAFETY: the session's codec is H264.
    let h264 = unsafe { &config.encodeCodecConfig.h264Config };
    check_reserved(state, "NV_ENC_CONFIG_H264", &h264.reserved1, &h264.reserved2)?;
    let preset = preset_number(&init.presetGUID).unwrap_or(0);
    let fps = init.frameRateNum.checked_div(init.frameRateDen).unwrap_or(0);
    let (width, height) = (init.encodeWidth, init.encodeHeight);
    let (ltr, layers) = (state.get("ltr") as u32, state.get("layers") as u32);
    let conditions = [
        (init.encodeGUID == sys::NV_ENC_CODEC_H264_GUID, "another codec"),
        (preset > 0, "a preset that is unknown"),
        (
            init.tuningInfo == sys::NV_ENC_TUNING_INFO::NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY,
            "another tuning",
        ),
        (init.enableEncodeAsync == 0, "the asynchronous mode, which is for Windows"),
        (init.enablePTD == 1, "picture types of the caller's"),
        (i64::from(width) >= state.get("min_width") && width <= MOST, "a width out of range"),
        (i64::from(height) >= state.get("min_height") && height <= MOST, "a height out of range"),
        (width.is_multiple_of(2) && height.is_multiple_of(2), "an odd size"),
        (init.maxEncodeWidth >= width && init.maxEncodeHeight >= height, "more than the most"),
        ((1..=240).contains(&fps), "a frame rate out of range"),
        (config.profileGUID == sys::NV_ENC_H264_PROFILE_BASELINE_GUID, "another profile"),
        (config.frameIntervalP == 1, "B frames"),
        (config.gopLength == u32::MAX && h264.idrPeriod == u32::MAX, "keyframes nobody asked for"),
        (rc.rateControlMode == NV_ENC_PARAMS_RC_CBR, "no constant bitrate"),
        (rc.averageBitRate > 0 && rc.maxBitRate >= rc.averageBitRate, "no bitrate"),
        (
            rc.vbvBufferSize == rc.averageBitRate / fps.max(1),
            "a buffer of more or less than a picture",
        ),
        (rc.vbvInitialDelay <= rc.vbvBufferSize, "a delay beyond the buffer"),
        (rc.enableLookahead() == 0 && rc.lookaheadDepth == 0, "look-ahead"),
        (rc.zeroReorderDelay() == 1, "reordering"),
        (h264.repeatSPSPPS() == 1 && h264.disableSPSPPS() == 0, "keyframes without parameter sets"),
        (h264.h264VUIParameters.bitstreamRestrictionFlag == 1, "nothing said of reordering"),
        (h264.chromaFormatIDC == 1, "another chroma format"),
        (h264.sliceMode == 3 && h264.sliceModeData >= 1, "slices of another kind"),
        (h264.numTemporalLayers <= layers, "more temporal layers than there can be"),
        (h264.ltrNumFrames <= ltr && h264.ltrTrustMode == 0, "long-term references out of range"),
        (
            (h264.ltrNumFrames > 0) == (h264.enableLTR() == 1),
            "long-term references half switched on",
        ),
        (h264.maxNumRefFrames > h264.ltrNumFrames, "no room for references"),
    ];
    for (holds, what) in conditions {
        if !holds {
            refuse(state, what, NV_ENC_ERR_INVALID_PARAM)?;
        }
    }
    let Ok(size) = FrameSize::new(width, height) else { return Err(NV_ENC_ERR_INVALID_PARAM) };
    for (key, value) in [
        ("config.bps", rc.averageBitRate),
        ("config.vbv_bits", rc.vbvBufferSize),
        ("config.fps", fps),
        ("config.preset", preset),
        ("config.two_pass", rc.multiPass as u32),
    ] {
        state.set(key, value.into());
    }
    Ok(Settings {
        size,
        fps,
        bps: rc.averageBitRate,
        preset,
        long_term: h264.ltrNumFrames,
        layers: h264.numTemporalLayers,
    })
}

fn initialize_in(
    state: &mut State,
    session: usize,
    init: &sys::NV_ENC_INITIALIZE_PARAMS,
) -> Answer {
    let settings = settings(state, init)?;
    let encoder = SoftwareEncoder::new(&settings).ok_or(NV_ENC_ERR_INVALID_PARAM)?;
    let Some(session) = state.sessions.get_mut(&session) else {
        return Err(NV_ENC_ERR_INVALID_PTR);
    };
    if session.encoder.is_some() {
        return refuse(state, "an encoder is set up already", NV_ENC_ERR_INVALID_CALL);
    }
    session.encoder = Some(encoder);
    Ok(())
}

unsafe extern "C" fn initialize(
    session: Raw,
    init: *mut sys::NV_ENC_INITIALIZE_PARAMS,
) -> NVENCSTATUS {
    call("nvEncInitializeEncoder", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        initialize_in(state, session as usize, unsafe { &*init })
    })
}

unsafe extern "C" fn reconfigure(
    session: Raw,
    params: *mut sys::NV_ENC_RECONFIGURE_PARAMS,
) -> NVENCSTATUS {
    call("nvEncReconfigureEncoder", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        let params = unsafe { &*params };
        check_version(
            state,
            "NV_ENC_RECONFIGURE_PARAMS",
            params.version,
            sys::NV_ENC_RECONFIGURE_PARAMS_VER,
        )?;
        let settings = settings(state, &params.reInitEncodeParams)?;
        let resets = params.resetEncoder() + params.forceIDR() > 0;
        state.count("reconfigured", 1);
        let session = state.sessions.get_mut(&(session as usize));
        let Some(encoder) = session.and_then(|session| session.encoder.as_mut()) else {
            return refuse(state, "no encoder is set up", NV_ENC_ERR_ENCODER_NOT_INITIALIZED);
        };
        let same = (encoder.size, encoder.preset, encoder.long_term, encoder.layers)
            == (settings.size, settings.preset, settings.long_term, settings.layers);
        if !same || resets {
            return refuse(state, "more is changed than the rate", NV_ENC_ERR_INVALID_PARAM);
        }
        match encoder.set_rate(settings.bps, settings.fps) {
            true => Ok(()),
            false => Err(NV_ENC_ERR_INVALID_PARAM),
        }
    })
}

unsafe extern "C" fn invalidate(session: Raw, timestamp: u64) -> NVENCSTATUS {
    call("nvEncInvalidateRefFrames", session, false, |state| {
        state.count("invalidated", 1);
        let session = state.sessions.get_mut(&(session as usize));
        let Some(encoder) = session.and_then(|session| session.encoder.as_mut()) else {
            return refuse(state, "no encoder is set up", NV_ENC_ERR_ENCODER_NOT_INITIALIZED);
        };
        if encoder.invalidate(timestamp) {
            return Ok(());
        }
        refuse(state, "no picture had this time", NV_ENC_ERR_INVALID_PARAM)
    })
}

unsafe extern "C" fn destroy(session: Raw) -> NVENCSTATUS {
    call("nvEncDestroyEncoder", session, true, |state| {
        let Some(session) = state.sessions.remove(&(session as usize)) else {
            return Err(NV_ENC_ERR_INVALID_PTR);
        };
        let left = session.inputs.len()
            + session.bitstreams.len()
            + session.registered.len()
            + session.mapped.len();
        match left {
            0 => Ok(()),
            _ => refuse(state, "buffers or resources are left", NV_ENC_ERR_INVALID_CALL),
        }
    })
}

unsafe extern "C" fn last_error(session: Raw) -> *const c_char {
    let state = state();
    let session = state.sessions.get(&(session as usize));
    session.map_or(std::ptr::null(), |session| session.last_error.as_ptr().cast())
}
