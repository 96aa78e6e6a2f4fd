//! Pointers that the application gives with its callbacks.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::status::{Error, Result, visavis_status::*};

/// Called once with the pointer that was given with a callback, when the callback will not be called again; NULL where
/// nothing is to be done. It runs on the callback's thread.
pub type visavis_destroy = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// The application's pointer, and what to do with it in the end.
pub(crate) struct UserPointer {
    user: *mut c_void,
    destroy: visavis_destroy,
}

// SAFETY: the header says that callbacks run on other threads; the application's pointer is good for that.
unsafe impl Send for UserPointer {}

impl UserPointer {
    pub(crate) fn new(user: *mut c_void, destroy: visavis_destroy) -> Self {
        Self { user, destroy }
    }

    pub(crate) fn get(&self) -> *mut c_void {
        self.user
    }

    /// It stays the application's.
    pub(crate) fn forget(mut self) {
        self.destroy = None;
    }
}

/// Runs something on a thread of its own, which nobody waits for. On errors the pointer stays the application's.
pub(crate) fn spawn(
    name: &str,
    user: UserPointer,
    run: impl FnOnce(UserPointer) + Send + 'static,
) -> Result<()> {
    let user = Arc::new(Mutex::new(Some(user)));
    let of_thread = Arc::clone(&user);
    let run = move || take(&of_thread).map_or((), run);
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| {
        take(&user).into_iter().for_each(UserPointer::forget);
        Error::new(VISAVIS_SYSTEM, format_args!("cannot start a thread: {error}"))
    })
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Drop for UserPointer {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the application gave them together, and it is called once.
            unsafe { destroy(self.user) };
        }
    }
}
