//! Viewers, by signaling of the application's own.

use std::ffi::c_char;
use std::sync::mpsc;
use std::time::Duration;

use visavis::peer::PeerId;

use crate::engine::{EngineObject, visavis_engine};
use crate::handle;
use crate::raw;
use crate::session::{SessionObject, visavis_session};
use crate::status::{visavis_status, visavis_status::*};

/// Draws an id for a viewer, for signaling that has to name it before its offer comes. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_new_peer_id(
    engine: *const visavis_engine,
    peer: *mut u64,
) -> visavis_status {
    entry!({
        raw::put(peer, handle::get::<EngineObject>(engine)?.handle.new_peer_id().as_raw());
        Ok(VISAVIS_OK)
    })
}

/// Makes a viewer of its first SDP offer, and answers it, in some 100 µs on the calling thread. A viewer that does not
/// connect within connect_timeout_ms is forgotten, with VISAVIS_EVENT_PEER_LEFT.
///
/// id: what visavis_new_peer_id() has drawn; 0: a new one. offer: the SDP. peer: set to the viewer's id, by which other
/// calls and events name it. answer: is set to the SDP for RTCPeerConnection.setRemoteDescription(), to be freed with
/// visavis_string_free(); to NULL on errors. VISAVIS_OFFER_REFUSED: the offer cannot be used. VISAVIS_NO_PLACE,
/// VISAVIS_EXISTS: there is a viewer of this id. VISAVIS_NOT_FOUND: the session has stopped. VISAVIS_BUSY,
/// VISAVIS_ENGINE_STOPPED. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_connect(
    session: *const visavis_session,
    id: u64,
    offer: *const c_char,
    peer: *mut u64,
    answer: *mut *mut c_char,
) -> visavis_status {
    entry!([answer] {
        let session = handle::get::<SessionObject>(session)?;
        let offer = raw::text("offer", offer)?;
        let id = (id != 0).then_some(PeerId::from_raw(id));
        let answered = session.engine.connect(session.session.id(), id, offer)?;
        raw::put(peer, answered.peer.as_raw());
        raw::put_text(answer, answered.sdp)?;
        Ok(VISAVIS_OK)
    })
}

/// Answers a later offer of a viewer: other media, or an ICE restart. Waits for the media loop, up to timeout_ms; that
/// takes some milliseconds.
///
/// answer: as in visavis_connect(). VISAVIS_TIMEOUT: the answer is lost; the viewer is to offer again.
/// VISAVIS_OFFER_REFUSED, VISAVIS_NOT_FOUND: there is no such viewer. VISAVIS_BUSY, VISAVIS_ENGINE_STOPPED. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_renegotiate(
    engine: *const visavis_engine,
    peer: u64,
    offer: *const c_char,
    timeout_ms: u32,
    answer: *mut *mut c_char,
) -> visavis_status {
    entry!([answer] {
        let engine = handle::get::<EngineObject>(engine)?;
        let offer = raw::text("offer", offer)?;
        let (reply, replied) = mpsc::sync_channel(1);
        engine.handle.renegotiate(PeerId::from_raw(peer), offer, move |answered| {
            // Nobody may wait for it any more.
            let _ = reply.try_send(answered);
        })?;
        match replied.recv_timeout(Duration::from_millis(timeout_ms.into())) {
            Ok(answered) => {
                raw::put_text(answer, answered?.sdp)?;
                Ok(VISAVIS_OK)
            }
            Err(_) => Ok(VISAVIS_TIMEOUT),
        }
    })
}

/// Adds an ICE candidate of a viewer, as RTCIceCandidate.candidate has it. An empty one (end of candidates), one with an
/// mDNS name, and one of a viewer that has left are accepted and ignored.
///
/// VISAVIS_OFFER_REFUSED: it is none that can be used. VISAVIS_BUSY, VISAVIS_ENGINE_STOPPED. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_add_candidate(
    engine: *const visavis_engine,
    peer: u64,
    candidate: *const c_char,
) -> visavis_status {
    entry!({
        let engine = handle::get::<EngineObject>(engine)?;
        let candidate = raw::text("candidate", candidate)?;
        engine.handle.add_candidate(PeerId::from_raw(peer), candidate)?;
        Ok(VISAVIS_OK)
    })
}

/// Closes a viewer's connection; an unknown one is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_disconnect(
    engine: *const visavis_engine,
    peer: u64,
) -> visavis_status {
    entry!({
        handle::get::<EngineObject>(engine)?.handle.disconnect(PeerId::from_raw(peer));
        Ok(VISAVIS_OK)
    })
}
