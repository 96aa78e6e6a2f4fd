//! Viewers over HTTP: SDP in, SDP out, and candidates.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use visavis::peer::{Answer, OfferError, PeerId};
use visavis::session::SessionId;

use super::response::Response;
use super::route::{Call, Reply};
use crate::auth::{Permission, Subject};
use crate::candidates::{self, Candidate, MAX_CANDIDATES, given};
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::negotiation;

/// `RTCSessionDescriptionInit`, and the peer it is from. Other fields, which clients of other servers send, are ignored.
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
    try_offer(call, context).unwrap_or_else(|error| Reply::Response(error.into()))
}

fn try_offer(call: &Call<'_>, context: &mut Context) -> Result<Reply, RequestError> {
    let (session, peer, sdp) = read_offer(call, context)?;
    let Some(peer) = peer else {
        let answer = negotiation::connect(&session, None, &sdp, context);
        return Ok(Reply::Response(answered(answer)));
    };
    let responder = call.responder(context);
    let reply = move |answer| responder.respond(answered(answer));
    match negotiation::renegotiate(&session, peer, &sdp, reply, context) {
        Ok(()) => Ok(Reply::Later),
        Err(error) => Err(error.into()),
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
) -> Result<(SessionId, Option<PeerId>, String), RequestError> {
    let session = call.existing_session(context)?;
    let body: OfferBody = call.json()?;
    if body.kind.is_some_and(|kind| kind != "offer") {
        return Err(RequestError::fixed(ErrorCode::BadValue, "invalid `type`; expected \"offer\""));
    }
    let peer = match body.peer_id {
        Some(text) => {
            let peer = known_peer(call, &text, &session, context)?;
            context.count_offer(peer)?;
            Some(peer)
        }
        None => {
            context.count_join(call.via.source)?;
            None
        }
    };
    Ok((session, peer, body.sdp))
}

pub(super) fn add_candidates(call: &Call<'_>, context: &mut Context) -> Reply {
    try_add_candidates(call, context).into()
}

fn try_add_candidates(call: &Call<'_>, context: &mut Context) -> Result<Response, RequestError> {
    let session = call.existing_session(context)?;
    let IceBody { peer_id, candidate, mut candidates } = call.json()?;
    let too_many = candidates.len() > MAX_CANDIDATES;
    candidates.extend(candidate);
    if candidates.is_empty() || too_many {
        let detail = format!("send a `candidate`, or 1 to {MAX_CANDIDATES} `candidates`");
        return Err(RequestError::new(ErrorCode::BadValue, detail));
    }
    let peer = known_peer(call, &peer_id, &session, context)?;
    context.count_candidates(peer, candidates.len())?;
    candidates::add_all(peer, candidates.iter().map(Candidate::text), context)?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

/// A peer of this session, for which the caller may speak.
fn known_peer(
    call: &Call<'_>,
    text: &str,
    session: &SessionId,
    context: &Context,
) -> Result<PeerId, RequestError> {
    let peer = text.parse().map_err(|_| {
        RequestError::fixed(
            ErrorCode::BadValue,
            "invalid `peerId`; expected one that this server gave out",
        )
    })?;
    if !context.engine.has_peer(session, peer) {
        let detail = format!("session {session} has no peer {peer}, or no longer");
        return Err(RequestError::new(ErrorCode::NoPeer, detail));
    }
    call.permit(Permission::SpeakForPeer, Subject::peer(session, peer), context)?;
    Ok(peer)
}
