//! Viewers over HTTP: SDP in, SDP out, and candidates.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use visavis::{CandidateError, OfferError, PeerId, SessionId};

use super::routes::{Call, Reply, no_session};
use super::sessions::peer_id;
use super::{Response, problem};
use crate::connection::Context;

/// Candidates in one request; a browser has a dozen.
const MAX_CANDIDATES: usize = 100;

/// `RTCSessionDescriptionInit`, and whom it is from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IceBody {
    peer_id: String,
    candidate: Option<Candidate>,
    #[serde(default)]
    candidates: Vec<Candidate>,
}

/// `RTCIceCandidateInit`, or its text alone.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a candidate as a text or as RTCIceCandidateInit")]
enum Candidate {
    Text(String),
    Init(serde_json::Map<String, serde_json::Value>),
}

impl Candidate {
    fn text(&self) -> Result<&str, Response> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Init(init) => {
                init.get("candidate").and_then(|text| text.as_str()).ok_or_else(|| {
                    let detail = "a candidate without its text in `candidate`";
                    Response::problem(&problem::BAD_VALUE, detail)
                })
            }
        }
    }
}

pub(super) fn offer(call: &Call<'_>, context: &mut Context) -> Reply {
    let (session, peer, sdp) = match read_offer(call, context) {
        Ok(offer) => offer,
        Err(response) => return Reply::Response(response),
    };
    let answerer = call.answerer(context);
    context.engine.offer(&session, peer, &sdp, move |answer| {
        answerer.answer(match answer {
            Ok(sdp) => {
                let body = AnswerBody { peer_id: peer.to_string(), kind: "answer", sdp };
                Response::json(StatusCode::OK, &body)
            }
            Err(error) => refused_offer(&error),
        });
    });
    Reply::Later
}

fn read_offer(call: &Call<'_>, context: &Context) -> Result<(SessionId, PeerId, String), Response> {
    let session = existing_session(call, context)?;
    let body: OfferBody = call.json()?;
    if body.kind.is_some_and(|kind| kind != "offer") {
        return Err(Response::problem(&problem::BAD_VALUE, "`type` must be \"offer\""));
    }
    let peer = match body.peer_id {
        Some(text) => known_peer(&text, &session, context)?,
        None => context.engine.new_peer_id(),
    };
    Ok((session, peer, body.sdp))
}

pub(super) fn ice(call: &Call<'_>, context: &mut Context) -> Reply {
    add_candidates(call, context).into()
}

fn add_candidates(call: &Call<'_>, context: &Context) -> Result<Response, Response> {
    let session = existing_session(call, context)?;
    let IceBody { peer_id, candidate, mut candidates } = call.json()?;
    let too_many = candidates.len() > MAX_CANDIDATES;
    candidates.extend(candidate);
    if candidates.is_empty() || too_many {
        let detail = format!("send a `candidate`, or 1 to {MAX_CANDIDATES} `candidates`");
        return Err(Response::problem(&problem::BAD_VALUE, &detail));
    }
    let peer = known_peer(&peer_id, &session, context)?;
    let texts = candidates.iter().map(Candidate::text).collect::<Result<Vec<_>, _>>()?;
    for text in texts {
        add_candidate(peer, text, context)?;
    }
    Ok(Response::new(StatusCode::NO_CONTENT))
}

/// Tells the engine of a candidate.
pub(crate) fn add_candidate(peer: PeerId, text: &str, context: &Context) -> Result<(), Response> {
    context.engine.add_candidate(peer, text).map_err(|error| {
        let problem = match error {
            CandidateError::Syntax(_) => &problem::BAD_CANDIDATE,
            CandidateError::Busy => &problem::BUSY,
            CandidateError::Stopped => &problem::STOPPED,
        };
        Response::problem(problem, &error.to_string())
    })
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
            Err(Response::problem(&problem::NO_PEER, &detail))
        }
    }
}

/// The answer to an offer that the engine did not take.
pub(crate) fn refused_offer(error: &OfferError) -> Response {
    let problem = match error {
        OfferError::Sdp(_) => &problem::BAD_SDP,
        OfferError::NoCommonCodec => &problem::NO_COMMON_CODEC,
        OfferError::OtherConnection => &problem::OTHER_CONNECTION,
        OfferError::NoSession(_) => &problem::NO_SESSION,
        OfferError::Full(_) => &problem::FULL,
        OfferError::SessionFull(_) => &problem::SESSION_FULL,
        OfferError::TooMany => &problem::BUSY,
        OfferError::PeerGone => &problem::NO_PEER,
        OfferError::Busy => &problem::BUSY,
        OfferError::Stopped => &problem::STOPPED,
    };
    Response::problem(problem, &error.to_string())
}
