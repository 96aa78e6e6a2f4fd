//! The few functions of CUDA that are needed.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::Arc;

use crate::error::NvencError;
use crate::libraries::{Libraries, OpenLibrary};

/// `CUresult`.
type Status = c_uint;
/// `CUdevice`.
type DeviceNumber = c_int;
/// `CUcontext`.
type RawContext = *mut c_void;
/// `CUdeviceptr`: an address in the GPU's memory.
pub(crate) type DevicePtr = u64;

const SUCCESS: Status = 0;
const ERROR_NO_DEVICE: Status = 100;
/// What CUDA answers once a GPU is gone or its context is ruined: `CUDA_ERROR_ECC_UNCORRECTABLE`,
/// `CUDA_ERROR_ILLEGAL_ADDRESS`, `CUDA_ERROR_CONTEXT_IS_DESTROYED`, `CUDA_ERROR_LAUNCH_FAILED`, `CUDA_ERROR_UNKNOWN`.
const LOST: [Status; 5] = [214, 700, 709, 719, 999];
/// `CU_MEMORYTYPE_HOST`, `CU_MEMORYTYPE_DEVICE`.
const MEMORY_HOST: c_uint = 1;
const MEMORY_DEVICE: c_uint = 2;
/// Bytes that CUDA aligns rows to where 16 at once are read.
const ELEMENT_BYTES: c_uint = 16;

/// `CUDA_MEMCPY2D`.
#[repr(C)]
struct Copy2d {
    src_x_bytes: usize,
    src_y: usize,
    src_memory: c_uint,
    src_host: *const c_void,
    src_device: DevicePtr,
    src_array: *mut c_void,
    src_pitch: usize,
    dst_x_bytes: usize,
    dst_y: usize,
    dst_memory: c_uint,
    dst_host: *mut c_void,
    dst_device: DevicePtr,
    dst_array: *mut c_void,
    dst_pitch: usize,
    width_bytes: usize,
    height: usize,
}

/// The functions, by their names in `cuda.h`.
#[derive(Debug)]
#[allow(non_snake_case, reason = "the names of cuda.h")]
struct Functions {
    cuInit: unsafe extern "C" fn(c_uint) -> Status,
    cuDeviceGetCount: unsafe extern "C" fn(*mut c_int) -> Status,
    cuDeviceGet: unsafe extern "C" fn(*mut DeviceNumber, c_int) -> Status,
    cuDeviceGetName: unsafe extern "C" fn(*mut c_char, c_int, DeviceNumber) -> Status,
    cuDevicePrimaryCtxRetain: unsafe extern "C" fn(*mut RawContext, DeviceNumber) -> Status,
    cuDevicePrimaryCtxRelease_v2: unsafe extern "C" fn(DeviceNumber) -> Status,
    cuCtxPushCurrent_v2: unsafe extern "C" fn(RawContext) -> Status,
    cuCtxPopCurrent_v2: unsafe extern "C" fn(*mut RawContext) -> Status,
    cuMemAllocPitch_v2:
        unsafe extern "C" fn(*mut DevicePtr, *mut usize, usize, usize, c_uint) -> Status,
    cuMemFree_v2: unsafe extern "C" fn(DevicePtr) -> Status,
    cuMemcpy2D_v2: unsafe extern "C" fn(*const Copy2d) -> Status,
}

impl Functions {
    fn load(library: &OpenLibrary) -> Result<Self, NvencError> {
        macro_rules! functions {
            ($($name:ident),+) => {
                // SAFETY: the fields have the types that cuda.h gives the functions of their names, which are part of
                // the driver's ABI and do not change; `_v2` ones exist in every driver since CUDA 4 (the release of a
                // primary context: 11).
                unsafe { Self { $($name: library.function(stringify!($name))?),+ } }
            };
        }
        Ok(functions!(
            cuInit,
            cuDeviceGetCount,
            cuDeviceGet,
            cuDeviceGetName,
            cuDevicePrimaryCtxRetain,
            cuDevicePrimaryCtxRelease_v2,
            cuCtxPushCurrent_v2,
            cuCtxPopCurrent_v2,
            cuMemAllocPitch_v2,
            cuMemFree_v2,
            cuMemcpy2D_v2
        ))
    }
}

fn check(operation: &'static str, code: Status) -> Result<(), NvencError> {
    match code {
        SUCCESS => Ok(()),
        ERROR_NO_DEVICE => Err(NvencError::NoDevice),
        code if LOST.contains(&code) => Err(NvencError::Lost { operation, code }),
        code => Err(NvencError::Cuda { operation, code }),
    }
}

/// One GPU, and its primary context, which everything in the process shares that works with this GPU by CUDA's runtime
/// (PyTorch among others).
#[derive(Debug)]
pub(crate) struct Gpu {
    functions: Functions,
    number: DeviceNumber,
    context: RawContext,
    name: String,
}

// SAFETY: the functions may be called from any thread (CUDA driver API, "thread safety"), the rest is never changed. The
// context is a handle that any thread may make its current one.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

impl Gpu {
    /// The GPU of this index, counted from 0.
    pub(crate) fn open(libraries: &Libraries, index: u32) -> Result<Arc<Self>, NvencError> {
        let functions = Functions::load(&libraries.cuda()?)?;
        // SAFETY: the one thing this function may be given.
        check("start", unsafe { (functions.cuInit)(0) })?;
        let mut count = 0;
        // SAFETY: written before it returns.
        check("count the GPUs", unsafe { (functions.cuDeviceGetCount)(&mut count) })?;
        let count = u32::try_from(count).unwrap_or(0);
        if count == 0 {
            return Err(NvencError::NoDevice);
        }
        let ordinal = c_int::try_from(index).ok().filter(|_| index < count);
        let Some(ordinal) = ordinal else {
            return Err(NvencError::NoSuchDevice { gpu: index, count });
        };
        let mut number = 0;
        // SAFETY: as above.
        check("find the GPU", unsafe { (functions.cuDeviceGet)(&mut number, ordinal) })?;
        let name = name(&functions, number)?;
        let mut context = ptr::null_mut();
        let retain = functions.cuDevicePrimaryCtxRetain;
        // SAFETY: as above. It is released when the GPU is dropped.
        check("make a context", unsafe { retain(&mut context, number) })?;
        Ok(Arc::new(Self { functions, number, context, name }))
    }

    /// What it is called, such as "NVIDIA L4".
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The context, for NVENC.
    pub(crate) fn raw_context(&self) -> *mut c_void {
        self.context
    }

    /// Makes the context this thread's current one, as long as what is returned lives.
    pub(crate) fn enter(&self) -> Result<Entered<'_>, NvencError> {
        // SAFETY: the context lives as long as `self`, which what is returned borrows.
        check("enter its context", unsafe { (self.functions.cuCtxPushCurrent_v2)(self.context) })?;
        Ok(Entered { gpu: self })
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: retained once, when this was made. Nothing is left that works with it: sessions, memory and
        // `Entered` keep or borrow the GPU.
        let _ = unsafe { (self.functions.cuDevicePrimaryCtxRelease_v2)(self.number) };
    }
}

fn name(functions: &Functions, number: DeviceNumber) -> Result<String, NvencError> {
    let mut name = [0; 128];
    // SAFETY: at most so many bytes are written, with a zero at the end.
    let status = unsafe { (functions.cuDeviceGetName)(name.as_mut_ptr(), 127, number) };
    check("tell its name", status)?;
    // SAFETY: the array ends with a zero in any case, as the last byte is never written.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    Ok(name.to_string_lossy().into_owned())
}

/// While it lives, the GPU's context is current on this thread. It is not `Send`: contexts are left where they were
/// entered.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    gpu: &'a Gpu,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut left = ptr::null_mut();
        // SAFETY: what was pushed is popped. Nothing else of this crate leaves a context on the stack.
        let _ = unsafe { (self.gpu.functions.cuCtxPopCurrent_v2)(&mut left) };
    }
}

/// Rows in the GPU's memory.
#[derive(Debug)]
pub(crate) struct DeviceRows {
    gpu: Arc<Gpu>,
    address: DevicePtr,
    pitch: usize,
    rows: usize,
}

impl DeviceRows {
    /// Memory for so many rows, which is not written yet.
    pub(crate) fn new(gpu: &Arc<Gpu>, row_bytes: usize, rows: usize) -> Result<Self, NvencError> {
        let _entered = gpu.enter()?;
        let (mut address, mut pitch) = (0, 0);
        let allocate = gpu.functions.cuMemAllocPitch_v2;
        // SAFETY: both are written before it returns; a context is current.
        let status = unsafe { allocate(&mut address, &mut pitch, row_bytes, rows, ELEMENT_BYTES) };
        check("allocate memory", status)?;
        Ok(Self { gpu: Arc::clone(gpu), address, pitch, rows })
    }

    pub(crate) fn address(&self) -> DevicePtr {
        self.address
    }

    /// Bytes from one row to the next.
    pub(crate) fn pitch(&self) -> usize {
        self.pitch
    }

    /// Copies rows of the host to `offset_bytes` and after it, where rows follow one another at `pitch`.
    pub(crate) fn write(
        &mut self,
        (offset_bytes, pitch): (usize, usize),
        (data, stride): (&[u8], usize),
        (row_bytes, rows): (usize, usize),
    ) -> Result<(), NvencError> {
        let fits = rows > 0
            && row_bytes <= pitch.min(stride)
            && data.len() >= stride * (rows - 1) + row_bytes
            && offset_bytes + pitch * (rows - 1) + row_bytes <= self.pitch * self.rows;
        if !fits {
            return Err(NvencError::Cuda { operation: "copy a picture", code: 1 });
        }
        let copy = Copy2d {
            src_x_bytes: 0,
            src_y: 0,
            src_memory: MEMORY_HOST,
            src_host: data.as_ptr().cast(),
            src_device: 0,
            src_array: ptr::null_mut(),
            src_pitch: stride,
            dst_x_bytes: 0,
            dst_y: 0,
            dst_memory: MEMORY_DEVICE,
            dst_host: ptr::null_mut(),
            dst_device: self.address + offset_bytes as u64,
            dst_array: ptr::null_mut(),
            dst_pitch: pitch,
            width_bytes: row_bytes,
            height: rows,
        };
        let _entered = self.gpu.enter()?;
        // SAFETY: both sides hold all rows, as was just checked; the copy is over when this returns.
        check("copy a picture", unsafe { (self.gpu.functions.cuMemcpy2D_v2)(&copy) })
    }
}

impl Drop for DeviceRows {
    fn drop(&mut self) {
        if let Ok(_entered) = self.gpu.enter() {
            // SAFETY: allocated when this was made, and nobody has the address who outlives this.
            let _ = unsafe { (self.gpu.functions.cuMemFree_v2)(self.address) };
        }
    }
}
