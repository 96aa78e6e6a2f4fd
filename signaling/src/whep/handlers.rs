//! The routes of WHEP.

use http::header::{CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LINK, LOCATION};
use http::{HeaderMap, StatusCode};
use rustls::crypto::aws_lc_rs;
use visavis::event::LeaveReason;
use visavis::peer::{Answer, OfferError};

use super::fragment::{self, Credentials, Fragment};
use super::links;
use super::precondition::{self, Precondition};
use super::viewers::{Viewer, entity_tag};
use crate::auth::{Permission, Subject};
use crate::candidates;
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::response::Response;
use crate::http::route::{Call, Reply};
use crate::negotiation;

/// `Accept-Post` in the answer to `OPTIONS`.
pub(crate) const ACCEPTS: &str = SDP;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Random bytes in the name of a resource. The name gives control of the viewer, so it must not be guessable.
const NAME_BYTES: usize = 16;

/// The viewer in the path, if the caller has the permission for it.
fn viewer_of<'a>(
    call: &Call<'_>,
    context: &'a mut Context,
) -> Result<&'a mut Viewer, RequestError> {
    let session = call.session()?;
    let viewer = context.whep.find(&session, call.param("resource"))?;
    let subject = Subject::peer(&session, viewer.peer);
    context.authority.permit(call.principal, Permission::SpeakForPeer, subject)?;
    Ok(viewer)
}

/// `GET` of either address: there is nothing to be had, but the address is right (§4.1).
pub(crate) fn probe(call: &Call<'_>, context: &mut Context) -> Reply {
    let found = match call.param("resource") {
        "" => call.existing_session(context).map(drop),
        _ => viewer_of(call, context).map(drop),
    };
    found.map(|()| Response::new(StatusCode::NO_CONTENT)).into()
}

/// `POST /whep/{id}`: an offer, and the answer to it (§4.2).
pub(crate) fn watch(call: &Call<'_>, context: &mut Context) -> Reply {
    try_watch(call, context).into()
}

fn try_watch(call: &Call<'_>, context: &mut Context) -> Result<Response, Response> {
    let session = call.existing_session(context)?;
    let offer = text(call, SDP, ACCEPT_POST, ErrorCode::BadSdp)?;
    let offer = fragment::receive_only(offer);
    let credentials = Credentials::of(&offer).ok_or_else(|| {
        Response::problem(ErrorCode::BadSdp, "the offer has no ice-ufrag and ice-pwd")
    })?;
    context.count_join(call.via.source)?;
    let name = new_name()?;
    let answered = negotiation::connect(&session, None, &offer, context);
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
    try_patch(call, context).into()
}

fn try_patch(call: &Call<'_>, context: &mut Context) -> Result<Reply, Response> {
    let viewer = viewer_of(call, context)?;
    let text = text(call, FRAGMENT, ACCEPT_PATCH, ErrorCode::BadFragment)?;
    let Fragment { credentials, candidates } = Fragment::parse(text)
        .map_err(|error| Response::problem(ErrorCode::BadFragment, error.to_string()))?;
    let says_which = credentials.as_ref() == Some(&viewer.credentials);
    match precondition::check(fields(&call.request.headers), &viewer.entity_tag()) {
        Precondition::Holds => {}
        // Existing players omit the tag; their credentials identify the ICE session.
        Precondition::Missing if says_which => {}
        Precondition::Missing => {
            let detail =
                "If-Match is missing; expected the ETag of the ICE session, or * for a new one";
            return Err(Response::problem(ErrorCode::PreconditionRequired, detail));
        }
        Precondition::Fails => {
            let detail =
                "ICE was restarted since: the ETag in If-Match is that of an older ICE session";
            return Err(Response::problem(ErrorCode::PreconditionFailed, detail));
        }
    }
    let peer = viewer.peer;
    let texts = candidates.iter().map(String::as_str);
    let restarts = credentials.filter(|credentials| credentials != &viewer.credentials);
    if let Some(credentials) = restarts {
        context.count_offer(peer)?;
        context.count_candidates(peer, candidates.len())?;
        restart(call, credentials, context)?;
        // They are for the new session; one that cannot be read spoils nothing.
        let _ = candidates::add_all(peer, texts, context);
        return Ok(Reply::Later);
    }
    context.count_candidates(peer, candidates.len())?;
    candidates::add_all(peer, texts, context)?;
    Ok(Reply::Response(Response::new(StatusCode::NO_CONTENT)))
}

/// Offers the same again with new credentials. The answer comes from the media loop.
fn restart(
    call: &Call<'_>,
    credentials: Credentials,
    context: &mut Context,
) -> Result<(), RequestError> {
    let responder = call.responder(context);
    let viewer = viewer_of(call, context)?;
    let offer = fragment::restarted(&viewer.offer, &credentials);
    let (peer, generation) = (viewer.peer, viewer.generation.wrapping_add(1));
    let session = viewer.session.clone();
    let tag = entity_tag(generation);
    let reply = move |answer: Result<Answer, OfferError>| {
        responder.respond(match answer {
            Ok(answer) => Response::new(StatusCode::OK)
                .header(ETAG, tag)
                .header(CONTENT_TYPE, FRAGMENT)
                .body(fragment::of_answer(&answer.sdp).into_bytes()),
            Err(error) => RequestError::from(error).into(),
        });
    };
    // An engine that is busy leaves the ICE session as it is. Later on nothing can fail but a viewer that is gone:
    // the same media was agreed on before.
    negotiation::renegotiate(&session, peer, &offer, reply, context).map_err(RequestError::from)?;
    let viewer = viewer_of(call, context)?;
    (viewer.generation, viewer.credentials, viewer.offer) = (generation, credentials, offer);
    Ok(())
}

/// `DELETE /whep/{id}/{resource}`: the viewer leaves (§4.3).
pub(crate) fn leave(call: &Call<'_>, context: &mut Context) -> Reply {
    let left = viewer_of(call, context).map(|viewer| viewer.peer);
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
        let problem = Response::problem(
            ErrorCode::MediaType,
            format!("unsupported media type; expected {kind}"),
        );
        return Err(problem.header(accept, kind.to_owned()));
    }
    std::str::from_utf8(&call.request.body)
        .map_err(|_| Response::problem(unreadable, "the body is not valid UTF-8"))
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    // What is no text is no tag of ours.
    headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default())
}

/// A name that cannot be guessed.
fn new_name() -> Result<String, RequestError> {
    let mut bytes = [0; NAME_BYTES];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| RequestError::fixed(ErrorCode::Internal, "the system has no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
