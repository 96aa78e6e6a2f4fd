//! Offers on their way to the engine, whichever way they come, and what an observer sees of them.

use std::sync::Arc;

use visavis::EngineHandle;
use visavis::faults::FaultDomain;
use visavis::peer::{Answer, OfferError, PeerId};
use visavis::session::SessionId;

use crate::context::Context;

/// Passes on the first offer of a peer; one that has no id yet is given one.
pub(crate) fn connect(
    session: &SessionId,
    peer: Option<PeerId>,
    sdp: &str,
    context: &Context,
) -> Result<Answer, OfferError> {
    let Some(observer) = &context.config.observer else {
        return context.engine.connect(session, peer, sdp);
    };
    let peer = peer.unwrap_or_else(|| context.engine.new_peer_id());
    notify(&context.engine, || observer.offer(session, peer, sdp));
    let answer = context.engine.connect(session, Some(peer), sdp);
    if let Ok(Answer { peer, sdp, .. }) = &answer {
        notify(&context.engine, || observer.answer(*peer, sdp));
    }
    answer
}

/// Passes on a later offer of a peer of a session.
pub(crate) fn renegotiate(
    session: &SessionId,
    peer: PeerId,
    sdp: &str,
    reply: impl FnOnce(Result<Answer, OfferError>) + Send + 'static,
    context: &Context,
) -> Result<(), OfferError> {
    let Some(observer) = &context.config.observer else {
        return context.engine.renegotiate(peer, sdp, reply);
    };
    notify(&context.engine, || observer.offer(session, peer, sdp));
    let (engine, observer) = (context.engine.clone(), Arc::clone(observer));
    context.engine.renegotiate(peer, sdp, move |answer| {
        if let Ok(Answer { peer, sdp, .. }) = &answer {
            notify(&engine, || observer.answer(*peer, sdp));
        }
        reply(answer);
    })
}

/// An observer is told of a candidate that was passed on.
pub(crate) fn candidate(peer: PeerId, candidate: &str, context: &Context) {
    if let Some(observer) = &context.config.observer {
        notify(&context.engine, || observer.candidate(peer, candidate));
    }
}

/// What is called there is the application's.
fn notify(engine: &EngineHandle, call: impl FnOnce()) {
    engine.faults().guard(FaultDomain::Callback, &"an observer of negotiations", call);
}
