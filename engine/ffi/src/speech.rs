//! Speech that is uploaded over HTTP, for a renderer that makes pictures of it.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use crate::callback::{UserPointer, visavis_destroy};
use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::reader::{Next, Reader};
use crate::server::{ServerObject, visavis_server};
use crate::status::{visavis_status, visavis_status::*};
use crate::uploads::{Listening, Piece};
use crate::utterance::visavis_utterance;

/// A reader of uploaded speech. Freed with visavis_speech_free().
pub struct visavis_speech {
    _private: [u8; 0],
}

struct SpeechObject {
    reader: Arc<Reader<Piece, Kept>>,
    _listening: Listening,
}

impl Handled for SpeechObject {
    type Opaque = visavis_speech;
    const KIND: u64 = 9;
    const NAME: &'static str = "reader of speech";
}

/// A piece of uploaded speech, some 40 ms, or the end of an upload.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_speech_chunk {
    /// Set by visavis_speech_chunk_init().
    pub struct_size: usize,
    /// The name of the session that it is played into. Good until the next piece is read from the same reader, or it is
    /// freed.
    pub session: *const c_char,
    /// Signed 16-bit samples of this machine's byte order, channels interleaved. Good as long as session.
    pub samples: *const i16,
    /// How many, over all channels; 0 at the end.
    pub count: usize,
    /// The number of the utterance that it is part of: one for each upload, as events have it.
    pub utterance: u64,
    /// The time of the first sample inside the utterance, in microseconds.
    pub at_us: u64,
    /// Samples a second, of each channel; 0 at the end.
    pub sample_rate: u32,
    /// 1 or 2; 0 at the end.
    pub channels: u32,
    /// 1: there are no samples, and no more will come of this upload, whether it was played to its end or cut off.
    pub is_end: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_speech_chunk {
    const NAME: &'static str = "visavis_speech_chunk";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            session: ptr::null(),
            samples: ptr::null(),
            count: 0,
            utterance: 0,
            at_us: 0,
            sample_rate: 0,
            channels: 0,
            is_end: 0,
            reserved: 0,
        }
    }
}

/// What C has pointers into.
type Kept = (CString, Vec<i16>);

/// A piece as C sees it, and what it points to, which stays where it is when it is moved.
fn for_c(piece: &mut Piece) -> (visavis_speech_chunk, Kept) {
    let session = CString::new(piece.session.as_str()).unwrap_or_default();
    let samples = std::mem::take(&mut piece.samples);
    let out = visavis_speech_chunk {
        session: session.as_ptr(),
        samples: samples.as_ptr(),
        count: samples.len(),
        utterance: piece.id,
        at_us: u64::try_from(piece.at.as_micros()).unwrap_or(u64::MAX),
        sample_rate: piece.sample_rate,
        channels: piece.channels.into(),
        is_end: piece.end.is_some().into(),
        ..visavis_speech_chunk::initial()
    };
    (out, (session, samples))
}

/// Prepares a piece to be filled; struct_size is sizeof(*chunk).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_chunk_init(
    chunk: *mut visavis_speech_chunk,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(chunk, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Opens a reader of the speech that is uploaded into any session of the server (POST /webrtc/sessions/{id}/stream, with
/// api), from now on: for a renderer that makes pictures of it. The server plays the sound itself. Each piece comes before
/// it is played, by up to five seconds where the upload is as fast as that. Several readers of one server share what
/// comes.
///
/// speech: is set to the reader, which is the caller's to free; to NULL on errors. 1,024 pieces, some 40 s, are kept for
/// whoever does not read; past that the oldest is dropped and counted. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_open(
    server: *const visavis_server,
    speech: *mut *mut visavis_speech,
) -> visavis_status {
    entry!([speech] {
        let uploads = Arc::clone(&handle::get::<ServerObject>(server)?.hooks.uploads);
        let reader = Arc::new(Reader::new(Arc::clone(&uploads.queue))?);
        let object = SpeechObject { reader, _listening: Listening::new(uploads) };
        raw::put(speech, handle::insert(object)?);
        Ok(VISAVIS_OK)
    })
}

/// Reads the next piece; as visavis_events_next(). VISAVIS_END: the server has stopped, or the reader was freed.
///
/// utterance: NULL, or set to what the piece is part of, which is the caller's to free, once all pictures of this piece
/// are pushed into it (visavis_utterance_push_video(), with timestamps that count from 0); to NULL unless VISAVIS_OK is
/// returned. Each piece has a handle of its own. The utterance is over when the upload is, and all handles of it are freed
/// or ended: until then nothing else is said in the session. An upload whose end is not read within six seconds goes on
/// without pictures: pushes into it are VISAVIS_INVALID_ARGUMENT then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_next(
    speech: *const visavis_speech,
    chunk: *mut visavis_speech_chunk,
    utterance: *mut *mut visavis_utterance,
    timeout_ms: i32,
) -> visavis_status {
    entry!({
        raw::put(utterance, ptr::null_mut());
        let speech = handle::get::<SpeechObject>(speech)?;
        raw::check(chunk)?;
        match speech.reader.next(timeout_ms)? {
            Next::Item(mut piece) => {
                if !utterance.is_null() {
                    raw::put(utterance, handle::insert(piece.utterance())?);
                }
                let (out, kept) = for_c(&mut piece);
                let _kept = speech.reader.keep(kept);
                raw::write(chunk, out)?;
                Ok(VISAVIS_OK)
            }
            Next::Timeout => Ok(VISAVIS_TIMEOUT),
            Next::End => Ok(VISAVIS_END),
        }
    })
}

/// A file descriptor that is readable while pieces wait; as visavis_events_fd().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_fd(
    speech: *const visavis_speech,
    fd: *mut i32,
) -> visavis_status {
    entry!({
        raw::put(fd, handle::get::<SpeechObject>(speech)?.reader.descriptor()?);
        Ok(VISAVIS_OK)
    })
}

/// How many pieces were dropped because they were not read in time, since the server was started. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_dropped(
    speech: *const visavis_speech,
    dropped: *mut u64,
) -> visavis_status {
    entry!({
        raw::put(dropped, handle::get::<SpeechObject>(speech)?.reader.dropped());
        Ok(VISAVIS_OK)
    })
}

/// Called with each piece, which is good during the call, and what it is part of, which is the callback's to free; see
/// visavis_speech_next(). utterance is NULL where there are too many handles.
pub type visavis_speech_callback = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        chunk: *const visavis_speech_chunk,
        utterance: *mut visavis_utterance,
    ),
>;

/// Has a function called with each piece, on a thread of its own; as visavis_events_set_callback().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_set_callback(
    speech: *const visavis_speech,
    callback: visavis_speech_callback,
    user: *mut c_void,
    destroy: visavis_destroy,
) -> visavis_status {
    entry!({
        let speech = handle::get::<SpeechObject>(speech)?;
        let callback = callback.ok_or_else(|| raw::null("callback"))?;
        speech.reader.call_with(UserPointer::new(user, destroy), move |mut piece, user| {
            // Without a handle there is none for pictures; the sound is there all the same.
            let utterance = handle::insert(piece.utterance()).unwrap_or(ptr::null_mut());
            let (out, kept) = for_c(&mut piece);
            drop(piece);
            // SAFETY: the application gave them together.
            unsafe { callback(user.get(), &raw const out, utterance) };
            drop(kept);
        })?;
        Ok(VISAVIS_OK)
    })
}

/// Frees a reader; as visavis_events_free(). NULL is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_speech_free(speech: *mut visavis_speech) -> visavis_status {
    entry!({
        if !speech.is_null() {
            handle::take::<SpeechObject>(speech)?.reader.close();
        }
        Ok(VISAVIS_OK)
    })
}
