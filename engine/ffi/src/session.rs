//! Sessions: one face each.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use visavis::audio::AudioSink;
use visavis::idle::IdleLoop;
use visavis::video::{EncodedVideoSink, VideoSink};
use visavis::{EngineHandle, Session, SessionConfig};

use crate::arrivals::Guest;
use crate::engine::{EngineObject, visavis_engine};
use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::releases::Releases;
use crate::settings::{Settings, session_config};
use crate::status::{Result, visavis_status, visavis_status::*};
use crate::text;

/// One face: its sources, its idle picture, its viewers. Freed with visavis_session_free().
pub struct visavis_session {
    _private: [u8; 0],
}

/// What a handle of a session stands for.
pub(crate) struct SessionObject {
    pub(crate) session: Arc<Session>,
    /// Made over HTTP: it ends when it is ended there.
    guest: Option<Arc<Guest>>,
    pub(crate) video: VideoSink,
    pub(crate) encoded: EncodedVideoSink,
    pub(crate) audio: AudioSink,
    pub(crate) engine: EngineHandle,
    pub(crate) releases: Arc<Releases>,
}

impl Handled for SessionObject {
    type Opaque = visavis_session;
    const KIND: u64 = 2;
    const NAME: &'static str = "session";
}

impl SessionObject {
    pub(crate) fn new(
        session: Arc<Session>,
        guest: Option<Arc<Guest>>,
        engine: EngineHandle,
    ) -> Self {
        let (video, encoded, audio) = (session.video(), session.encoded_video(), session.audio());
        Self { session, guest, video, encoded, audio, engine, releases: Arc::default() }
    }

    fn stop(&self) {
        self.session.stop();
        self.releases.close();
    }

    /// The handle is gone.
    fn free(&self) {
        match &self.guest {
            Some(_) => self.releases.close(),
            None => self.stop(),
        }
    }
}

/// Settings of a session. Texts are copied; one that is NULL stands for its default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_session_config {
    /// Set by visavis_session_config_init().
    pub struct_size: usize,
    /// Its name: 1 to 64 characters from A-Z a-z 0-9 . _ -. Default: "default".
    pub id: *const c_char,
    /// Video codecs in order of preference, with commas: H264, VP8, VP9, AV1 (in builds that have it). Default: "H264".
    pub video_codec: *const c_char,
    /// The codec of pictures that are pushed encoded. NULL: they are pushed raw, and encoded here. Default: NULL.
    pub encoded: *const c_char,
    /// Audio codecs in order of preference, with commas: opus, pcmu, pcma. Default: "opus".
    pub audio_codec: *const c_char,
    /// Width that all pictures are scaled to; 0 with height 0: each picture keeps its own size. Default: 0.
    pub width: u32,
    /// Height that all pictures are scaled to. Default: 0.
    pub height: u32,
    /// Frames per second that will be pushed, 1 to 120. Default: 30.
    pub fps: u32,
    /// Target bitrate of the video in kbit/s, 50 to 50,000. Default: 1,500.
    pub bitrate: u32,
    /// Target bitrate of Opus in kbit/s, 6 to 510; with two channels it is twice as much. Default: 48.
    pub audio_bitrate: u32,
    /// Milliseconds of sound in one packet: 10 or 20. Default: 20.
    pub packet_ms: u32,
    /// 1: send a coarse copy of each Opus packet in the next one while viewers lose packets. Default: 1.
    pub opus_fec: u32,
    /// 1: send almost nothing while nobody speaks. Default: 0.
    pub opus_dtx: u32,
    /// 1: send every Opus packet twice to all browsers that support it; 0: only to those that lose packets. Default: 0.
    pub opus_red: u32,
    /// Viewers at once; 0: as many as the engine takes. 1 makes the session private. Default: 0.
    pub max_viewers: u32,
    /// How long viewers may hold a picture back at least, in milliseconds up to 40,950. Default: 0.
    pub playout_min_ms: u32,
    /// How long viewers may hold a picture back at most, in milliseconds up to 40,950. Default: 0.
    pub playout_max_ms: u32,
    /// Sample rate of microphones in Hz: 8,000, 12,000, 16,000, 24,000 or 48,000. Default: 16,000.
    pub microphone_rate: u32,
    /// Sound kept while it waits for its turn, in milliseconds, 100 to 3,600,000. Default: 60,000.
    pub audio_queue_ms: u32,
    /// How long a picture stays when no other follows, before the idle picture is shown, in milliseconds up to 60,000.
    /// Default: 500.
    pub idle_grace_ms: u32,
    /// Memory for pictures of utterances that wait, in bytes. Default: 268,435,456.
    pub utterance_bytes: u64,
    /// A file that is shown while no pictures are pushed; see visavis_session_set_idle_file(). Default: NULL, the built-in
    /// face.
    pub idle: *const c_char,
    /// The least bitrate of the video in kbit/s, up to 50,000: viewers whose networks take less than bitrate get a smaller
    /// picture, down to this. As high as bitrate, all get the same. Default: 100.
    pub min_bitrate: u32,
    /// 1: the encoder of pictures that are pushed encoded makes as much as it is told to, between min_bitrate and bitrate; see
    /// VISAVIS_EVENT_BITRATE_WANTED. Needs encoded, and 1 for max_viewers. Default: 0.
    pub adaptive_encoder: u32,
    /// The smaller pictures of these viewers, with commas, such as "50%:300,25%:120:15": so much of each side, at so many
    /// kbit/s, with so many frames per second at most; three of them at most. Default: NULL, as min_bitrate has it.
    pub rungs: *const c_char,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_session_config {
    const NAME: &'static str = "visavis_session_config";

    fn initial() -> Self {
        let config = SessionConfig::default();
        Self {
            struct_size: size_of::<Self>(),
            id: std::ptr::null(),
            video_codec: std::ptr::null(),
            encoded: std::ptr::null(),
            audio_codec: std::ptr::null(),
            width: 0,
            height: 0,
            fps: config.fps,
            bitrate: (config.video_bitrate.bps() / 1_000) as u32,
            audio_bitrate: (config.audio_bitrate.bps() / 1_000) as u32,
            packet_ms: config.packet_time.duration().as_millis() as u32,
            opus_fec: config.opus.fec.into(),
            opus_dtx: config.opus.dtx.into(),
            opus_red: config.opus.red.into(),
            max_viewers: 0,
            playout_min_ms: config.playout_delay.min.as_millis() as u32,
            playout_max_ms: config.playout_delay.max.as_millis() as u32,
            microphone_rate: config.microphone_rate,
            audio_queue_ms: config.audio_queue.as_millis() as u32,
            idle_grace_ms: config.idle_grace.as_millis() as u32,
            utterance_bytes: config.utterance_bytes as u64,
            idle: std::ptr::null(),
            min_bitrate: (config.min_video_bitrate.bps() / 1_000) as u32,
            adaptive_encoder: 0,
            rungs: std::ptr::null(),
        }
    }
}

impl visavis_session_config {
    /// # Safety
    ///
    /// Its texts are NULL, or end with a NUL.
    unsafe fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        let texts = [
            ("id", self.id),
            ("video_codec", self.video_codec),
            ("encoded", self.encoded),
            ("audio_codec", self.audio_codec),
            ("idle", self.idle),
            ("rungs", self.rungs),
        ];
        for (key, text) in texts {
            // SAFETY: as the caller promises.
            settings.text(key, unsafe { raw::optional_text(key, text) }?);
        }
        if (self.width, self.height) != (0, 0) {
            settings.text("size", Some(&format!("{}x{}", self.width, self.height)));
        }
        let numbers = [
            ("fps", self.fps),
            ("bitrate", self.bitrate),
            ("min_bitrate", self.min_bitrate),
            ("audio_bitrate", self.audio_bitrate),
            ("packet_ms", self.packet_ms),
            ("playout_min_ms", self.playout_min_ms),
            ("playout_max_ms", self.playout_max_ms),
            ("microphone_rate", self.microphone_rate),
            ("audio_queue_ms", self.audio_queue_ms),
            ("idle_grace_ms", self.idle_grace_ms),
        ];
        numbers.into_iter().for_each(|(key, number)| settings.number(key, number));
        if self.max_viewers != 0 {
            settings.number("max_viewers", self.max_viewers);
        }
        settings.number("utterance_bytes", i64::try_from(self.utterance_bytes).unwrap_or(i64::MAX));
        settings.flag("adaptive_encoder", self.adaptive_encoder);
        settings.flag("opus_fec", self.opus_fec);
        settings.flag("opus_dtx", self.opus_dtx);
        settings.flag("opus_red", self.opus_red);
        Ok(settings)
    }
}

/// Writes the defaults into a config; struct_size is sizeof(*config).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_config_init(
    config: *mut visavis_session_config,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(config, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Makes a session. It shows its idle picture to viewers from now on; media is taken after visavis_session_start().
///
/// config: NULL for the defaults. session: is set to the session, which is the caller's to free; to NULL on errors.
/// VISAVIS_INVALID_CONFIG: a setting. VISAVIS_EXISTS: the name is taken. VISAVIS_UNSUPPORTED: a codec that this build
/// cannot encode, a kind of idle file. VISAVIS_INVALID_MEDIA: an idle file that is broken. VISAVIS_ENGINE_STOPPED,
/// VISAVIS_SYSTEM. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_create(
    engine: *const visavis_engine,
    config: *const visavis_session_config,
    session: *mut *mut visavis_session,
) -> visavis_status {
    entry!([session] {
        let config = raw::read_or_initial(config)?;
        raw::put(session, create(engine, &config.settings()?)?);
        Ok(VISAVIS_OK)
    })
}

/// As visavis_session_create(), with settings as TOML or JSON: those of docs/visavis.toml under "Video" and "Audio", and
/// the fields of visavis_session_config, width and height as size = "512x512". Settings of engine and server may be among
/// them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_create_text(
    engine: *const visavis_engine,
    settings: *const c_char,
    session: *mut *mut visavis_session,
) -> visavis_status {
    entry!([session] {
        let settings = text::settings(raw::text("settings", settings)?)?;
        raw::put(session, create(engine, &settings)?);
        Ok(VISAVIS_OK)
    })
}

fn create(engine: *const visavis_engine, settings: &Settings) -> Result<*mut visavis_session> {
    let engine = handle::get::<EngineObject>(engine)?;
    let session = engine.handle.create_session(session_config(settings)?)?;
    handle::insert(SessionObject::new(Arc::new(session), None, engine.handle.clone()))
}

/// From now on pushed media is sent. Has no effect on a session that was stopped. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_start(session: *const visavis_session) -> visavis_status {
    entry!({
        handle::get::<SessionObject>(session)?.session.start();
        Ok(VISAVIS_OK)
    })
}

/// The session's name, to be freed with visavis_string_free(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_id(
    session: *const visavis_session,
    id: *mut *mut c_char,
) -> visavis_status {
    entry!([id] {
        let session = handle::get::<SessionObject>(session)?;
        raw::put_text(id, session.session.id().to_string())?;
        Ok(VISAVIS_OK)
    })
}

/// What whoever made a session over HTTP says of it: a JSON object ("metadata" of POST /webrtc/sessions/create), to be
/// freed with visavis_string_free(). It is set to NULL where there is none, or the session is not of
/// visavis_server_accept(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_metadata(
    session: *const visavis_session,
    json: *mut *mut c_char,
) -> visavis_status {
    entry!([json] {
        let session = handle::get::<SessionObject>(session)?;
        if let Some(metadata) = session.guest.as_ref().and_then(|guest| guest.metadata.clone()) {
            raw::put_text(json, metadata)?;
        }
        Ok(VISAVIS_OK)
    })
}

/// Why the server has ended a session of visavis_server_accept(), to be freed with visavis_string_free(): deleted, expired,
/// unwatched or server-stopped; more may be added. It is set to NULL where the server has not ended it. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_end_reason(
    session: *const visavis_session,
    reason: *mut *mut c_char,
) -> visavis_status {
    entry!([reason] {
        let session = handle::get::<SessionObject>(session)?;
        if let Some(ended) = session.guest.as_ref().and_then(|guest| guest.end_reason()) {
            raw::put_text(reason, ended.as_str().to_owned())?;
        }
        Ok(VISAVIS_OK)
    })
}

/// What visavis_session_set_idle() shows.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_idle {
    /// Nothing: the last picture stays.
    VISAVIS_IDLE_NONE = 0,
    /// The built-in face at rest: what a session has at first.
    VISAVIS_IDLE_BUILT_IN = 1,
}

/// Chooses what viewers see while no pictures are pushed, one of visavis_idle; for a picture of the application see
/// visavis_session_set_idle_picture(), for a file visavis_session_set_idle_file(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_set_idle(
    session: *const visavis_session,
    idle: u32,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        let idle = match idle {
            0 => None,
            1 => Some(IdleLoop::built_in()),
            other => {
                let text = format!(
                    "invalid idle {other}; expected VISAVIS_IDLE_NONE or VISAVIS_IDLE_BUILT_IN"
                );
                return Err(crate::status::Error::argument(text));
            }
        };
        session.session.set_idle(idle);
        Ok(VISAVIS_OK)
    })
}

/// Shows viewers a file while no pictures are pushed: a JPEG or PNG image, an MP4 with H264 video, Y4M, or any film that the
/// program ffmpeg reads where it is in PATH. Its sound is left out, and what of it goes beyond 1,800 pictures.
///
/// path: the file, which stays where it is: it is read once for each codec, rate and size that it is encoded with.
/// VISAVIS_SYSTEM: it cannot be read. VISAVIS_UNSUPPORTED: a kind of file that nobody here reads. VISAVIS_INVALID_MEDIA: it
/// is broken, or has a size that cannot be. What was shown before stays then. Takes some milliseconds, with ffmpeg some
/// hundreds. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_set_idle_file(
    session: *const visavis_session,
    path: *const c_char,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        let path = raw::text("path", path)?;
        session.session.set_idle(Some(visavis_film::idle::open(Path::new(path))?));
        Ok(VISAVIS_OK)
    })
}

/// Drops at once all that waits to be played, utterances and what was pushed live. sent_us: NULL, or set to how much of
/// what is playing was sent, in microseconds, exact to a packet. Sound fades out within 5 ms, and the idle picture is
/// shown. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_interrupt(
    session: *const visavis_session,
    sent_us: *mut u64,
) -> visavis_status {
    entry!({
        let sent = handle::get::<SessionObject>(session)?.session.interrupt();
        raw::put(sent_us, u64::try_from(sent.as_micros()).unwrap_or(u64::MAX));
        Ok(VISAVIS_OK)
    })
}

/// Disconnects every viewer cleanly, and ends the session: waits for its encoder to end, and up to two seconds for the
/// viewers. What is pushed from now on is VISAVIS_STOPPED. A second call does nothing. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_stop(session: *const visavis_session) -> visavis_status {
    entry!({
        handle::get::<SessionObject>(session)?.stop();
        Ok(VISAVIS_OK)
    })
}

/// Stops the session, if it was not yet, and frees it; one of visavis_server_accept() is not stopped. NULL is ignored. Its
/// utterances and readers stay to be freed. Any
/// thread, also while others push to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_free(session: *mut visavis_session) -> visavis_status {
    entry!({
        if !session.is_null() {
            handle::take::<SessionObject>(session)?.free();
        }
        Ok(VISAVIS_OK)
    })
}
