//! The route that takes uploads, and the thread that plays each.

use std::sync::Arc;
use std::thread;

use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};
use visavis::EngineHandle;
use visavis::faults::FaultDomain;
use visavis::session::SessionId;
use visavis::status::Refusal;
use visavis::utterance::UtteranceError;

use super::format::{FormatError, SpeechFormat};
use super::player::{PlayError, Played, Player, Told};
use super::turns::Turn;
use super::uploads::UploadSlot;
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::response::Response;
use crate::http::route::{Call, Reply};
use crate::http::upload::UploadReader;
use crate::mailbox::Responder;
use crate::sessions::hooks::SessionHooks;

/// `Accept-Post` in the answer to `OPTIONS`.
pub(crate) const ACCEPTS: &str = "audio/L16, audio/mpeg, audio/pcm, audio/wav";

/// `POST /webrtc/sessions/{id}/stream`: plays the body, and answers when that is done; with `?wait=false`
/// when all of it has been taken.
pub(crate) fn stream(call: &Call<'_>, body: UploadReader, context: &mut Context) -> Reply {
    match try_stream(call, body, context) {
        Ok(()) => Reply::Later,
        Err(refusal) => Reply::Response(refusal),
    }
}

fn try_stream(call: &Call<'_>, body: UploadReader, context: &mut Context) -> Result<(), Response> {
    let session = call.existing_session(context)?;
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
    let slot = context.uploads.reserve(most).ok_or_else(|| {
        context.refuse(Refusal::Upload);
        RequestError::new(ErrorCode::Full, format!("{most} uploads are being played already"))
    })?;
    let turn = context.uploads.shared.queues.enter(&session).ok_or_else(|| {
        context.refuse(Refusal::Upload);
        RequestError::fixed(ErrorCode::Busy, "too many uploads are waiting for this session")
    })?;
    let upload = Upload {
        turn,
        session,
        format,
        wait: call.request.query_value("wait").as_deref() != Some("false"),
        engine: context.engine.clone(),
        hooks: context.config.api.hooks.clone(),
        slot,
    };
    let responder = call.responder(context);
    // Where there is no thread, the responder is dropped, which is an answer too.
    if let Err(error) = thread::Builder::new().name("visavis-speech".to_owned()).spawn(move || {
        let faults = Arc::clone(upload.engine.faults());
        let whose = format_args!("an upload for session {}", upload.session).to_string();
        faults.guard(FaultDomain::Upload, &whose, || upload.run(body, responder));
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
    slot: UploadSlot,
}

impl Upload {
    fn run(self, body: UploadReader, responder: Responder) {
        let Self { mut turn, session, format, wait, engine, mut hooks, slot } = self;
        let stop = &slot.0.stop;
        let mut player = Player { turn: &mut turn, engine: &engine, session: &session, wait, stop };
        let outcome = player.play(body, format, &mut |told| {
            let Some(hook) = &hooks else { return };
            let whose = format_args!("the speech hook for session {session}").to_string();
            let called = engine.faults().guard(FaultDomain::Callback, &whose, || match told {
                Told::Piece(chunk) => hook.speech(chunk),
                Told::End(utterance) => hook.speech_ended(&session, utterance),
            });
            if called.is_none() {
                tracing::error!(%session, "an upload is played without its hook");
                hooks = None;
            }
        });
        // Whoever has the answer may upload again.
        drop((slot, turn));
        responder.respond(match outcome {
            Ok(played) => {
                let all = wait || played.interrupted;
                let status = if all { StatusCode::OK } else { StatusCode::ACCEPTED };
                report(status, &played)
            }
            Err(error) => {
                tracing::debug!(%session, %error, "an upload was not played");
                Response::problem(code_of(&error), error.to_string())
            }
        });
    }
}

fn report(status: StatusCode, played: &Played) -> Response {
    Response::json(status, played)
}

fn code_of(error: &PlayError) -> ErrorCode {
    match error {
        PlayError::Unusable(_) | PlayError::Empty => ErrorCode::BadAudio,
        PlayError::Refused(UtteranceError::EncodedSession) => ErrorCode::EncodedSession,
        PlayError::Refused(UtteranceError::NoSession) | PlayError::SessionGone => {
            ErrorCode::NoSession
        }
        PlayError::Refused(UtteranceError::Busy) => ErrorCode::Busy,
        PlayError::Refused(_) => ErrorCode::Internal,
        PlayError::NotStarted => ErrorCode::NotStarted,
        PlayError::Broken(_) => ErrorCode::BadRequest,
        PlayError::Stopping => ErrorCode::Stopped,
    }
}

/// Decodes all of an upload; returns how many samples there were.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode_all(kind: &str, bytes: &[u8]) -> Option<usize> {
    let mut decoder = super::decode::Decoder::new(bytes, SpeechFormat::parse(kind).ok()?);
    let (mut piece, mut count) = (Vec::new(), 0);
    while decoder.next(&mut piece).ok()?.is_some() {
        // A twenty-fifth of a second of stereo at the highest rate, or a frame of MP3.
        assert!(!piece.is_empty() && piece.len() <= 3_840, "{} samples", piece.len());
        count += piece.len();
    }
    Some(count)
}
