//! What viewers say.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use visavis::microphone::MicChunk;

use crate::callback::{UserPointer, visavis_destroy};
use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::reader::{Next, Reader};
use crate::session::{SessionObject, visavis_session};
use crate::status::{visavis_status, visavis_status::*};

/// A reader of a session's microphones. Freed with visavis_microphone_free().
pub struct visavis_microphone {
    _private: [u8; 0],
}

struct MicrophoneObject(Arc<Reader<MicChunk, Vec<i16>>>);

impl Handled for MicrophoneObject {
    type Opaque = visavis_microphone;
    const KIND: u64 = 6;
    const NAME: &'static str = "reader of microphones";
}

/// A piece of what a viewer says: mono, usually 20 ms.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_mic_chunk {
    /// Set by visavis_mic_chunk_init().
    pub struct_size: usize,
    /// Whose it is.
    pub peer: u64,
    /// When the first sample was captured, in Unix milliseconds, as far as its arrival tells.
    pub captured_ms: i64,
    /// Signed 16-bit samples of this machine's byte order. Good until the next chunk is read from the same reader, or it
    /// is freed.
    pub samples: *const i16,
    /// How many samples.
    pub count: usize,
    /// Their rate in Hz: microphone_rate of the session.
    pub sample_rate: u32,
    /// 1: it was lost on the way, and is made up from what was around it.
    pub concealed: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_mic_chunk {
    const NAME: &'static str = "visavis_mic_chunk";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            peer: 0,
            captured_ms: 0,
            samples: ptr::null(),
            count: 0,
            sample_rate: 0,
            concealed: 0,
        }
    }
}

impl visavis_mic_chunk {
    /// With a pointer into the chunk's samples, which stay where they are when they are moved.
    fn new(chunk: &MicChunk) -> Self {
        Self {
            peer: chunk.peer.as_raw(),
            captured_ms: i64::try_from(chunk.captured.0).unwrap_or(i64::MAX),
            samples: chunk.samples.as_ptr(),
            count: chunk.samples.len(),
            sample_rate: chunk.sample_rate,
            concealed: chunk.concealed.into(),
            ..Self::initial()
        }
    }
}

/// Prepares a chunk to be filled; struct_size is sizeof(*chunk).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_mic_chunk_init(
    chunk: *mut visavis_mic_chunk,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(chunk, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Opens a reader of the session's microphones, those of all viewers, each in order. Nothing is decoded before the first.
/// Several readers of one session share what comes. 500 chunks are kept for whoever does not read; past that the oldest
/// is dropped and counted.
///
/// microphone: is set to the reader, which is the caller's to free; to NULL on errors. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_microphone_open(
    session: *const visavis_session,
    microphone: *mut *mut visavis_microphone,
) -> visavis_status {
    entry!([microphone] {
        let session = handle::get::<SessionObject>(session)?;
        let reader = Reader::new(session.session.microphone())?;
        raw::put(microphone, handle::insert(MicrophoneObject(Arc::new(reader)))?);
        Ok(VISAVIS_OK)
    })
}

/// Reads the next chunk; as visavis_events_next(). VISAVIS_END: the session has stopped, or the reader was freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_microphone_next(
    microphone: *const visavis_microphone,
    chunk: *mut visavis_mic_chunk,
    timeout_ms: i32,
) -> visavis_status {
    entry!({
        let microphone = handle::get::<MicrophoneObject>(microphone)?;
        raw::check(chunk)?;
        match microphone.0.next(timeout_ms)? {
            Next::Item(item) => {
                let out = visavis_mic_chunk::new(&item);
                let _kept = microphone.0.keep(item.samples);
                raw::write(chunk, out)?;
                Ok(VISAVIS_OK)
            }
            Next::Timeout => Ok(VISAVIS_TIMEOUT),
            Next::End => Ok(VISAVIS_END),
        }
    })
}

/// A file descriptor that is readable while chunks wait; as visavis_events_fd().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_microphone_fd(
    microphone: *const visavis_microphone,
    fd: *mut i32,
) -> visavis_status {
    entry!({
        raw::put(fd, handle::get::<MicrophoneObject>(microphone)?.0.descriptor()?);
        Ok(VISAVIS_OK)
    })
}

/// Called with each chunk; it is good during the call.
pub type visavis_mic_callback =
    Option<unsafe extern "C" fn(user: *mut c_void, chunk: *const visavis_mic_chunk)>;

/// Has a function called with each chunk, on a thread of its own; as visavis_events_set_callback().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_microphone_set_callback(
    microphone: *const visavis_microphone,
    callback: visavis_mic_callback,
    user: *mut c_void,
    destroy: visavis_destroy,
) -> visavis_status {
    entry!({
        let microphone = handle::get::<MicrophoneObject>(microphone)?;
        let callback = callback.ok_or_else(|| raw::null("callback"))?;
        microphone.0.call_with(UserPointer::new(user, destroy), move |item, user| {
            let out = visavis_mic_chunk::new(&item);
            // SAFETY: the application gave them together.
            unsafe { callback(user.get(), &raw const out) };
        })?;
        Ok(VISAVIS_OK)
    })
}

/// Frees a reader; as visavis_events_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_microphone_free(
    microphone: *mut visavis_microphone,
) -> visavis_status {
    entry!({
        if !microphone.is_null() {
            handle::take::<MicrophoneObject>(microphone)?.0.close();
        }
        Ok(VISAVIS_OK)
    })
}
