//! Sound and pictures that are made ahead of their time.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use visavis::audio::EncodedAudio;
use visavis::units::UnixMillis;
use visavis::utterance::{Utterance, UtteranceProgress};

use crate::audio::visavis_audio_chunk;
use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::session::{SessionObject, visavis_session};
use crate::status::{Error, Result, visavis_status, visavis_status::*};
use crate::video::visavis_video_frame;

/// Something that is said, pushed as fast as it is made and played at its own pace. Freed with visavis_utterance_free().
pub struct visavis_utterance {
    _private: [u8; 0],
}

/// What a handle of an utterance stands for.
pub(crate) struct UtteranceObject {
    id: u64,
    progress: UtteranceProgress,
    /// Taken by its end.
    utterance: Mutex<Option<Arc<Utterance>>>,
}

impl Handled for UtteranceObject {
    type Opaque = visavis_utterance;
    const KIND: u64 = 8;
    const NAME: &'static str = "utterance";
}

impl UtteranceObject {
    /// `utterance`: none where it was ended.
    pub(crate) fn new(
        id: u64,
        progress: UtteranceProgress,
        utterance: Option<Arc<Utterance>>,
    ) -> Self {
        Self { id, progress, utterance: Mutex::new(utterance) }
    }

    fn open(&self) -> Result<Arc<Utterance>> {
        let utterance = self.utterance.lock().unwrap_or_else(PoisonError::into_inner).clone();
        utterance.ok_or_else(|| {
            Error::argument("this utterance was ended; nothing can be pushed into it")
        })
    }

    fn end(&self) {
        drop(self.utterance.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Begins an utterance: sound and pictures that are pushed ahead of their time, with timestamps inside it. Utterances of
/// a session are played one after the other, in the order in which they were begun.
///
/// zero_ms: the timestamp of its beginning, 0 or more. utterance: is set to the utterance, which is the caller's to free;
/// to NULL on errors. VISAVIS_WRONG_SESSION: the session's sound comes as Opus packets. VISAVIS_NOT_FOUND: it has stopped.
/// VISAVIS_BUSY. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_begin(
    session: *const visavis_session,
    zero_ms: i64,
    utterance: *mut *mut visavis_utterance,
) -> visavis_status {
    entry!([utterance] {
        let zero = u64::try_from(zero_ms).map_err(|_| {
            Error::argument(format_args!("invalid zero_ms {zero_ms}; expected 0 or more"))
        })?;
        let begun = handle::get::<SessionObject>(session)?.session.begin_utterance(UnixMillis(zero))?;
        let (id, progress) = (begun.id().as_raw(), begun.progress());
        let object = UtteranceObject::new(id, progress, Some(Arc::new(begun)));
        raw::put(utterance, handle::insert(object)?);
        Ok(VISAVIS_OK)
    })
}

/// The utterance's number, as events have it: 1 or more, later ones of a session have greater ones. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_id(
    utterance: *const visavis_utterance,
    id: *mut u64,
) -> visavis_status {
    entry!({
        raw::put(id, handle::get::<UtteranceObject>(utterance)?.id);
        Ok(VISAVIS_OK)
    })
}

/// Keeps a picture until its time. Where utterance_bytes of the session wait already, waits up to timeout_ms for room; 0
/// does not wait. timestamp_ms of the frame counts on the clock of zero_ms.
///
/// VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_FULL: there was no room for so long. VISAVIS_DROPPED: the
/// utterance was interrupted. VISAVIS_INVALID_ARGUMENT: it was ended. Otherwise as visavis_push_video(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_push_video(
    utterance: *const visavis_utterance,
    frame: *const visavis_video_frame,
    timeout_ms: u32,
) -> visavis_status {
    entry!({
        let open = handle::get::<UtteranceObject>(utterance)?.open()?;
        let frame = raw::read(frame)?;
        stamped(frame.timestamp_ms)?;
        let patience = Duration::from_millis(timeout_ms.into());
        Ok(open.push_video_within(&frame.frame()?, patience)?.into())
    })
}

/// Keeps a chunk of sound until its time; as visavis_utterance_push_video(), with audio_queue_ms of the session. A gap in
/// the timestamps is silence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_push_audio(
    utterance: *const visavis_utterance,
    chunk: *const visavis_audio_chunk,
    timeout_ms: u32,
) -> visavis_status {
    entry!({
        let open = handle::get::<UtteranceObject>(utterance)?.open()?;
        let chunk = raw::read(chunk)?;
        stamped(chunk.timestamp_ms)?;
        let patience = Duration::from_millis(timeout_ms.into());
        Ok(open.push_audio_within(&chunk.chunk()?, patience)?.into())
    })
}

/// Keeps one or more whole MP3 frames until their time; as visavis_utterance_push_audio(), but never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_push_mp3(
    utterance: *const visavis_utterance,
    data: *const c_void,
    len: usize,
    timestamp_ms: i64,
) -> visavis_status {
    entry!({
        let open = handle::get::<UtteranceObject>(utterance)?.open()?;
        let data = raw::bytes("data", data.cast(), len)?;
        let frames = EncodedAudio::new(data).timestamp(UnixMillis(stamped(timestamp_ms)?));
        Ok(open.push_mp3(&frames)?.into())
    })
}

/// Inside an utterance there is no "now".
fn stamped(ms: i64) -> Result<u64> {
    u64::try_from(ms).map_err(|_| {
        Error::argument(format_args!(
            "invalid timestamp_ms {ms} in an utterance; expected milliseconds on its clock, 0 or more"
        ))
    })
}

/// How far an utterance is; initialised by visavis_utterance_progress_init().
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_utterance_progress {
    /// Set by visavis_utterance_progress_init().
    pub struct_size: usize,
    /// How much of it was sent, in microseconds: exact to a packet.
    pub sent_us: u64,
    /// 1: it was cut off.
    pub interrupted: u32,
    /// 1: nothing more of it will be sent: it was played to its end, or cut off, also by the end of its session.
    pub over: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_utterance_progress {
    const NAME: &'static str = "visavis_utterance_progress";

    fn initial() -> Self {
        Self { struct_size: size_of::<Self>(), sent_us: 0, interrupted: 0, over: 0 }
    }
}

/// Prepares a progress to be filled; struct_size is sizeof(*progress).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_progress_init(
    progress: *mut visavis_utterance_progress,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(progress, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Fills in how far the utterance is, also after its end; VISAVIS_EVENT_UTTERANCE_ENDED and VISAVIS_EVENT_INTERRUPTED say
/// when it is over. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_get_progress(
    utterance: *const visavis_utterance,
    progress: *mut visavis_utterance_progress,
) -> visavis_status {
    entry!({
        let own = &handle::get::<UtteranceObject>(utterance)?.progress;
        let over = own.is_over();
        let out = visavis_utterance_progress {
            sent_us: u64::try_from(own.sent().as_micros()).unwrap_or(u64::MAX),
            interrupted: own.is_interrupted().into(),
            over: over.into(),
            ..visavis_utterance_progress::initial()
        };
        raw::write(progress, out)?;
        Ok(VISAVIS_OK)
    })
}

/// Nothing more will be pushed: when all of it is played it is over, and the next one begins. A second call does nothing.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_end(
    utterance: *const visavis_utterance,
) -> visavis_status {
    entry!({
        handle::get::<UtteranceObject>(utterance)?.end();
        Ok(VISAVIS_OK)
    })
}

/// Drops what has not been sent yet, of an utterance that was not ended; visavis_interrupt() drops whatever plays. sent_us:
/// NULL, or set to how much of it was sent, in microseconds. VISAVIS_INVALID_ARGUMENT: it was ended. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_interrupt(
    utterance: *const visavis_utterance,
    sent_us: *mut u64,
) -> visavis_status {
    entry!({
        let sent = handle::get::<UtteranceObject>(utterance)?.open()?.interrupt();
        raw::put(sent_us, u64::try_from(sent.as_micros()).unwrap_or(u64::MAX));
        Ok(VISAVIS_OK)
    })
}

/// Ends the utterance, if it was not yet, and frees it: what was pushed is still played. NULL is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_utterance_free(
    utterance: *mut visavis_utterance,
) -> visavis_status {
    entry!({
        if !utterance.is_null() {
            handle::take::<UtteranceObject>(utterance)?.end();
        }
        Ok(VISAVIS_OK)
    })
}
