//! What happens, as it happens.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use visavis::Event;
use visavis::session::SessionId;
use visavis::units::Bitrate;

use crate::callback::{UserPointer, visavis_destroy};
use crate::engine::{EngineObject, visavis_engine};
use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::reader::{Next, Reader};
use crate::session::{SessionObject, visavis_session};
use crate::status::{visavis_status, visavis_status::*};

/// A reader of events. Freed with visavis_events_free().
pub struct visavis_events {
    _private: [u8; 0],
}

struct EventsObject(Arc<Reader<Event, Kept>>);

impl Handled for EventsObject {
    type Opaque = visavis_events;
    const KIND: u64 = 5;
    const NAME: &'static str = "reader of events";
}

/// What happened.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_event_kind {
    /// A kind that this version of the interface has no number for.
    VISAVIS_EVENT_OTHER = 0,
    /// A viewer's connection is up. text: the video codec it gets, NULL for a listener without picture.
    VISAVIS_EVENT_PEER_JOINED = 1,
    /// A viewer is gone. text: why, one of closed, connect-timeout, vanished, failed, rsa-certificate, stopped.
    VISAVIS_EVENT_PEER_LEFT = 2,
    /// Pictures are pushed where none were.
    VISAVIS_EVENT_LIVE_STARTED = 3,
    /// Viewers see the idle picture again. stalled: 1 where neither an utterance's end nor an interruption explains it.
    VISAVIS_EVENT_LIVE_ENDED = 4,
    /// Viewers of a session whose pictures are pushed encoded wait for a keyframe. text: the codec.
    VISAVIS_EVENT_KEYFRAME_REQUESTED = 5,
    /// An utterance begins to play. utterance: which one.
    VISAVIS_EVENT_UTTERANCE_STARTED = 6,
    /// An utterance has been played to its end. utterance, sent_us.
    VISAVIS_EVENT_UTTERANCE_ENDED = 7,
    /// What was being said was cut off. utterance: which one, 0 for sound that was pushed live; sent_us.
    VISAVIS_EVENT_INTERRUPTED = 8,
    /// A viewer began to speak; only while microphones are read. peer, at_ms.
    VISAVIS_EVENT_SPEECH_STARTED = 9,
    /// A viewer has stopped speaking. peer, at_ms.
    VISAVIS_EVENT_SPEECH_ENDED = 10,
    /// How loud a viewer is, five times a second. peer, level_db.
    VISAVIS_EVENT_MICROPHONE_LEVEL = 11,
    /// A viewer has opened a data channel. peer; text: its label.
    VISAVIS_EVENT_DATA_CHANNEL_OPENED = 12,
    /// A data channel is closed, while its viewer stays. peer; text: its label.
    VISAVIS_EVENT_DATA_CHANNEL_CLOSED = 13,
    /// A fault of the library, or of what it was given, was caught, and has cost no more than its domain. text: whose it
    /// was, and what happened; domain. Told once for each domain and owner. Of no session: only readers of all get it.
    VISAVIS_EVENT_FAULT = 14,
    /// The engine has ended by a fault, and serves nobody any more: the process should end, and be started anew. text: what
    /// happened; domain. Also for readers that are opened after it; of no session.
    VISAVIS_EVENT_ENGINE_FAILED = 15,
    /// A viewer gets a smaller picture than before or a larger one, or fewer or more pictures a second. peer, rung, layer,
    /// video_kbps, limited.
    VISAVIS_EVENT_PICTURE_CHANGED = 16,
    /// Pictures that are pushed encoded should take so much from the next one on; only with adaptive_encoder in the session's
    /// settings. video_kbps; text: the codec.
    VISAVIS_EVENT_BITRATE_WANTED = 17,
}

/// An event. Fields that its kind does not name are 0 or NULL.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_event {
    /// Set by visavis_event_init().
    pub struct_size: usize,
    /// One of visavis_event_kind. Leave out those that you do not know: there may be more.
    pub kind: u32,
    /// Of VISAVIS_EVENT_LIVE_ENDED.
    pub stalled: u32,
    /// The name of the session; NULL for what is of none. Good until the next event is read from the same reader, or it is
    /// freed.
    pub session: *const c_char,
    /// Depends on the kind. Good as long as session.
    pub text: *const c_char,
    /// The viewer.
    pub peer: u64,
    /// The utterance; see visavis_utterance_id().
    pub utterance: u64,
    /// How much of it was sent, in microseconds.
    pub sent_us: u64,
    /// When the speech was captured, in Unix milliseconds.
    pub at_ms: i64,
    /// In dB: 0 is full scale, -127 silence.
    pub level_db: i32,
    /// 0.
    pub reserved: u32,
    /// What a fault was confined to, one word: peer, offer, datagram, command, session, encoder, idle, audio, callback,
    /// rtp-input, connection, upload, addresses, media-loop, audio-loop, idle-loop, signaling-loop, log; there may be
    /// more. Good as long as session.
    pub domain: *const c_char,
    /// The size that the viewer gets, counted from the smallest, which is 0.
    pub rung: u32,
    /// How many of the pictures it gets, counted from the fewest, which is 0; 3 for all.
    pub layer: u32,
    /// What they should take at most, in kbit/s; 0 where there is one size that is always the same.
    pub video_kbps: u32,
    /// 1 where that is less than the best, because the viewer's network takes no more.
    pub limited: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_event {
    const NAME: &'static str = "visavis_event";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            kind: visavis_event_kind::VISAVIS_EVENT_OTHER as u32,
            stalled: 0,
            session: ptr::null(),
            text: ptr::null(),
            peer: 0,
            utterance: 0,
            sent_us: 0,
            at_ms: 0,
            level_db: 0,
            reserved: 0,
            domain: ptr::null(),
            rung: 0,
            layer: 0,
            video_kbps: 0,
            limited: 0,
        }
    }
}

/// The texts of the event that was read last.
struct Kept {
    session: Option<CString>,
    text: Option<CString>,
    domain: Option<CString>,
}

pub(crate) fn in_kbps(bitrate: Bitrate) -> u32 {
    u32::try_from(bitrate.bps() / 1_000).unwrap_or(u32::MAX)
}

fn owned(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}

fn kind(event: &Event) -> visavis_event_kind {
    use visavis_event_kind::*;
    match event {
        Event::PeerJoined { .. } => VISAVIS_EVENT_PEER_JOINED,
        Event::PeerLeft { .. } => VISAVIS_EVENT_PEER_LEFT,
        Event::LiveStarted { .. } => VISAVIS_EVENT_LIVE_STARTED,
        Event::LiveEnded { .. } => VISAVIS_EVENT_LIVE_ENDED,
        Event::KeyframeRequested { .. } => VISAVIS_EVENT_KEYFRAME_REQUESTED,
        Event::UtteranceStarted { .. } => VISAVIS_EVENT_UTTERANCE_STARTED,
        Event::UtteranceEnded { .. } => VISAVIS_EVENT_UTTERANCE_ENDED,
        Event::Interrupted { .. } => VISAVIS_EVENT_INTERRUPTED,
        Event::SpeechStarted { .. } => VISAVIS_EVENT_SPEECH_STARTED,
        Event::SpeechEnded { .. } => VISAVIS_EVENT_SPEECH_ENDED,
        Event::MicrophoneLevel { .. } => VISAVIS_EVENT_MICROPHONE_LEVEL,
        Event::DataChannelOpened { .. } => VISAVIS_EVENT_DATA_CHANNEL_OPENED,
        Event::DataChannelClosed { .. } => VISAVIS_EVENT_DATA_CHANNEL_CLOSED,
        Event::Fault { .. } => VISAVIS_EVENT_FAULT,
        Event::EngineFailed { .. } => VISAVIS_EVENT_ENGINE_FAILED,
        Event::PictureChanged { .. } => VISAVIS_EVENT_PICTURE_CHANGED,
        Event::BitrateWanted { .. } => VISAVIS_EVENT_BITRATE_WANTED,
        _ => VISAVIS_EVENT_OTHER,
    }
}

/// The session that an event is of; `None` for those of none, and for kinds that are new.
fn session_of(event: &Event) -> Option<&SessionId> {
    match event {
        Event::PeerJoined { session, .. }
        | Event::PeerLeft { session, .. }
        | Event::PictureChanged { session, .. }
        | Event::LiveStarted { session, .. }
        | Event::LiveEnded { session, .. }
        | Event::KeyframeRequested { session, .. }
        | Event::BitrateWanted { session, .. }
        | Event::UtteranceStarted { session, .. }
        | Event::UtteranceEnded { session, .. }
        | Event::Interrupted { session, .. }
        | Event::SpeechStarted { session, .. }
        | Event::SpeechEnded { session, .. }
        | Event::MicrophoneLevel { session, .. }
        | Event::DataChannelOpened { session, .. }
        | Event::DataChannelClosed { session, .. } => Some(session),
        _ => None,
    }
}

/// An event as C sees it, without its texts, and those.
fn for_c(event: &Event) -> (visavis_event, Kept) {
    let mut out = visavis_event::initial();
    out.kind = kind(event) as u32;
    let us = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let composed;
    let (mut text, mut domain): (Option<&str>, Option<&str>) = (None, None);
    match event {
        Event::PeerJoined { peer, codec, .. } => {
            out.peer = peer.as_raw();
            text = codec.map(|codec| codec.name());
        }
        Event::PeerLeft { peer, reason, .. } => {
            out.peer = peer.as_raw();
            text = Some(reason.as_str());
        }
        Event::PictureChanged { peer, rung, layer, bitrate, limited, .. } => {
            out.peer = peer.as_raw();
            (out.rung, out.layer) = (rung.index() as u32, layer.index().into());
            out.video_kbps = bitrate.map_or(0, in_kbps);
            out.limited = u32::from(*limited);
        }
        Event::LiveEnded { stalled, .. } => out.stalled = u32::from(*stalled),
        Event::KeyframeRequested { codec, .. } => text = Some(codec.name()),
        Event::BitrateWanted { codec, bitrate, .. } => {
            (text, out.video_kbps) = (Some(codec.name()), in_kbps(*bitrate));
        }
        Event::UtteranceStarted { utterance, .. } => out.utterance = utterance.as_raw(),
        Event::UtteranceEnded { utterance, sent, .. } => {
            (out.utterance, out.sent_us) = (utterance.as_raw(), us(*sent));
        }
        Event::Interrupted { utterance, sent, .. } => {
            out.utterance = utterance.map_or(0, |utterance| utterance.as_raw());
            out.sent_us = us(*sent);
        }
        Event::SpeechStarted { peer, at, .. } | Event::SpeechEnded { peer, at, .. } => {
            out.peer = peer.as_raw();
            out.at_ms = i64::try_from(at.0).unwrap_or(i64::MAX);
        }
        Event::MicrophoneLevel { peer, dbfs, .. } => {
            (out.peer, out.level_db) = (peer.as_raw(), i32::from(*dbfs));
        }
        Event::DataChannelOpened { peer, label, .. }
        | Event::DataChannelClosed { peer, label, .. } => {
            out.peer = peer.as_raw();
            text = Some(label);
        }
        Event::Fault { domain: confined, whose, why, .. } => {
            composed = format!("{whose}: {why}");
            (text, domain) = (Some(composed.as_str()), Some(confined.as_str()));
        }
        Event::EngineFailed { domain: ended, why, .. } => {
            composed = format!("the {ended} has ended by a fault: {why}");
            (text, domain) = (Some(composed.as_str()), Some(ended.as_str()));
        }
        _ => {}
    }
    let session = session_of(event).map(|session| owned(session.as_str()));
    (out, Kept { session, text: text.map(owned), domain: domain.map(owned) })
}

/// Puts the pointers to the texts in, which stay where they are while they are kept.
fn with_texts(mut event: visavis_event, kept: Option<&Kept>) -> visavis_event {
    if let Some(kept) = kept {
        let pointer =
            |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        event.session = pointer(&kept.session);
        event.text = pointer(&kept.text);
        event.domain = pointer(&kept.domain);
    }
    event
}

/// Prepares an event to be filled; struct_size is sizeof(*event).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_event_init(
    event: *mut visavis_event,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(event, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Opens a reader of events, those from now on. Each reader gets all of them.
///
/// session: NULL for the events of all sessions. kinds: those wanted, the sum of 1 << VISAVIS_EVENT_...; 0 for all but
/// VISAVIS_EVENT_MICROPHONE_LEVEL. events: is set to the reader, which is the caller's to free; to NULL on errors. What is
/// not read in time is dropped, and counted: event_capacity and max_clients of the engine together are kept. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_events_open(
    engine: *const visavis_engine,
    session: *const visavis_session,
    kinds: u64,
    events: *mut *mut visavis_events,
) -> visavis_status {
    entry!([events] {
        let engine = handle::get::<EngineObject>(engine)?;
        let session = match session.is_null() {
            true => None,
            false => Some(handle::get::<SessionObject>(session)?.session.id().clone()),
        };
        let level = 1_u64 << visavis_event_kind::VISAVIS_EVENT_MICROPHONE_LEVEL as u32;
        let kinds = if kinds == 0 { !level } else { kinds };
        let items = engine.handle.subscribe_to(move |event| {
            let of_session = session.is_none() || session_of(event) == session.as_ref();
            of_session && kinds & (1 << kind(event) as u32) != 0
        });
        raw::put(events, handle::insert(EventsObject(Arc::new(Reader::new(items)?)))?);
        Ok(VISAVIS_OK)
    })
}

/// Reads the next event.
///
/// event: initialised by visavis_event_init(), and filled in. timeout_ms: 0 does not wait, -1 waits as long as it takes.
/// VISAVIS_OK, VISAVIS_TIMEOUT; VISAVIS_END: the engine has stopped, or the reader was freed meanwhile. Any thread, one
/// at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_events_next(
    events: *const visavis_events,
    event: *mut visavis_event,
    timeout_ms: i32,
) -> visavis_status {
    entry!({
        let events = handle::get::<EventsObject>(events)?;
        raw::check(event)?;
        match events.0.next(timeout_ms)? {
            Next::Item(item) => {
                let (out, kept) = for_c(&item);
                raw::write(event, with_texts(out, events.0.keep(kept).as_ref()))?;
                Ok(VISAVIS_OK)
            }
            Next::Timeout => Ok(VISAVIS_TIMEOUT),
            Next::End => Ok(VISAVIS_END),
        }
    })
}

/// A file descriptor that is readable while events wait, and once nothing more will come: for poll, epoll and what is
/// built on them. It is not to be read, written or closed, and is good until the reader is freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_events_fd(
    events: *const visavis_events,
    fd: *mut i32,
) -> visavis_status {
    entry!({
        raw::put(fd, handle::get::<EventsObject>(events)?.0.descriptor()?);
        Ok(VISAVIS_OK)
    })
}

/// How many events were dropped because they were not read in time. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_events_dropped(
    events: *const visavis_events,
    dropped: *mut u64,
) -> visavis_status {
    entry!({
        raw::put(dropped, handle::get::<EventsObject>(events)?.0.dropped());
        Ok(VISAVIS_OK)
    })
}

/// Called with each event; it is good during the call.
pub type visavis_event_callback =
    Option<unsafe extern "C" fn(user: *mut c_void, event: *const visavis_event)>;

/// Has a function called with each event, instead of visavis_events_next(), on a thread of its own: it may take its time,
/// and may call everything here, also free what it is called for. It must not throw exceptions.
///
/// user: given to the callback. destroy: called with user once no event will come any more: the engine has stopped, or the
/// reader was freed; NULL where nothing is to be done. On errors user stays the caller's. Nothing here waits for a
/// callback to return. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_events_set_callback(
    events: *const visavis_events,
    callback: visavis_event_callback,
    user: *mut c_void,
    destroy: visavis_destroy,
) -> visavis_status {
    entry!({
        let events = handle::get::<EventsObject>(events)?;
        let callback = callback.ok_or_else(|| raw::null("callback"))?;
        events.0.call_with(UserPointer::new(user, destroy), move |item, user| {
            let (out, kept) = for_c(&item);
            let out = with_texts(out, Some(&kept));
            // SAFETY: the application gave them together.
            unsafe { callback(user.get(), &raw const out) };
        })?;
        Ok(VISAVIS_OK)
    })
}

/// Frees a reader. Whoever waits in visavis_events_next() gets VISAVIS_END; a callback is not called again, but for a call
/// that runs. NULL is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_events_free(events: *mut visavis_events) -> visavis_status {
    entry!({
        if !events.is_null() {
            handle::take::<EventsObject>(events)?.0.close();
        }
        Ok(VISAVIS_OK)
    })
}
