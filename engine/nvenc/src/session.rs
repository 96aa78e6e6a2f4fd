//! A session of NVENC, and what can be asked before there is an encoder in it.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;

use crate::api::{
    Functions, INCOMPATIBLE_CLIENT_KEY, OUT_OF_MEMORY, RawSession, Status, WITHOUT_ENCODER,
};
use crate::cuda::Gpu;
use crate::error::NvencError;
use crate::params;

/// A GPU and NVENC's functions.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) functions: Functions,
    pub(crate) gpu: Arc<Gpu>,
}

/// A session that is open, without an encoder in it yet. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) device: Arc<Device>,
    pub(crate) raw: RawSession,
}

// SAFETY: NVENC binds a session to no thread; it wants its context current at each call, which each call here sees to,
// and one call at a time, which `&mut` or the owner sees to.
unsafe impl Send for Session {}

impl Session {
    pub(crate) fn open(device: &Arc<Device>) -> Result<Self, NvencError> {
        let _entered = device.gpu.enter()?;
        let mut open = params::zeroed::<sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS>();
        let open = open.as_mut_ptr();
        // SAFETY: all zero, and written field by field.
        unsafe {
            (*open).version = sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER;
            (*open).deviceType = sys::NV_ENC_DEVICE_TYPE::NV_ENC_DEVICE_TYPE_CUDA;
            (*open).device = device.gpu.raw_context();
            (*open).apiVersion = sys::NVENCAPI_VERSION;
        }
        let mut raw = ptr::null_mut();
        // SAFETY: the context is current, and lives as long as the device; the rest is written before it returns.
        let status = unsafe { (device.functions.nvEncOpenEncodeSessionEx)(open, &mut raw) };
        if status == 0 && !raw.is_null() {
            return Ok(Self { device: Arc::clone(device), raw });
        }
        if !raw.is_null() {
            // NVIDIA's guide: a session that was refused must be destroyed all the same where a handle was given out.
            // SAFETY: it is the handle just given out.
            let _ = unsafe { (device.functions.nvEncDestroyEncoder)(raw) };
        }
        let gpu = device.gpu.name().to_owned();
        match status {
            status if WITHOUT_ENCODER.contains(&status) => Err(NvencError::NoEncoder { gpu }),
            OUT_OF_MEMORY | INCOMPATIBLE_CLIENT_KEY => Err(NvencError::NoSession { gpu }),
            status => {
                device.functions.check("open a session", ptr::null_mut(), status)?;
                Err(NvencError::Output("it opened no session"))
            }
        }
    }

    /// Whether it can encode H264.
    pub(crate) fn has_h264(&self) -> Result<bool, NvencError> {
        let _entered = self.device.gpu.enter()?;
        let functions = &self.device.functions;
        let mut count = 0;
        // SAFETY: the session is open and its context current, here and below; what is passed outlives the call.
        let status = unsafe { (functions.nvEncGetEncodeGUIDCount)(self.raw, &mut count) };
        self.check("count its codecs", status)?;
        let none = sys::GUID { Data1: 0, Data2: 0, Data3: 0, Data4: [0; 8] };
        let mut codecs = vec![none; count.min(64) as usize];
        let (room, mut written) = (count.min(64), 0);
        // SAFETY: as above; there is room for as many as it is told.
        let status = unsafe {
            (functions.nvEncGetEncodeGUIDs)(self.raw, codecs.as_mut_ptr(), room, &mut written)
        };
        self.check("name its codecs", status)?;
        codecs.truncate(written as usize);
        Ok(codecs.contains(&sys::NV_ENC_CODEC_H264_GUID))
    }

    /// What it can do, as a number.
    pub(crate) fn capability(&self, which: sys::NV_ENC_CAPS) -> Result<u32, NvencError> {
        let _entered = self.device.gpu.enter()?;
        let mut wanted = params::zeroed::<sys::NV_ENC_CAPS_PARAM>();
        let wanted = wanted.as_mut_ptr();
        let mut value: c_int = 0;
        // SAFETY: as in `has_h264`; the structure is written field by field.
        let status = unsafe {
            (*wanted).version = sys::NV_ENC_CAPS_PARAM_VER;
            (*wanted).capsToQuery = which;
            let function = self.device.functions.nvEncGetEncodeCaps;
            function(self.raw, sys::NV_ENC_CODEC_H264_GUID, wanted, &mut value)
        };
        self.check("tell what it can do", status)?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// What a status of its calls means.
    pub(crate) fn check(&self, operation: &'static str, status: Status) -> Result<(), NvencError> {
        self.device.functions.check(operation, self.raw, status)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without its context too: a session that stays open is one less for all other programs.
        let _entered = self.device.gpu.enter();
        // SAFETY: it is open, and its buffers, which borrow nothing but were made by it, are gone by now.
        let _ = unsafe { (self.device.functions.nvEncDestroyEncoder)(self.raw) };
    }
}

impl Session {
    /// The driver's configuration for a preset.
    pub(crate) fn preset_config(
        &self,
        preset: sys::GUID,
    ) -> Result<MaybeUninit<sys::NV_ENC_CONFIG>, NvencError> {
        let _entered = self.device.gpu.enter()?;
        let mut found = params::zeroed::<sys::NV_ENC_PRESET_CONFIG>();
        let found = found.as_mut_ptr();
        let function = self.device.functions.nvEncGetEncodePresetConfigEx;
        // SAFETY: the session is open, its context current; versions say what the structures are, and these are zero
        // otherwise.
        let status = unsafe {
            (*found).version = sys::NV_ENC_PRESET_CONFIG_VER;
            (*found).presetCfg.version = sys::NV_ENC_CONFIG_VER;
            let codec = sys::NV_ENC_CODEC_H264_GUID;
            function(self.raw, codec, preset, params::TUNING, found)
        };
        self.check("tell its preset", status)?;
        // SAFETY: copied as bytes, whatever the driver has written.
        Ok(unsafe { (&raw const (*found).presetCfg).cast::<MaybeUninit<_>>().read() })
    }
}
