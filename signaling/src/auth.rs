//! Who makes a request, and what they may do: decided here and nowhere else.
//!
//! Every request gets its [`Principal`] when its head has been read; a WebSocket keeps that of its handshake. Every
//! route names the [`Permission`] it needs, which is checked before its handler runs, and handlers check again when
//! they know more: whose session, which peer. Which names, origins and proxies are accepted at all is the business
//! of [`Access`](crate::access::Access), before any of this.

use std::fmt::Debug;

use visavis::peer::PeerId;
use visavis::session::SessionId;

use crate::access::Via;
use crate::error::{ErrorCode, RequestError};
use crate::http::request::Request;

/// On whose behalf a request is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// There is no authentication: anyone who can reach the port.
    Anyone,
}

/// What a request needs leave for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permission {
    /// Nothing that would need any: the page and its files, the description of the API, health.
    Public,
    /// To read the metrics and the status of a session.
    SeeStatus,
    /// To list all sessions.
    ListSessions,
    /// To create a session.
    CreateSession,
    /// To read the settings and the status of a session.
    InspectSession,
    /// To end a session.
    EndSession,
    /// To play speech into a session.
    PlaySpeech,
    /// To watch a session.
    JoinSession,
    /// To renegotiate, add candidates for, and end a peer.
    SpeakForPeer,
}

/// What a permission is for, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Subject<'a> {
    pub(crate) session: Option<&'a SessionId>,
    pub(crate) peer: Option<PeerId>,
}

impl<'a> Subject<'a> {
    pub(crate) fn session(session: &'a SessionId) -> Self {
        Self { session: Some(session), peer: None }
    }

    pub(crate) fn peer(session: &'a SessionId, peer: PeerId) -> Self {
        Self { session: Some(session), peer: Some(peer) }
    }
}

/// Decides who a client is and what it may do.
pub(crate) trait Authority: Debug + Send {
    /// Who makes a request, by its address and its header fields.
    ///
    /// # Errors
    ///
    /// The error for the client, if its credentials are not accepted.
    fn identify(&self, request: &Request, via: &Via) -> Result<Principal, RequestError>;

    /// Whether a principal may do something.
    ///
    /// # Errors
    ///
    /// The error for the client, if it lacks the permission.
    fn permit(
        &self,
        principal: &Principal,
        permission: Permission,
        subject: Subject<'_>,
    ) -> Result<(), RequestError>;
}

/// Without authentication: everyone may do everything, but sessions are managed over HTTP only if
/// [`SessionApi::manage`](crate::SessionApi::manage) is set.
#[derive(Debug)]
pub(crate) struct NoAuthentication {
    pub(crate) manage: bool,
}

impl Authority for NoAuthentication {
    fn identify(&self, _: &Request, _: &Via) -> Result<Principal, RequestError> {
        Ok(Principal::Anyone)
    }

    fn permit(
        &self,
        Principal::Anyone: &Principal,
        permission: Permission,
        _: Subject<'_>,
    ) -> Result<(), RequestError> {
        use Permission::{CreateSession, EndSession, ListSessions, PlaySpeech};
        match permission {
            ListSessions | CreateSession | EndSession | PlaySpeech if !self.manage => {
                let detail = "this server does not allow sessions to be managed over HTTP; \
                    `visavis serve --api` or SessionApi::manage allows it";
                Err(RequestError::fixed(ErrorCode::NotAllowed, detail))
            }
            _ => Ok(()),
        }
    }
}
