//! What all calls of a session have in common.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;
use sys::NVENCSTATUS::{
    self, NV_ENC_ERR_DEVICE_NOT_EXIST, NV_ENC_ERR_INVALID_DEVICE, NV_ENC_ERR_INVALID_PARAM,
    NV_ENC_ERR_INVALID_PTR, NV_ENC_ERR_INVALID_VERSION, NV_ENC_SUCCESS,
};

use crate::cuda;
use crate::state::{State, state};

pub(crate) type Answer = Result<(), NVENCSTATUS>;
pub(crate) type Raw = *mut c_void;

/// Sessions that are inside a call now: none may be twice.
static BUSY: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

struct Busy(&'static AtomicUsize);

impl Busy {
    /// None where another thread is in a call of the session.
    fn enter(session: usize) -> Option<Self> {
        for place in &BUSY {
            if place.load(SeqCst) == session {
                return None;
            }
        }
        let free =
            BUSY.iter().find(|place| place.compare_exchange(0, session, SeqCst, SeqCst).is_ok());
        free.map(Self)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(0, SeqCst);
    }
}

/// A status by its number, of those that the header has.
pub(crate) fn status(number: u32) -> NVENCSTATUS {
    // SAFETY: the enum has all numbers from 0 to 26, and is a `u32`.
    unsafe { std::mem::transmute::<u32, NVENCSTATUS>(number.min(26)) }
}

/// A call of a session. Where it is to fail it does so before anything is done, unless `run` frees something: that is
/// freed all the same.
pub(crate) fn call(
    name: &str,
    session: Raw,
    frees: bool,
    run: impl FnOnce(&mut State) -> Answer,
) -> NVENCSTATUS {
    let session = session as usize;
    let busy = Busy::enter(session);
    let mut state = state();
    state.count(name, 1);
    if busy.is_none() {
        state.violation(format!("{name}: two threads in calls of one session"));
    }
    let failure = state.failure(name).map(status);
    let lost = (state.get("lost") != 0).then_some(NV_ENC_ERR_DEVICE_NOT_EXIST);
    if let Some(status) = failure.or(lost).filter(|_| !frees) {
        return status;
    }
    let Some(context) = state.sessions.get(&session).map(|session| session.context) else {
        state.violation(format!("{name} of a session that is not open"));
        return NV_ENC_ERR_INVALID_PTR;
    };
    if cuda::current() != Some(context) {
        state.violation(format!("{name} without the session's context"));
        return NV_ENC_ERR_INVALID_DEVICE;
    }
    let before = state.violations.len();
    let answer = run(&mut state).err();
    if let Some(what) = state.violations.get(before) {
        let text = format!("{name}: {what}\0").into_bytes();
        state.violations[before] = String::from_utf8_lossy(&text[..text.len() - 1]).into_owned();
        if let Some(session) = state.sessions.get_mut(&session) {
            session.last_error = text;
        }
    }
    failure.or(lost).or(answer).unwrap_or(NV_ENC_SUCCESS)
}

/// Refuses, and notes why.
pub(crate) fn refuse(state: &mut State, what: impl Into<String>, status: NVENCSTATUS) -> Answer {
    state.violation(what);
    Err(status)
}

/// Holds a structure's version to what the header says.
pub(crate) fn check_version(state: &mut State, what: &str, version: u32, expected: u32) -> Answer {
    if version == expected {
        return Ok(());
    }
    refuse(state, format!("{what} of version {version:#x}"), NV_ENC_ERR_INVALID_VERSION)
}

/// Holds what is reserved to zero.
pub(crate) fn check_reserved(
    state: &mut State,
    what: &str,
    numbers: &[u32],
    pointers: &[Raw],
) -> Answer {
    if numbers.iter().all(|&n| n == 0) && pointers.iter().all(|p| p.is_null()) {
        return Ok(());
    }
    refuse(state, format!("{what}: a reserved field is not zero"), NV_ENC_ERR_INVALID_PARAM)
}
