//! NVENC's function table, and which version of it the driver has.
//!
//! Of the bindings only types and constants are used. Their functions are never named here, so that nothing has to
//! be linked for them; and what the driver writes is read as numbers, since a newer driver may answer what the
//! bindings' enums do not have.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;

use crate::error::{ApiVersion, NvencError};
use crate::libraries::Libraries;

/// `NVENCSTATUS`.
pub(crate) type Status = u32;
/// An open session.
pub(crate) type RawSession = *mut c_void;

/// The version of the structures that the bindings were made of.
pub(crate) const NEEDED: ApiVersion =
    ApiVersion { major: sys::NVENCAPI_MAJOR_VERSION, minor: sys::NVENCAPI_MINOR_VERSION };

const SUCCESS: Status = sys::NVENCSTATUS::NV_ENC_SUCCESS as u32;
const INVALID_VERSION: Status = sys::NVENCSTATUS::NV_ENC_ERR_INVALID_VERSION as u32;
pub(crate) const OUT_OF_MEMORY: Status = sys::NVENCSTATUS::NV_ENC_ERR_OUT_OF_MEMORY as u32;
/// What some drivers answer where their limit of sessions is reached.
pub(crate) const INCOMPATIBLE_CLIENT_KEY: Status =
    sys::NVENCSTATUS::NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY as u32;
/// The GPU has no encoder.
pub(crate) const WITHOUT_ENCODER: [Status; 2] = [
    sys::NVENCSTATUS::NV_ENC_ERR_NO_ENCODE_DEVICE as u32,
    sys::NVENCSTATUS::NV_ENC_ERR_UNSUPPORTED_DEVICE as u32,
];
/// The GPU is gone.
const LOST: [Status; 3] = [
    sys::NVENCSTATUS::NV_ENC_ERR_INVALID_ENCODERDEVICE as u32,
    sys::NVENCSTATUS::NV_ENC_ERR_INVALID_DEVICE as u32,
    sys::NVENCSTATUS::NV_ENC_ERR_DEVICE_NOT_EXIST as u32,
];

/// Names of `NVENCSTATUS`, by number.
const NAMES: [&str; 27] = [
    "success",
    "no encode device",
    "unsupported device",
    "invalid encoder device",
    "invalid device",
    "device does not exist",
    "invalid pointer",
    "invalid event",
    "invalid parameter",
    "invalid call",
    "out of memory",
    "encoder not initialized",
    "unsupported parameter",
    "lock busy",
    "not enough buffer",
    "invalid version",
    "map failed",
    "more input needed",
    "encoder busy",
    "event not registered",
    "generic error",
    "incompatible client key",
    "unimplemented",
    "resource registration failed",
    "resource not registered",
    "resource not mapped",
    "more output needed",
];

/// Declares the functions that are used, with numbers for statuses, and takes them out of the driver's table.
macro_rules! functions {
    ($($name:ident($($argument:ty),+);)+) => {
        /// The functions, by their names in NVIDIA's header.
        #[derive(Debug)]
        #[allow(non_snake_case, reason = "the names of nvEncodeAPI.h")]
        pub(crate) struct Functions {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),+) -> Status,)+
            nvEncGetLastErrorString: Option<unsafe extern "C" fn(RawSession) -> *const c_char>,
        }

        impl Functions {
            fn from_table(table: &sys::NV_ENCODE_API_FUNCTION_LIST) -> Option<Self> {
                Some(Self {
                    $($name: {
                        let function: unsafe extern "C" fn($($argument),+) -> sys::NVENCSTATUS =
                            table.$name?;
                        // SAFETY: the types differ in what is returned alone, an enum of `u32` or a `u32`, which C
                        // returns alike.
                        unsafe {
                            std::mem::transmute::<
                                unsafe extern "C" fn($($argument),+) -> sys::NVENCSTATUS,
                                unsafe extern "C" fn($($argument),+) -> Status,
                            >(function)
                        }
                    },)+
                    nvEncGetLastErrorString: table.nvEncGetLastErrorString,
                })
            }
        }
    };
}

functions! {
    nvEncOpenEncodeSessionEx(*mut sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS, *mut RawSession);
    nvEncGetEncodeGUIDCount(RawSession, *mut u32);
    nvEncGetEncodeGUIDs(RawSession, *mut sys::GUID, u32, *mut u32);
    nvEncGetEncodeCaps(RawSession, sys::GUID, *mut sys::NV_ENC_CAPS_PARAM, *mut c_int);
    nvEncGetEncodePresetConfigEx(RawSession, sys::GUID, sys::GUID, sys::NV_ENC_TUNING_INFO, *mut sys::NV_ENC_PRESET_CONFIG);
    nvEncInitializeEncoder(RawSession, *mut sys::NV_ENC_INITIALIZE_PARAMS);
    nvEncReconfigureEncoder(RawSession, *mut sys::NV_ENC_RECONFIGURE_PARAMS);
    nvEncCreateInputBuffer(RawSession, *mut sys::NV_ENC_CREATE_INPUT_BUFFER);
    nvEncDestroyInputBuffer(RawSession, sys::NV_ENC_INPUT_PTR);
    nvEncCreateBitstreamBuffer(RawSession, *mut sys::NV_ENC_CREATE_BITSTREAM_BUFFER);
    nvEncDestroyBitstreamBuffer(RawSession, sys::NV_ENC_OUTPUT_PTR);
    nvEncLockInputBuffer(RawSession, *mut sys::NV_ENC_LOCK_INPUT_BUFFER);
    nvEncUnlockInputBuffer(RawSession, sys::NV_ENC_INPUT_PTR);
    nvEncRegisterResource(RawSession, *mut sys::NV_ENC_REGISTER_RESOURCE);
    nvEncUnregisterResource(RawSession, sys::NV_ENC_REGISTERED_PTR);
    nvEncMapInputResource(RawSession, *mut sys::NV_ENC_MAP_INPUT_RESOURCE);
    nvEncUnmapInputResource(RawSession, sys::NV_ENC_INPUT_PTR);
    nvEncEncodePicture(RawSession, *mut sys::NV_ENC_PIC_PARAMS);
    nvEncLockBitstream(RawSession, *mut sys::NV_ENC_LOCK_BITSTREAM);
    nvEncUnlockBitstream(RawSession, sys::NV_ENC_OUTPUT_PTR);
    nvEncInvalidateRefFrames(RawSession, u64);
    nvEncDestroyEncoder(RawSession);
}

impl Functions {
    /// Looks which version the driver has, and gets its table.
    pub(crate) fn load(libraries: &Libraries) -> Result<Self, NvencError> {
        type GetVersion = unsafe extern "C" fn(*mut u32) -> Status;
        type CreateInstance = unsafe extern "C" fn(*mut sys::NV_ENCODE_API_FUNCTION_LIST) -> Status;
        let library = libraries.encode()?;
        // SAFETY: so the header declares it.
        let get_version: GetVersion =
            unsafe { library.function("NvEncodeAPIGetMaxSupportedVersion")? };
        let mut version = 0;
        // SAFETY: written before it returns.
        check("tell its version", unsafe { get_version(&mut version) }, String::new)?;
        let found = ApiVersion { major: version >> 4, minor: version & 0xf };
        if found < NEEDED {
            return Err(NvencError::OldDriver { found, needed: NEEDED });
        }
        // SAFETY: as above.
        let create: CreateInstance = unsafe { library.function("NvEncodeAPICreateInstance")? };
        let mut table = MaybeUninit::<sys::NV_ENCODE_API_FUNCTION_LIST>::zeroed();
        // SAFETY: it is zeroed, which is what the driver wants besides the version, and all that it may hold: numbers,
        // null pointers, and functions that may be absent.
        let table = unsafe { table.assume_init_mut() };
        table.version = sys::NV_ENCODE_API_FUNCTION_LIST_VER;
        // SAFETY: it has the size that its version says, and outlives the call.
        match unsafe { create(table) } {
            INVALID_VERSION => return Err(NvencError::OldDriver { found, needed: NEEDED }),
            status => check("give out its functions", status, String::new)?,
        }
        let library = "libnvidia-encode.so.1".to_owned();
        Self::from_table(table).ok_or(NvencError::BrokenLibrary { library, function: "nvEnc*" })
    }

    /// What a status means; of a failure, with what the driver adds.
    pub(crate) fn check(
        &self,
        operation: &'static str,
        session: RawSession,
        status: Status,
    ) -> Result<(), NvencError> {
        check(operation, status, || self.last_error(session))
    }

    /// A sentence on the last failure of a session, after a colon.
    fn last_error(&self, session: RawSession) -> String {
        let Some(function) = self.nvEncGetLastErrorString.filter(|_| !session.is_null()) else {
            return String::new();
        };
        // SAFETY: the session is open.
        let text = unsafe { function(session) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: the driver keeps the text, which ends with a zero, until the session's next call, and nobody else
        // calls with this session.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        if text.is_empty() { String::new() } else { format!(": {text}") }
    }
}

fn check(
    operation: &'static str,
    code: Status,
    detail: impl FnOnce() -> String,
) -> Result<(), NvencError> {
    if code == SUCCESS {
        return Ok(());
    }
    if LOST.contains(&code) {
        return Err(NvencError::Lost { operation, code });
    }
    let name = NAMES.get(code as usize).copied().unwrap_or("unknown error");
    Err(NvencError::Refused { operation, code, name, detail: detail() })
}
