//! WHEP (draft-ietf-wish-whep-03), so that players nobody here wrote can watch: an SDP offer is posted to a
//! session's address, and the answer comes with the address of a resource by which the viewer is told of
//! candidates, restarted and ended.

mod fragment;
mod links;
mod precondition;

use std::collections::{HashMap, VecDeque};

use http::header::{CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LINK, LOCATION};
use http::{HeaderMap, StatusCode};
use rustls::crypto::aws_lc_rs;
use visavis::{Answer, LeaveReason, OfferError, PeerId, SessionId, Shrink};

use self::fragment::{Credentials, Fragment};
use self::precondition::Precondition;
use crate::connection::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::candidates;
use crate::http::peers::{existing_session, may_add, may_join, may_offer};
use crate::http::{Call, Reply, Response};

/// What `OPTIONS` says can be posted.
pub(crate) const ACCEPTS: &str = SDP;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Random bytes in the name of a resource: whoever knows the name can end the viewer.
const NAME_BYTES: usize = 16;

/// So many names of refused resources are kept.
const MAX_REFUSED: usize = 64;

/// Those who watch by WHEP. They live until they leave: no connection speaks for them.
#[derive(Debug, Default)]
pub(crate) struct Whep {
    /// By the names of their resources.
    viewers: HashMap<String, Viewer>,
    names: HashMap<PeerId, String>,
    /// Resources of those whose certificate was refused, as their last requests are told: the newest last.
    refused: VecDeque<String>,
}

#[derive(Debug)]
struct Viewer {
    session: SessionId,
    peer: PeerId,
    /// What it offered: an ICE restart offers the same again, but for the credentials.
    offer: String,
    credentials: Credentials,
    /// Counts the ICE sessions.
    generation: u32,
}

impl Viewer {
    /// Names the ICE session (§4.4.1): a strong one, quotes included.
    fn entity_tag(&self) -> String {
        entity_tag(self.generation)
    }
}

fn entity_tag(generation: u32) -> String {
    format!("\"ice-{generation}\"")
}

impl Whep {
    fn insert(&mut self, name: String, viewer: Viewer) {
        self.names.insert(viewer.peer, name.clone());
        self.viewers.insert(name, viewer);
    }

    /// Forgets a viewer that has left.
    pub(crate) fn on_left(&mut self, peer: PeerId, reason: LeaveReason) {
        let Some(name) = self.names.remove(&peer) else { return };
        self.viewers.remove(&name);
        self.names.shrink_if_mostly_empty();
        self.viewers.shrink_if_mostly_empty();
        if reason == LeaveReason::RsaCertificate {
            if self.refused.len() >= MAX_REFUSED {
                self.refused.pop_front();
            }
            self.refused.push_back(name);
        }
    }

    /// The viewer that a path names, of the session that it names.
    fn find(&mut self, call: &Call<'_>) -> Result<&mut Viewer, Response> {
        let session = call.session()?;
        let name = call.param("resource");
        if self.refused.iter().any(|refused| refused == name) {
            return Err(RequestError::from(LeaveReason::RsaCertificate).into());
        }
        let viewer = self.viewers.get_mut(name);
        viewer.filter(|viewer| viewer.session == session).ok_or_else(|| {
            Response::problem(ErrorCode::NoPeer, "nobody watches under this address, or no more")
        })
    }
}

/// `GET` of either address: there is nothing to be had, but the address is right (§4.1).
pub(crate) fn nothing(call: &Call<'_>, context: &mut Context) -> Reply {
    let found = match call.param("resource") {
        "" => existing_session(call, context).map(drop),
        _ => context.whep.find(call).map(drop),
    };
    found.map(|()| Response::new(StatusCode::NO_CONTENT)).into()
}

/// `POST /whep/{id}`: an offer, and the answer to it (§4.2).
pub(crate) fn watch(call: &Call<'_>, context: &mut Context) -> Reply {
    try_watch(call, context).into()
}

fn try_watch(call: &Call<'_>, context: &mut Context) -> Result<Response, Response> {
    let session = existing_session(call, context)?;
    let offer = text(call, SDP, ACCEPT_POST, ErrorCode::BadSdp)?;
    let offer = fragment::receive_only(offer);
    let credentials = Credentials::of(&offer).ok_or_else(|| {
        Response::problem(ErrorCode::BadSdp, "the offer has no ice-ufrag and ice-pwd")
    })?;
    may_join(call, context)?;
    let name = new_name()?;
    let answered = context.engine.connect(&session, None, &offer);
    let Answer { peer, sdp, .. } = answered.map_err(RequestError::from)?;
    let location = call.public_path(&format!("/whep/{session}/{name}"));
    let viewer = Viewer { session, peer, offer, credentials, generation: 1 };
    let mut response = Response::new(StatusCode::CREATED)
        .header(LOCATION, location)
        .header(ETAG, viewer.entity_tag())
        .header(ACCEPT_PATCH, FRAGMENT);
    for link in links::links(&context.config.ice_servers) {
        response = response.header(LINK, link);
    }
    context.whep.insert(name, viewer);
    Ok(response.header(CONTENT_TYPE, SDP).body(sdp.into_bytes()))
}

/// `PATCH /whep/{id}/{resource}`: more candidates (§4.4.2), or an ICE restart (§4.4.3).
pub(crate) fn patch(call: &Call<'_>, context: &mut Context) -> Reply {
    try_patch(call, context).unwrap_or_else(Reply::Response)
}

fn try_patch(call: &Call<'_>, context: &mut Context) -> Result<Reply, Response> {
    let viewer = context.whep.find(call)?;
    let text = text(call, FRAGMENT, ACCEPT_PATCH, ErrorCode::BadFragment)?;
    let Fragment { credentials, candidates } = Fragment::parse(text)
        .map_err(|error| Response::problem(ErrorCode::BadFragment, error.to_string()))?;
    let says_which = credentials.as_ref() == Some(&viewer.credentials);
    match precondition::check(fields(&call.request.headers), &viewer.entity_tag()) {
        Precondition::Holds => {}
        // Players there are leave the tag out, and say by the credentials which ICE session they mean.
        Precondition::Missing if says_which => {}
        Precondition::Missing => {
            let detail = "say in If-Match which ICE session this is for, or * for a new one";
            return Err(Response::problem(ErrorCode::PreconditionRequired, detail));
        }
        Precondition::Fails => {
            let detail = "there was an ICE restart since: this is for an older ICE session";
            return Err(Response::problem(ErrorCode::PreconditionFailed, detail));
        }
    }
    let peer = viewer.peer;
    let texts = candidates.iter().map(String::as_str);
    let restarts = credentials.filter(|credentials| credentials != &viewer.credentials);
    if let Some(credentials) = restarts {
        may_offer(peer, context)?;
        may_add(peer, candidates.len(), context)?;
        restart(call, credentials, context)?;
        // They are for the new session; one that cannot be read spoils nothing.
        let _ = candidates::add_all(peer, texts, context);
        return Ok(Reply::Later);
    }
    may_add(peer, candidates.len(), context)?;
    candidates::add_all(peer, texts, context)?;
    Ok(Reply::Response(Response::new(StatusCode::NO_CONTENT)))
}

/// Offers the same again with new credentials. The answer comes from the media loop.
fn restart(
    call: &Call<'_>,
    credentials: Credentials,
    context: &mut Context,
) -> Result<(), Response> {
    let answerer = call.answerer(context);
    let viewer = context.whep.find(call)?;
    let offer = fragment::restarted(&viewer.offer, &credentials);
    let generation = viewer.generation.wrapping_add(1);
    let tag = entity_tag(generation);
    let reply = move |answer: Result<Answer, OfferError>| {
        answerer.answer(match answer {
            Ok(answer) => Response::new(StatusCode::OK)
                .header(ETAG, tag)
                .header(CONTENT_TYPE, FRAGMENT)
                .body(fragment::of_answer(&answer.sdp).into_bytes()),
            Err(error) => RequestError::from(error).into(),
        });
    };
    // An engine that is busy leaves the ICE session as it is. Later on nothing can fail but a viewer that is gone:
    // the same media was agreed on before.
    let refused = |error| RequestError::from(error);
    context.engine.renegotiate(viewer.peer, &offer, reply).map_err(refused)?;
    let viewer = context.whep.find(call)?;
    (viewer.generation, viewer.credentials, viewer.offer) = (generation, credentials, offer);
    Ok(())
}

/// `DELETE /whep/{id}/{resource}`: the viewer leaves (§4.3).
pub(crate) fn leave(call: &Call<'_>, context: &mut Context) -> Reply {
    let left = context.whep.find(call).map(|viewer| viewer.peer);
    left.map(|peer| {
        context.engine.disconnect(peer);
        context.whep.on_left(peer, LeaveReason::Closed);
        Response::new(StatusCode::OK)
    })
    .into()
}

/// The body, which is text of one type.
fn text<'a>(
    call: &Call<'a>,
    kind: &str,
    accept: HeaderName,
    unreadable: ErrorCode,
) -> Result<&'a str, Response> {
    if !call.is_of_type(kind) {
        let problem = Response::problem(ErrorCode::MediaType, format!("the body is {kind}"));
        return Err(problem.header(accept, kind.to_owned()));
    }
    std::str::from_utf8(&call.request.body)
        .map_err(|_| Response::problem(unreadable, "the body is no UTF-8"))
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    // What is no text is no tag of ours.
    headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default())
}

/// A name that nobody guesses.
fn new_name() -> Result<String, Response> {
    let mut bytes = [0; NAME_BYTES];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Response::problem(ErrorCode::Internal, "there is no randomness to be had"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a fragment, and makes the offer of an ICE restart with it.
#[cfg(feature = "fuzzing")]
pub(crate) fn is_fragment(text: &str) -> bool {
    let Ok(read) = Fragment::parse(text) else { return false };
    if let Some(credentials) = read.credentials {
        let offer = fragment::restarted(&fragment::receive_only(text), &credentials);
        assert_eq!(Credentials::of(&offer), Some(credentials), "{offer}");
        let _ = fragment::of_answer(&offer);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_viewers_that_were_refused_the_last_ones_are_known() {
        let mut whep = Whep::default();
        for number in 0..MAX_REFUSED as u64 + 9 {
            let (session, peer) = (SessionId::default(), PeerId::from_raw(number));
            let sdp = "a=ice-ufrag:abcd\r\na=ice-pwd:vw5LmwG4y/e6dPP+zAP9Gp5k\r\n";
            let credentials = Credentials::of(sdp).unwrap();
            let viewer =
                Viewer { session, peer, offer: sdp.to_owned(), credentials, generation: 1 };
            whep.insert(number.to_string(), viewer);
            whep.on_left(peer, LeaveReason::RsaCertificate);
        }
        assert!(whep.viewers.is_empty() && whep.names.is_empty());
        assert_eq!(whep.refused.len(), MAX_REFUSED);
        assert_eq!(whep.refused.front().map(String::as_str), Some("9"));
        // Whoever leaves otherwise is forgotten.
        whep.on_left(PeerId::from_raw(0), LeaveReason::Closed);
        assert_eq!(whep.refused.len(), MAX_REFUSED);
    }
}
