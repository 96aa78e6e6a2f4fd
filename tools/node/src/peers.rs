//! Viewers whose offers come another way than by the signaling server: own signaling.

use std::sync::mpsc;
use std::time::Duration;

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;
use visavis::EngineHandle;
use visavis::peer::{Answer, OfferError, PeerId};
use visavis::session::SessionId;

use crate::failure::{Result, failure, guarded, invalid};
use crate::system::NativeSystem;
use crate::values::peer_id;

/// A media loop answers within a turn.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

#[napi]
impl NativeSystem {
    /// Answers an offer, of a new viewer or, with its id, of one that is here.
    #[napi(ts_return_type = "Promise<Answered>")]
    pub fn answer(
        &self,
        session: String,
        peer: Option<String>,
        sdp: String,
    ) -> Result<AsyncTask<Negotiation>> {
        guarded(|| {
            let session = SessionId::new(&session).map_err(invalid)?;
            let peer = peer.as_deref().map(peer_id).transpose()?;
            let engine = self.engine()?;
            Ok(AsyncTask::new(Negotiation { engine, session, peer, sdp }))
        })
    }

    /// Adds a candidate of a viewer.
    #[napi]
    pub fn add_candidate(&self, peer: String, candidate: String) -> Result<()> {
        guarded(|| self.engine()?.add_candidate(peer_id(&peer)?, &candidate).map_err(failure))
    }

    /// Disconnects a viewer; one that is not here is ignored.
    #[napi]
    pub fn disconnect(&self, peer: String) -> Result<()> {
        guarded(|| {
            self.engine()?.disconnect(peer_id(&peer)?);
            Ok(())
        })
    }
}

/// An offer on its way to an answer, on a thread of Node's pool.
pub struct Negotiation {
    engine: EngineHandle,
    session: SessionId,
    peer: Option<PeerId>,
    sdp: String,
}

/// An answer, or the reason that there is none.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct Answered {
    /// The viewer.
    pub peer: Option<String>,
    /// The answer.
    pub sdp: Option<String>,
    /// The error's code, where there is none.
    pub code: Option<&'static str>,
    /// The error's text.
    pub message: Option<String>,
}

impl Task for Negotiation {
    type Output = Result<Answer>;
    type JsValue = Answered;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(guarded(|| self.negotiate().map_err(failure)))
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> napi::Result<Answered> {
        Ok(match output {
            Ok(Answer { peer, sdp, .. }) => {
                Answered { peer: Some(peer.to_string()), sdp: Some(sdp), ..Answered::default() }
            }
            Err(error) => Answered {
                code: Some(error.status),
                message: Some(error.reason.clone()),
                ..Answered::default()
            },
        })
    }
}

impl Negotiation {
    fn negotiate(&self) -> std::result::Result<Answer, OfferError> {
        let Some(peer) = self.peer else {
            return self.engine.connect(&self.session, None, &self.sdp);
        };
        if !self.engine.has_peer(&self.session, peer) {
            return Err(OfferError::PeerGone);
        }
        let (answered, answer) = mpsc::sync_channel(1);
        self.engine.renegotiate(peer, &self.sdp, move |answer| {
            let _ = answered.try_send(answer);
        })?;
        answer.recv_timeout(ANSWER_DEADLINE).unwrap_or(Err(OfferError::Busy))
    }
}
