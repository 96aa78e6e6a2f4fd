//! What handlers may use: settings, the engine, the registries and the budgets; no connections.

use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::SecureRandom;
use visavis::EngineHandle;
use visavis::peer::PeerId;
use visavis::session::SessionId;
use visavis::status::Refusal;

use crate::access::Source;
use crate::auth::Authority;
use crate::config::SignalingConfig;
use crate::connection_limits::ConnectionLimits;
use crate::error::{ErrorCode, RequestError};
use crate::http::static_files::StaticFiles;
use crate::mailbox::{Mailbox, Ticket};
use crate::request_rates::RequestRates;
use crate::sessions::registry::Registry;
use crate::speech::uploads::Uploads;
use crate::whep::viewers::Viewers;
use crate::ws::clients::Clients;
use crate::ws::resume::Resumptions;

/// It belongs to the loop's thread.
pub(crate) struct Context {
    pub(crate) config: SignalingConfig,
    pub(crate) engine: EngineHandle,
    /// Who may do what.
    pub(crate) authority: Box<dyn Authority>,
    /// The page, and what belongs to it.
    pub(crate) files: Arc<StaticFiles>,
    /// The sessions that were made over HTTP.
    pub(crate) sessions: Registry,
    /// Those who signal over WebSocket.
    pub(crate) clients: Clients,
    /// The peers to which WebSocket clients may come back.
    pub(crate) resumptions: Resumptions,
    /// Those who watch by WHEP.
    pub(crate) whep: Viewers,
    /// Speech that is being played.
    pub(crate) uploads: Uploads,
    /// How many connections there are from where.
    pub(crate) connections: ConnectionLimits,
    /// Rate limits of requests.
    pub(crate) rates: RequestRates,
    pub(crate) random: &'static dyn SecureRandom,
    /// Carries what other threads answer into the loop.
    pub(crate) mailbox: Mailbox,
    /// Tickets given out so far.
    pub(crate) tickets: u64,
    /// HTTP requests served so far.
    pub(crate) http_requests: u64,
}

impl Context {
    /// Counts something that is refused.
    pub(crate) fn refuse(&self, kind: Refusal) {
        self.engine.refusals().count(kind);
    }

    /// Names a request of the connection at `key`.
    pub(crate) fn new_ticket(&mut self, key: usize) -> Ticket {
        self.tickets += 1;
        Ticket { key, serial: self.tickets }
    }

    /// A session that there is.
    pub(crate) fn existing_session(&self, session: SessionId) -> Result<SessionId, RequestError> {
        match self.engine.has_session(&session) {
            true => Ok(session),
            false => Err(no_session(&session)),
        }
    }

    /// Counts a new viewer from an address.
    pub(crate) fn count_join(&mut self, source: Option<Source>) -> Result<(), RequestError> {
        let allowed = self.rates.may_join(source, Instant::now());
        self.rated(allowed, Refusal::JoinRate, "new viewers from this address")
    }

    /// Counts an offer of a peer that is there.
    pub(crate) fn count_offer(&mut self, peer: PeerId) -> Result<(), RequestError> {
        let allowed = self.rates.may_offer(peer, Instant::now());
        self.rated(allowed, Refusal::OfferRate, "offers of this viewer")
    }

    /// Counts candidates of a peer.
    pub(crate) fn count_candidates(
        &mut self,
        peer: PeerId,
        candidates: usize,
    ) -> Result<(), RequestError> {
        let allowed = self.rates.may_add(peer, candidates, Instant::now());
        self.rated(allowed, Refusal::CandidateRate, "candidates of this viewer")
    }

    /// Counts a request for a session from an address.
    pub(crate) fn count_session(&mut self, source: Option<Source>) -> Result<(), RequestError> {
        let allowed = self.rates.may_create(source, Instant::now());
        self.rated(allowed, Refusal::SessionRate, "sessions requested from this address")
    }

    fn rated(&self, allowed: bool, kind: Refusal, what: &str) -> Result<(), RequestError> {
        if allowed {
            return Ok(());
        }
        self.refuse(kind);
        let detail = format!("too many {what} in a short time; try again later");
        Err(RequestError::new(ErrorCode::RateLimited, detail))
    }
}

/// There is no such session.
pub(crate) fn no_session(session: &SessionId) -> RequestError {
    RequestError::new(ErrorCode::NoSession, format!("there is no session {session}"))
}
