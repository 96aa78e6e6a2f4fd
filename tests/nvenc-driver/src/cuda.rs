//! The functions of `libcuda.so.1`.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::state::{State, state};

const SUCCESS: u32 = 0;
const INVALID_VALUE: u32 = 1;
const NOT_INITIALIZED: u32 = 3;
const NO_DEVICE: u32 = 100;
const INVALID_DEVICE: u32 = 101;
const INVALID_CONTEXT: u32 = 201;
/// What rows are aligned to.
const PITCH: usize = 512;
/// The primary context of a GPU: an address that nobody reads.
const CONTEXT: usize = 0xc0de_0000;

thread_local! {
    static CURRENT: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The context that is current on this thread.
pub(crate) fn current() -> Option<usize> {
    CURRENT.with_borrow(|stack| stack.last().copied())
}

/// Whether there is such a context: that of a GPU, retained.
pub(crate) fn is_context(state: &State, context: usize) -> bool {
    context >= CONTEXT
        && ((context - CONTEXT) as i64) < state.get("devices")
        && state.get("contexts") > 0
}

/// A call: begun only once the driver is initialized, and where it is not to fail.
fn call(name: &str, run: impl FnOnce(&mut State) -> u32) -> u32 {
    let mut state = state();
    state.count(name, 1);
    if let Some(status) = state.failure(name) {
        return status;
    }
    if state.get("initialized") == 0 {
        state.violation(format!("{name} before cuInit"));
        return NOT_INITIALIZED;
    }
    run(&mut state)
}

fn with_context(name: &str, run: impl FnOnce(&mut State) -> u32) -> u32 {
    call(name, |state| {
        if current().is_some_and(|context| is_context(state, context)) {
            return run(state);
        }
        state.violation(format!("{name} without a current context"));
        INVALID_CONTEXT
    })
}

/// # Safety
///
/// `to` is null or can be written.
unsafe fn write<T>(to: *mut T, value: T) -> u32 {
    if to.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the caller says so.
    unsafe { to.write(value) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(flags: c_uint) -> u32 {
    let mut state = state();
    if let Some(status) = state.failure("cuInit") {
        return status;
    }
    if flags != 0 {
        state.violation("cuInit with flags");
        return INVALID_VALUE;
    }
    if state.get("devices") == 0 {
        return NO_DEVICE;
    }
    state.set("initialized", 1);
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> u32 {
    // SAFETY: C callers pass where it is to be written.
    call("cuDeviceGetCount", |state| unsafe { write(count, state.get("devices") as c_int) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> u32 {
    call("cuDeviceGet", |state| {
        if ordinal < 0 || i64::from(ordinal) >= state.get("devices") {
            state.violation(format!("cuDeviceGet of GPU {ordinal}"));
            return INVALID_DEVICE;
        }
        // SAFETY: as above.
        unsafe { write(device, ordinal) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, room: c_int, device: c_int) -> u32 {
    call("cuDeviceGetName", |state| {
        let text = format!("stand-in {device}");
        if name.is_null() || room < text.len() as c_int + 1 {
            state.violation("cuDeviceGetName without room");
            return INVALID_VALUE;
        }
        // SAFETY: there is room.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), name.cast(), text.len());
            name.add(text.len()).write(0);
        }
        SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut *mut c_void, device: c_int) -> u32 {
    call("cuDevicePrimaryCtxRetain", |state| {
        state.count("contexts", 1);
        // SAFETY: as above.
        unsafe { write(context, (CONTEXT + device as usize) as *mut c_void) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: c_int) -> u32 {
    call("cuDevicePrimaryCtxRelease_v2", |state| {
        if state.get("contexts") == 0 {
            state.violation("a context was released that was not retained");
            return INVALID_CONTEXT;
        }
        state.count("contexts", -1);
        if state.get("contexts") == 0
            && !(state.sessions.is_empty() && state.allocations.is_empty())
        {
            state.violation("the context was released before what was made in it");
        }
        SUCCESS
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxPushCurrent_v2(context: *mut c_void) -> u32 {
    call("cuCtxPushCurrent_v2", |state| {
        if !is_context(state, context as usize) {
            state.violation("cuCtxPushCurrent_v2 of what is no context");
            return INVALID_CONTEXT;
        }
        CURRENT.with_borrow_mut(|stack| stack.push(context as usize));
        state.count("current", 1);
        SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxPopCurrent_v2(context: *mut *mut c_void) -> u32 {
    call("cuCtxPopCurrent_v2", |state| {
        let Some(left) = CURRENT.with_borrow_mut(Vec::pop) else {
            state.violation("cuCtxPopCurrent_v2 without a current context");
            return INVALID_CONTEXT;
        };
        state.count("current", -1);
        // SAFETY: as above.
        unsafe { write(context, left as *mut c_void) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocPitch_v2(
    address: *mut u64,
    pitch: *mut usize,
    width: usize,
    height: usize,
    element: c_uint,
) -> u32 {
    with_context("cuMemAllocPitch_v2", |state| {
        if width == 0 || height == 0 || ![4, 8, 16].contains(&element) {
            state.violation("cuMemAllocPitch_v2 of nothing, or of elements of another size");
            return INVALID_VALUE;
        }
        let row = width.next_multiple_of(PITCH);
        let memory = vec![0_u8; row * height].into_boxed_slice();
        let at = memory.as_ptr() as u64;
        state.allocations.insert(at, memory);
        // SAFETY: as above.
        unsafe { write(address, at) | write(pitch, row) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> u32 {
    with_context("cuMemFree_v2", |state| {
        let Some(memory) = state.allocations.remove(&address) else {
            state.violation("cuMemFree_v2 of what was not allocated");
            return INVALID_VALUE;
        };
        let range = address..address + memory.len() as u64;
        let registered = state.sessions.values().flat_map(|session| session.registered.values());
        if registered.into_iter().any(|resource| range.contains(&resource.address)) {
            state.violation("memory was freed while it was registered");
        }
        SUCCESS
    })
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
struct Copy {
    src_x: usize,
    src_y: usize,
    src_kind: c_uint,
    src_host: *const u8,
    src_device: u64,
    src_array: *const c_void,
    src_pitch: usize,
    dst_x: usize,
    dst_y: usize,
    dst_kind: c_uint,
    dst_host: *mut u8,
    dst_device: u64,
    dst_array: *const c_void,
    dst_pitch: usize,
    width: usize,
    height: usize,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpy2D_v2(copy: *const Copy) -> u32 {
    with_context("cuMemcpy2D_v2", |state| {
        // SAFETY: C callers pass such a structure.
        let copy = unsafe { &*copy };
        let bytes = (copy.dst_pitch * (copy.height.max(1) - 1) + copy.width) as u64;
        let range = copy.dst_device..copy.dst_device + bytes;
        let fits = copy.src_kind == 1
            && copy.dst_kind == 2
            && copy.width <= copy.src_pitch.min(copy.dst_pitch)
            && copy.src_x + copy.src_y + copy.dst_x + copy.dst_y == 0
            && is_allocated(state, &range);
        if !fits {
            state.violation(
                "cuMemcpy2D_v2 of something else than rows of the host into memory of the GPU",
            );
            return INVALID_VALUE;
        }
        for row in 0..copy.height {
            // SAFETY: the target was looked up, the source is as large as the caller says.
            unsafe {
                let from = copy.src_host.add(row * copy.src_pitch);
                let to = copy.dst_device as usize + row * copy.dst_pitch;
                std::ptr::copy_nonoverlapping(from, to as *mut u8, copy.width);
            }
        }
        state.count("host_copies", 1);
        SUCCESS
    })
}

/// Whether all of it is memory of the GPU.
pub(crate) fn is_allocated(state: &State, range: &std::ops::Range<u64>) -> bool {
    let before = state.allocations.range(..=range.start).next_back();
    before.is_some_and(|(at, memory)| range.end <= at + memory.len() as u64)
}
