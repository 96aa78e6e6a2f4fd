//! Viewers over HTTP: SDP in, SDP out, and candidates.

use std::time::Instant;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use visavis::{Answer, OfferError, PeerId, Refusal, SessionId};

use super::Response;
use super::candidates::{self, Candidate, MAX_CANDIDATES, given};
use super::routes::{Call, Reply, no_session};
use super::sessions::peer_id;
use crate::connection::Context;
use crate::error::{ErrorCode, RequestError};

/// `RTCSessionDescriptionInit`, and whom it is from. What else a client says, as for servers of another make, is
/// ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfferBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    sdp: String,
    /// The peer that renegotiates; without it there is a new one.
    peer_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerBody {
    peer_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    sdp: String,
}

/// Candidates of a peer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IceBody {
    peer_id: String,
    #[serde(default, deserialize_with = "given")]
    candidate: Option<Candidate>,
    #[serde(default)]
    candidates: Vec<Candidate>,
}

pub(super) fn offer(call: &Call<'_>, context: &mut Context) -> Reply {
    try_offer(call, context).unwrap_or_else(Reply::Response)
}

fn try_offer(call: &Call<'_>, context: &mut Context) -> Result<Reply, Response> {
    let (session, peer, sdp) = read_offer(call, context)?;
    let Some(peer) = peer else {
        return Ok(Reply::Response(answered(context.engine.connect(&session, None, &sdp))));
    };
    let answerer = call.answerer(context);
    let reply = move |answer| answerer.answer(answered(answer));
    match context.engine.renegotiate(peer, &sdp, reply) {
        Ok(()) => Ok(Reply::Later),
        Err(error) => Err(RequestError::from(error).into()),
    }
}

fn answered(answer: Result<Answer, OfferError>) -> Response {
    match answer {
        Ok(Answer { peer, sdp, .. }) => {
            let body = AnswerBody { peer_id: peer.to_string(), kind: "answer", sdp };
            Response::json(StatusCode::OK, &body)
        }
        Err(error) => RequestError::from(error).into(),
    }
}

/// The session, the peer that renegotiates if it is one, and the SDP.
fn read_offer(
    call: &Call<'_>,
    context: &mut Context,
) -> Result<(SessionId, Option<PeerId>, String), Response> {
    let session = existing_session(call, context)?;
    let body: OfferBody = call.json()?;
    if body.kind.is_some_and(|kind| kind != "offer") {
        return Err(Response::problem(ErrorCode::BadValue, "`type` must be \"offer\""));
    }
    let peer = match body.peer_id {
        Some(text) => {
            let peer = known_peer(&text, &session, context)?;
            may_offer(peer, context)?;
            Some(peer)
        }
        None => {
            may_join(call, context)?;
            None
        }
    };
    Ok((session, peer, body.sdp))
}

pub(super) fn ice(call: &Call<'_>, context: &mut Context) -> Reply {
    add_candidates(call, context).into()
}

fn add_candidates(call: &Call<'_>, context: &mut Context) -> Result<Response, Response> {
    let session = existing_session(call, context)?;
    let IceBody { peer_id, candidate, mut candidates } = call.json()?;
    let too_many = candidates.len() > MAX_CANDIDATES;
    candidates.extend(candidate);
    if candidates.is_empty() || too_many {
        let detail = format!("send a `candidate`, or 1 to {MAX_CANDIDATES} `candidates`");
        return Err(Response::problem(ErrorCode::BadValue, detail));
    }
    let peer = known_peer(&peer_id, &session, context)?;
    may_add(peer, candidates.len(), context)?;
    candidates::add_all(peer, candidates.iter().map(Candidate::text), context)?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

/// Whether one more viewer may come from where a request comes from.
pub(crate) fn may_join(call: &Call<'_>, context: &mut Context) -> Result<(), Response> {
    match context.budgets.may_join(call.via.source, Instant::now()) {
        true => Ok(()),
        false => {
            context.refuse(Refusal::JoinRate);
            Err(too_many("viewers came from this address"))
        }
    }
}

/// Whether a viewer may offer again.
pub(crate) fn may_offer(peer: PeerId, context: &mut Context) -> Result<(), Response> {
    match context.budgets.may_offer(peer, Instant::now()) {
        true => Ok(()),
        false => {
            context.refuse(Refusal::OfferRate);
            Err(too_many("offers came from this viewer"))
        }
    }
}

/// Whether so many candidates of a viewer may be passed on.
pub(crate) fn may_add(
    peer: PeerId,
    candidates: usize,
    context: &mut Context,
) -> Result<(), Response> {
    match context.budgets.may_add(peer, candidates, Instant::now()) {
        true => Ok(()),
        false => {
            context.refuse(Refusal::CandidateRate);
            Err(too_many("candidates came from this viewer"))
        }
    }
}

fn too_many(what: &str) -> Response {
    let detail = format!("too many {what} in a short time");
    Response::problem(ErrorCode::RateLimited, detail)
}

/// The session that the path names, if there is one.
pub(crate) fn existing_session(call: &Call<'_>, context: &Context) -> Result<SessionId, Response> {
    let session = call.session()?;
    match context.engine.has_session(&session) {
        true => Ok(session),
        false => Err(no_session(&session)),
    }
}

/// A peer of this session.
fn known_peer(text: &str, session: &SessionId, context: &Context) -> Result<PeerId, Response> {
    let peer = peer_id(text)?;
    match context.engine.has_peer(session, peer) {
        true => Ok(peer),
        false => {
            let detail = format!("session {session} has no peer {peer}, or no longer");
            Err(Response::problem(ErrorCode::NoPeer, detail))
        }
    }
}
