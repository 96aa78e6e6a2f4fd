//! Uploaded speech: WAV, MP3 or PCM that a session's face says, read as it is played.

mod decode;
mod format;
mod mp3;
mod player;
mod turns;
mod wav;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};
use visavis::{EngineHandle, FaultDomain, Refusal, SessionId, UtteranceError};

pub use self::player::SpeechChunk;

use self::format::{FormatError, SpeechFormat};
use self::player::{PlayError, Played, Player};
use self::turns::{Queues, Turn};
use crate::connection::Context;
use crate::error::ErrorCode;
use crate::http::peers::existing_session;
use crate::http::sessions::may_manage;
use crate::http::{Call, Reply, Response, UploadReader};
use crate::mailbox::Answerer;
use crate::sessions::SessionHooks;

/// What `OPTIONS` says can be posted.
pub(crate) const ACCEPTS: &str = "audio/L16, audio/mpeg, audio/pcm, audio/wav";

/// The uploads that are being played. Dropping it ends them.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    playing: AtomicUsize,
    stop: AtomicBool,
    queues: Arc<Queues>,
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

/// One of the uploads that may be played at a time.
struct Place(Arc<Shared>);

impl Uploads {
    fn place(&self, most: usize) -> Option<Place> {
        let more = |playing| (playing < most).then_some(playing + 1);
        self.shared.playing.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Place(Arc::clone(&self.shared)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.playing.fetch_sub(1, Relaxed);
    }
}

/// `POST /webrtc/sessions/{id}/stream`: plays the body, and answers when that is done; with `?wait=false`
/// when all of it has been taken.
pub(crate) fn stream(call: &Call<'_>, body: UploadReader, context: &mut Context) -> Reply {
    match try_stream(call, body, context) {
        Ok(()) => Reply::Later,
        Err(refusal) => Reply::Response(refusal),
    }
}

fn try_stream(call: &Call<'_>, body: UploadReader, context: &mut Context) -> Result<(), Response> {
    may_manage(context)?;
    let session = existing_session(call, context)?;
    let kind = call.request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = SpeechFormat::parse(kind.unwrap_or_default()).map_err(|error| {
        let code = match error {
            FormatError::Unsupported => ErrorCode::MediaType,
            FormatError::Rate | FormatError::Channels => ErrorCode::BadValue,
        };
        let response = Response::problem(code, error.to_string());
        response.header(HeaderName::from_static("accept-post"), ACCEPTS)
    })?;
    let most = context.config.limits.uploads;
    let place = context.uploads.place(most).ok_or_else(|| {
        context.engine.refusals().count(Refusal::Upload);
        let detail = format!("{most} uploads are being played");
        Response::problem(ErrorCode::Full, detail)
    })?;
    let turn = context.uploads.shared.queues.place(&session).ok_or_else(|| {
        context.engine.refusals().count(Refusal::Upload);
        Response::problem(ErrorCode::Busy, "too many uploads wait for this session to say them")
    })?;
    let upload = Upload {
        turn,
        session,
        format,
        wait: call.request.query_value("wait").as_deref() != Some("false"),
        engine: context.engine.clone(),
        hooks: context.config.api.hooks.clone(),
        place,
    };
    let answerer = call.answerer(context);
    // Where there is no thread, the answerer is dropped, which is an answer too.
    if let Err(error) = thread::Builder::new().name("visavis-speech".to_owned()).spawn(move || {
        let faults = Arc::clone(upload.engine.faults());
        let whose = format_args!("an upload for session {}", upload.session).to_string();
        faults.guard(FaultDomain::Upload, &whose, || upload.run(body, answerer));
    }) {
        tracing::warn!(%error, "no thread to play an upload");
    }
    Ok(())
}

/// An upload, on its own thread.
struct Upload {
    turn: Turn,
    session: SessionId,
    format: SpeechFormat,
    wait: bool,
    engine: EngineHandle,
    hooks: Option<Arc<dyn SessionHooks>>,
    place: Place,
}

impl Upload {
    fn run(self, body: UploadReader, answerer: Answerer) {
        let Self { mut turn, session, format, wait, engine, mut hooks, place } = self;
        let stop = &place.0.stop;
        let mut player = Player { turn: &mut turn, engine: &engine, session: &session, wait, stop };
        let outcome = player.play(body, format, &mut |chunk| {
            let Some(told) = &hooks else { return };
            let whose = format_args!("the speech hook for session {}", chunk.session).to_string();
            let told = engine.faults().guard(FaultDomain::Callback, &whose, || told.speech(chunk));
            if told.is_none() {
                tracing::error!(session = %chunk.session, "an upload is played without its hook");
                hooks = None;
            }
        });
        // Whoever has the answer may upload again.
        drop((place, turn));
        answerer.answer(match outcome {
            Ok(played) => {
                let all = wait || played.interrupted;
                let status = if all { StatusCode::OK } else { StatusCode::ACCEPTED };
                report(status, &played)
            }
            Err(error) => {
                tracing::debug!(%session, %error, "an upload was not played");
                Response::problem(problem_of(&error), error.to_string())
            }
        });
    }
}

fn report(status: StatusCode, played: &Played) -> Response {
    Response::json(status, played)
}

fn problem_of(error: &PlayError) -> ErrorCode {
    match error {
        PlayError::Unusable(_) | PlayError::Empty => ErrorCode::BadAudio,
        PlayError::Refused(UtteranceError::EncodedSession) => ErrorCode::EncodedSession,
        PlayError::Refused(UtteranceError::NoSession) | PlayError::SessionGone => {
            ErrorCode::NoSession
        }
        PlayError::Refused(UtteranceError::Busy) => ErrorCode::Busy,
        PlayError::NotStarted => ErrorCode::NotStarted,
        PlayError::Broken(_) => ErrorCode::BadRequest,
        PlayError::Stopping => ErrorCode::Stopped,
    }
}

/// Decodes all of an upload; returns how many samples there were.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode_all(kind: &str, bytes: &[u8]) -> Option<usize> {
    let mut decoder = decode::Decoder::new(bytes, SpeechFormat::parse(kind).ok()?);
    let (mut piece, mut count) = (Vec::new(), 0);
    while decoder.next(&mut piece).ok()?.is_some() {
        // A twenty-fifth of a second of stereo at the highest rate, or a frame of MP3.
        assert!(!piece.is_empty() && piece.len() <= 3_840, "{} samples", piece.len());
        count += piece.len();
    }
    Some(count)
}
