//! How tests control the driver and look into it.

use std::ffi::{CStr, c_char};

use crate::state::state;

/// # Safety
///
/// `text` ends with a zero.
unsafe fn text<'a>(text: *const c_char) -> &'a str {
    // SAFETY: the caller says so.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn standin_set(key: *const c_char, value: i64) {
    // SAFETY: tests pass C strings.
    state().set(unsafe { text(key) }, value);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn standin_get(key: *const c_char) -> i64 {
    // SAFETY: as above.
    let key = unsafe { text(key) };
    let state = state();
    let resources = |count: fn(&crate::session::Session) -> usize| {
        state.sessions.values().map(count).sum::<usize>() as i64
    };
    match key {
        "sessions" => state.sessions.len() as i64,
        "allocations" => state.allocations.len() as i64,
        "buffers" => resources(|session| session.inputs.len() + session.bitstreams.len()),
        "registered" => resources(|session| session.registered.len()),
        "mapped" => resources(|session| session.mapped.len()),
        key => state.get(key),
    }
}

/// The calls of a function after the next `skip` fail, so many times, with a status of its library.
#[unsafe(no_mangle)]
unsafe extern "C" fn standin_fail(function: *const c_char, skip: u32, times: u32, status: u32) {
    // SAFETY: as above.
    state().fail(unsafe { text(function) }, skip, times, status);
}

/// Writes what was amiss, a line each, and a zero; returns how many there are.
#[unsafe(no_mangle)]
unsafe extern "C" fn standin_violations(out: *mut u8, room: usize) -> usize {
    let state = state();
    let all = state.violations.join("\n");
    let bytes = all.len().min(room.saturating_sub(1));
    if room > 0 {
        // SAFETY: there is room for so many bytes and a zero.
        unsafe {
            std::ptr::copy_nonoverlapping(all.as_ptr(), out, bytes);
            out.add(bytes).write(0);
        }
    }
    state.violations.len()
}
