//! Pictures in memory of the application, which is read where it is and then given back.

use std::ffi::c_void;
use std::slice;
use std::sync::Arc;

use crate::callback::{UserPointer, visavis_destroy};
use crate::handle;
use crate::raw;
use crate::releases::Releases;
use crate::session::{SessionObject, visavis_session};
use crate::status::{visavis_status, visavis_status::*};
use crate::video::{pixel_format, timestamp, visavis_video_frame};

/// A picture that the application has lent.
struct Lent {
    data: *const u8,
    len: usize,
    user: Option<UserPointer>,
    releases: Arc<Releases>,
}

// SAFETY: the application has given its memory away until it is told; nobody writes to it meanwhile.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        match self.data.is_null() {
            true => &[],
            // SAFETY: as the application promises, `len` bytes can be read until it is told.
            false => unsafe { slice::from_raw_parts(self.data, self.len) },
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.user.take().into_iter().for_each(|user| self.releases.add(user));
    }
}

/// Pushes a picture without copying it: frame->data stays where it is, and must not change, until release is called with
/// user. That is done once, whatever is returned (but VISAVIS_FORKED), and on threads of the application only: in this
/// call, in a later one for the same session, in visavis_release_buffers(), or while the session is stopped or freed (of a
/// session of visavis_server_accept() that is freed while it runs, also on a thread of the library). It
/// may free or reuse the memory, and call anything here. Without a newer picture the last one may be kept.
///
/// Otherwise as visavis_push_video(). A JPEG or PNG file is decoded first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_video_buffer(
    session: *const visavis_session,
    frame: *const visavis_video_frame,
    release: visavis_destroy,
    user: *mut c_void,
) -> visavis_status {
    entry!({
        // Told of at the end of the call where it did not come any further.
        let user = UserPointer::new(user, release);
        let session = handle::get::<SessionObject>(session)?;
        let frame = raw::read(frame)?;
        let (format, stamp) = (pixel_format(frame.format)?, timestamp(frame.timestamp_ms)?);
        let data = raw::bytes("data", frame.data.cast(), frame.len)?;
        let lent = Lent {
            data: data.as_ptr(),
            len: data.len(),
            user: Some(user),
            releases: Arc::clone(&session.releases),
        };
        let pushed = session.video.push_buffer(lent, (frame.width, frame.height), format, stamp);
        session.releases.tell();
        Ok(pushed?.into())
    })
}

/// Calls release for the buffers that the engine does not need any more; see visavis_push_video_buffer(), which does so
/// too. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_release_buffers(
    session: *const visavis_session,
) -> visavis_status {
    entry!({
        handle::get::<SessionObject>(session)?.releases.tell();
        Ok(VISAVIS_OK)
    })
}
