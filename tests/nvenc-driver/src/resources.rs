//! Buffers, registered memory, and a picture's way through them.

use std::thread;
use std::time::Duration;

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;
use sys::NVENCSTATUS::{
    self, NV_ENC_ERR_ENCODER_NOT_INITIALIZED, NV_ENC_ERR_GENERIC, NV_ENC_ERR_INVALID_PARAM,
    NV_ENC_ERR_INVALID_PTR, NV_ENC_ERR_RESOURCE_NOT_MAPPED, NV_ENC_ERR_RESOURCE_NOT_REGISTERED,
    NV_ENC_ERR_RESOURCE_REGISTER_FAILED,
};
use visavis_types::FrameSize;

use crate::call::{Answer, Raw, call, check_reserved, check_version, refuse};
use crate::cuda::is_allocated;
use crate::encode::{I420, NV12, Wanted, read};
use crate::session::{Bitstream, Input, Registered, Session};
use crate::state::{State, state};

/// What rows of input buffers are aligned to.
const PITCH: usize = 256;

pub(crate) fn fill(table: &mut sys::NV_ENCODE_API_FUNCTION_LIST) {
    table.nvEncCreateInputBuffer = Some(create_input);
    table.nvEncDestroyInputBuffer = Some(destroy_input);
    table.nvEncCreateBitstreamBuffer = Some(create_bitstream);
    table.nvEncDestroyBitstreamBuffer = Some(destroy_bitstream);
    table.nvEncLockInputBuffer = Some(lock_input);
    table.nvEncUnlockInputBuffer = Some(unlock_input);
    table.nvEncRegisterResource = Some(register);
    table.nvEncUnregisterResource = Some(unregister);
    table.nvEncMapInputResource = Some(map);
    table.nvEncUnmapInputResource = Some(unmap);
    table.nvEncEncodePicture = Some(encode);
    table.nvEncLockBitstream = Some(lock_bitstream);
    table.nvEncUnlockBitstream = Some(unlock_bitstream);
}

/// The session, with an encoder.
fn ready(state: &mut State, session: Raw) -> Result<&mut Session, NVENCSTATUS> {
    let is_ready = state.sessions.get(&(session as usize)).is_some_and(|s| s.encoder.is_some());
    if !is_ready {
        refuse(state, "no encoder is set up", NV_ENC_ERR_ENCODER_NOT_INITIALIZED)?;
    }
    state.sessions.get_mut(&(session as usize)).ok_or(NV_ENC_ERR_INVALID_PTR)
}

unsafe extern "C" fn create_input(
    session: Raw,
    params: *mut sys::NV_ENC_CREATE_INPUT_BUFFER,
) -> NVENCSTATUS {
    call("nvEncCreateInputBuffer", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        let params = unsafe { &mut *params };
        let expected = sys::NV_ENC_CREATE_INPUT_BUFFER_VER;
        check_version(state, "NV_ENC_CREATE_INPUT_BUFFER", params.version, expected)?;
        check_reserved(state, "NV_ENC_CREATE_INPUT_BUFFER", &params.reserved1, &params.reserved2)?;
        let handle = state.handle();
        let session = ready(state, session)?;
        let format = params.bufferFmt as u32;
        let Ok(size) = FrameSize::new(params.width, params.height) else {
            return refuse(state, "an input buffer of no size", NV_ENC_ERR_INVALID_PARAM);
        };
        if ![NV12, I420].contains(&format) {
            return refuse(state, "an input buffer of another format", NV_ENC_ERR_INVALID_PARAM);
        }
        let pitch = (size.width() as usize).next_multiple_of(PITCH);
        let data = vec![0; pitch * size.height() as usize * 3 / 2].into_boxed_slice();
        let input = Input { size, format, pitch, data, is_locked: false, is_written: false };
        session.inputs.insert(handle, input);
        params.inputBuffer = handle as Raw;
        Ok(())
    })
}

unsafe extern "C" fn destroy_input(session: Raw, input: Raw) -> NVENCSTATUS {
    call("nvEncDestroyInputBuffer", session, true, |state| {
        match ready(state, session)?.inputs.remove(&(input as usize)) {
            Some(input) if !input.is_locked => Ok(()),
            _ => refuse(state, "no such input buffer, or locked", NV_ENC_ERR_INVALID_PTR),
        }
    })
}

unsafe extern "C" fn create_bitstream(
    session: Raw,
    params: *mut sys::NV_ENC_CREATE_BITSTREAM_BUFFER,
) -> NVENCSTATUS {
    call("nvEncCreateBitstreamBuffer", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        let params = unsafe { &mut *params };
        let expected = sys::NV_ENC_CREATE_BITSTREAM_BUFFER_VER;
        check_version(state, "NV_ENC_CREATE_BITSTREAM_BUFFER", params.version, expected)?;
        let (numbers, pointers) = (&params.reserved1, &params.reserved2);
        check_reserved(state, "NV_ENC_CREATE_BITSTREAM_BUFFER", numbers, pointers)?;
        let handle = state.handle();
        ready(state, session)?.bitstreams.insert(handle, Bitstream::default());
        params.bitstreamBuffer = handle as Raw;
        Ok(())
    })
}

unsafe extern "C" fn destroy_bitstream(session: Raw, bitstream: Raw) -> NVENCSTATUS {
    call("nvEncDestroyBitstreamBuffer", session, true, |state| {
        match ready(state, session)?.bitstreams.remove(&(bitstream as usize)) {
            Some(bitstream) if !bitstream.is_locked => Ok(()),
            _ => refuse(state, "no such output buffer, or locked", NV_ENC_ERR_INVALID_PTR),
        }
    })
}

unsafe extern "C" fn lock_input(
    session: Raw,
    params: *mut sys::NV_ENC_LOCK_INPUT_BUFFER,
) -> NVENCSTATUS {
    call("nvEncLockInputBuffer", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        let params = unsafe { &mut *params };
        let expected = sys::NV_ENC_LOCK_INPUT_BUFFER_VER;
        check_version(state, "NV_ENC_LOCK_INPUT_BUFFER", params.version, expected)?;
        check_reserved(state, "NV_ENC_LOCK_INPUT_BUFFER", &params.reserved1, &params.reserved2)?;
        let input = ready(state, session)?.inputs.get_mut(&(params.inputBuffer as usize));
        let Some(input) = input.filter(|input| !input.is_locked) else {
            return refuse(state, "no such input buffer, or locked", NV_ENC_ERR_INVALID_PTR);
        };
        (input.is_locked, input.is_written) = (true, true);
        params.bufferDataPtr = input.data.as_mut_ptr().cast();
        params.pitch = input.pitch as u32;
        state.count("host_copies", 1);
        Ok(())
    })
}

unsafe extern "C" fn unlock_input(session: Raw, input: Raw) -> NVENCSTATUS {
    call("nvEncUnlockInputBuffer", session, true, |state| {
        match ready(state, session)?.inputs.get_mut(&(input as usize)) {
            Some(input) if input.is_locked => {
                input.is_locked = false;
                Ok(())
            }
            _ => refuse(state, "no such input buffer, or not locked", NV_ENC_ERR_INVALID_PTR),
        }
    })
}

unsafe extern "C" fn register(
    session: Raw,
    params: *mut sys::NV_ENC_REGISTER_RESOURCE,
) -> NVENCSTATUS {
    call("nvEncRegisterResource", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        let params = unsafe { &mut *params };
        let expected = sys::NV_ENC_REGISTER_RESOURCE_VER;
        check_version(state, "NV_ENC_REGISTER_RESOURCE", params.version, expected)?;
        check_reserved(state, "NV_ENC_REGISTER_RESOURCE", &params.reserved1, &params.reserved2)?;
        let handle = state.handle();
        let (address, pitch) = (params.resourceToRegister as u64, params.pitch);
        let format = params.bufferFormat as u32;
        let Ok(size) = FrameSize::new(params.width, params.height) else {
            return refuse(state, "a resource of no size", NV_ENC_ERR_INVALID_PARAM);
        };
        let bytes = u64::from(pitch) * u64::from(size.height()) * 3 / 2;
        let fits = params.resourceType
            == sys::NV_ENC_INPUT_RESOURCE_TYPE::NV_ENC_INPUT_RESOURCE_TYPE_CUDADEVICEPTR
            && params.bufferUsage == sys::NV_ENC_BUFFER_USAGE::NV_ENC_INPUT_IMAGE
            && [NV12, I420].contains(&format)
            && pitch.is_multiple_of(4)
            && pitch >= size.width()
            && is_allocated(state, &(address..address + bytes));
        if !fits {
            let what = "a resource that is no picture in memory of the GPU";
            return refuse(state, what, NV_ENC_ERR_RESOURCE_REGISTER_FAILED);
        }
        let resource = Registered { address, size, format, pitch: pitch as usize };
        ready(state, session)?.registered.insert(handle, resource);
        params.registeredResource = handle as Raw;
        Ok(())
    })
}

unsafe extern "C" fn unregister(session: Raw, resource: Raw) -> NVENCSTATUS {
    call("nvEncUnregisterResource", session, true, |state| {
        let session = ready(state, session)?;
        let is_mapped = session.mapped.values().any(|&of| of == resource as usize);
        match session.registered.remove(&(resource as usize)) {
            Some(_) if !is_mapped => Ok(()),
            _ => {
                let what = "no such resource, or mapped";
                refuse(state, what, NV_ENC_ERR_RESOURCE_NOT_REGISTERED)
            }
        }
    })
}

unsafe extern "C" fn map(session: Raw, params: *mut sys::NV_ENC_MAP_INPUT_RESOURCE) -> NVENCSTATUS {
    call("nvEncMapInputResource", session, false, |state| {
        // SAFETY: C callers pass such a structure; what is written below is looked at as numbers.
        let (version, resource) = unsafe { ((*params).version, (*params).registeredResource) };
        let expected = sys::NV_ENC_MAP_INPUT_RESOURCE_VER;
        check_version(state, "NV_ENC_MAP_INPUT_RESOURCE", version, expected)?;
        let handle = state.handle();
        let session = ready(state, session)?;
        let resource = resource as usize;
        let is_mapped = session.mapped.values().any(|&of| of == resource);
        let Some(registered) = session.registered.get(&resource).filter(|_| !is_mapped) else {
            let what = "no such resource, or mapped already";
            return refuse(state, what, NV_ENC_ERR_RESOURCE_NOT_REGISTERED);
        };
        // SAFETY: as above.
        unsafe {
            (*params).mappedResource = handle as Raw;
            (&raw mut (*params).mappedBufferFmt).cast::<u32>().write(registered.format);
        }
        session.mapped.insert(handle, resource);
        Ok(())
    })
}

unsafe extern "C" fn unmap(session: Raw, mapped: Raw) -> NVENCSTATUS {
    call("nvEncUnmapInputResource", session, true, |state| {
        let session = ready(state, session)?;
        let is_waited_for = session.bitstreams.values().all(|one| one.picture.is_none());
        match session.mapped.remove(&(mapped as usize)) {
            Some(_) if is_waited_for => Ok(()),
            Some(_) => {
                // Allowed after a failure of the bitstream's lock alone.
                state.count("unmapped_early", 1);
                Ok(())
            }
            None => refuse(state, "no such mapping", NV_ENC_ERR_RESOURCE_NOT_MAPPED),
        }
    })
}

/// Where the picture is that is to be encoded: its address, size, format, pitch.
fn input_of(session: &Session, input: usize) -> Option<(*const u8, FrameSize, u32, usize)> {
    if let Some(input) = session.inputs.get(&input).filter(|one| !one.is_locked && one.is_written) {
        return Some((input.data.as_ptr(), input.size, input.format, input.pitch));
    }
    let resource = session.registered.get(session.mapped.get(&input)?)?;
    Some((resource.address as *const u8, resource.size, resource.format, resource.pitch))
}

unsafe extern "C" fn encode(session: Raw, params: *mut sys::NV_ENC_PIC_PARAMS) -> NVENCSTATUS {
    let delay = state().get("delay_us");
    thread::sleep(Duration::from_micros(u64::try_from(delay).unwrap_or(0)));
    call("nvEncEncodePicture", session, false, |state| {
        // SAFETY: C callers pass such a structure.
        let params = unsafe { &*params };
        let expected = sys::NV_ENC_PIC_PARAMS_VER;
        check_version(state, "NV_ENC_PIC_PARAMS", params.version, expected)?;
        check_reserved(state, "NV_ENC_PIC_PARAMS", &params.reserved3, &params.reserved4)?;
        encode_in(state, session, params)
    })
}

fn encode_in(state: &mut State, raw: Raw, params: &sys::NV_ENC_PIC_PARAMS) -> Answer {
    // SAFETY: the session's codec is H264.
    let h264 = unsafe { &params.codecPicParams.h264PicParams };
    check_reserved(state, "NV_ENC_PIC_PARAMS_H264", &h264.reserved, &h264.reserved2)?;
    let session = ready(state, raw)?;
    let Some(encoder) = session.encoder.as_ref() else {
        return Err(NV_ENC_ERR_ENCODER_NOT_INITIALIZED);
    };
    let flags = params.encodePicFlags;
    let mark = (h264.ltrMarkFrame() == 1).then_some(h264.ltrMarkFrameIdx);
    let refer_to = (h264.ltrUseFrames() == 1).then_some(h264.ltrUseFrameBitmap.trailing_zeros());
    let (size, input) = (encoder.size, input_of(session, params.inputBuffer as usize));
    let output = session.bitstreams.get(&(params.outputBitstream as usize));
    let conditions = [
        (input.is_some(), "no such input, or locked, or not written"),
        (
            input.is_none_or(|(_, size_in, format, pitch)| {
                size_in == size
                    && format == params.bufferFmt as u32
                    && pitch == params.inputPitch as usize
            }),
            "the input is another picture than is said",
        ),
        (
            (params.inputWidth, params.inputHeight) == (size.width(), size.height()),
            "a picture of another size",
        ),
        (
            output.is_some_and(|one| !one.is_locked && one.picture.is_none()),
            "no such output buffer, or still in use",
        ),
        (params.pictureStruct == sys::NV_ENC_PIC_STRUCT::NV_ENC_PIC_STRUCT_FRAME, "no frame"),
        (params.completionEvent.is_null(), "an event in the synchronous mode"),
        (flags & !0b110 == 0, "unknown flags"),
        (
            encoder.last_timestamp.is_none_or(|last| params.inputTimeStamp > last),
            "a time that was before",
        ),
        (mark.is_none_or(|slot| slot < encoder.long_term), "a long-term slot that is not there"),
        (
            refer_to.is_none_or(|slot| {
                h264.ltrUseFrameBitmap.is_power_of_two() && encoder.has(slot) && flags == 0
            }),
            "a reference to a long-term slot without a picture",
        ),
        (h264.ltrUsageMode == 0, "a reserved mode of long-term references"),
    ];
    for (holds, what) in conditions {
        if !holds {
            return refuse(state, what, NV_ENC_ERR_INVALID_PARAM);
        }
    }
    let Some((data, size, format, pitch)) = input else { return Err(NV_ENC_ERR_INVALID_PARAM) };
    // SAFETY: buffers of ours are as large, and so is memory that was registered.
    let picture = unsafe { read(data, size, format, pitch) };
    let keyframe = flags & 2 != 0;
    let wanted = Wanted { timestamp: params.inputTimeStamp, keyframe, mark, refer_to };
    let session = ready(state, raw)?;
    let encoded = session.encoder.as_mut().and_then(|encoder| encoder.encode(&picture, &wanted));
    let Some(encoded) = encoded else { return Err(NV_ENC_ERR_GENERIC) };
    let is_keyframe = encoded.keyframe;
    if let Some(output) = session.bitstreams.get_mut(&(params.outputBitstream as usize)) {
        output.picture = Some(encoded);
    }
    state.count("pictures", 1);
    state.count("keyframes", is_keyframe.into());
    state.count("recovered", (refer_to.is_some() && !is_keyframe).into());
    Ok(())
}

unsafe extern "C" fn lock_bitstream(
    session: Raw,
    params: *mut sys::NV_ENC_LOCK_BITSTREAM,
) -> NVENCSTATUS {
    call("nvEncLockBitstream", session, false, |state| {
        // SAFETY: C callers pass such a structure, of which fields are read and written where they lie: zero is no value
        // of some of its enums.
        let (version, output) = unsafe { ((*params).version, (*params).outputBitstream as usize) };
        let expected = sys::NV_ENC_LOCK_BITSTREAM_VER;
        check_version(state, "NV_ENC_LOCK_BITSTREAM", version, expected)?;
        let output = ready(state, session)?.bitstreams.get_mut(&output);
        let Some(output) = output.filter(|one| !one.is_locked && one.picture.is_some()) else {
            let what = "no such output buffer, or locked, or nothing in it";
            return refuse(state, what, NV_ENC_ERR_INVALID_PARAM);
        };
        output.is_locked = true;
        let Some(picture) = &mut output.picture else { return Err(NV_ENC_ERR_INVALID_PARAM) };
        // SAFETY: as above.
        unsafe {
            (*params).bitstreamBufferPtr = picture.data.as_mut_ptr().cast();
            (*params).bitstreamSizeInBytes = picture.data.len() as u32;
            (*params).outputTimeStamp = picture.timestamp;
            (*params).temporalId = picture.layer;
            let kind = if picture.keyframe { 3 } else { 0 };
            (&raw mut (*params).pictureType).cast::<u32>().write(kind);
            (&raw mut (*params).pictureStruct).cast::<u32>().write(1);
        }
        Ok(())
    })
}

unsafe extern "C" fn unlock_bitstream(session: Raw, output: Raw) -> NVENCSTATUS {
    call("nvEncUnlockBitstream", session, true, |state| {
        match ready(state, session)?.bitstreams.get_mut(&(output as usize)) {
            Some(output) if output.is_locked => {
                *output = Bitstream::default();
                Ok(())
            }
            _ => refuse(state, "no such output buffer, or not locked", NV_ENC_ERR_INVALID_PTR),
        }
    })
}
