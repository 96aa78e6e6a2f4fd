//! Offers and their answers, and the place that a viewer takes.

use std::time::Instant;

use visavis::event::LeaveReason;
use visavis::peer::{Answer, OfferError};
use visavis::session::SessionId;
use visavis::status::Refusal;

use super::super::protocol::{Description, Incoming, Outgoing};
use super::{NextStep, WsPeer};
use crate::auth::Permission;
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::io::TurnIo;
use crate::mailbox::Ticket;
use crate::negotiation;
use crate::sessions::registry::CreateError;

/// There is no session for this visitor.
fn no_session_left() -> RequestError {
    RequestError::fixed(ErrorCode::Full, "no more sessions can be created; try again later")
}

impl WsPeer {
    /// Takes an offer: the first one makes a viewer, which needs a place, and for some visitors a session.
    pub(super) fn on_offer(
        &mut self,
        io: &mut TurnIo<'_>,
        sdp: String,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        if let Err(error) = self.may_offer(context, now) {
            return self.reject_message(io, error, now);
        }
        let places = context.config.max_clients;
        if !self.has_viewer && context.clients.viewers() >= places {
            return self.refuse(io, OfferError::Full(places).into());
        }
        self.count_viewer(context);
        if std::mem::take(&mut self.wants_own_session) {
            let ticket = context.new_ticket(self.key);
            self.creating = Some((ticket, sdp));
            let on_created = context.mailbox.on_created(ticket);
            return match context.sessions.create_for_visitor(&context.engine, on_created) {
                Ok(()) => NextStep::Keep,
                Err(error) => {
                    tracing::info!(?error, "no session for a visitor");
                    self.refuse(io, no_session_left())
                }
            };
        }
        self.offer(io, sdp, context, now)
    }

    /// Whether the client may offer, and not too often.
    fn may_offer(&mut self, context: &mut Context, now: Instant) -> Result<(), RequestError> {
        if self.pending_offer.is_some() || self.creating.is_some() {
            let detail = "the offer before this one is not answered yet";
            return Err(RequestError::fixed(ErrorCode::OfferPending, detail));
        }
        match self.offered {
            true => self.permit(Permission::SpeakForPeer, context)?,
            false => self.permit(Permission::JoinSession, context)?,
        }
        if !self.offers.count(1, now) {
            context.refuse(Refusal::OfferRate);
            let detail = "too many offers on this connection in a short time";
            return Err(RequestError::fixed(ErrorCode::RateLimited, detail));
        }
        context.count_offer(self.id)?;
        match self.offered {
            true => Ok(()),
            false => context.count_join(self.source),
        }
    }

    /// Passes an offer on to the engine.
    fn offer(
        &mut self,
        io: &mut TurnIo<'_>,
        sdp: String,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        let is_first = !std::mem::replace(&mut self.offered, true);
        if let Some(token) = &self.token {
            context.resumptions.hold(token, self.id, &self.session);
        }
        if is_first {
            let answer = negotiation::connect(&self.session, Some(self.id), &sdp, context);
            return self.on_answer(io, answer, None, context, now);
        }
        let ticket = context.new_ticket(self.key);
        let reply = context.mailbox.on_renegotiated(self.id, ticket);
        match negotiation::renegotiate(&self.session, self.id, &sdp, reply, context) {
            Ok(()) => {
                self.pending_offer = Some((ticket, sdp));
                NextStep::Keep
            }
            Err(error) => self.on_answer(io, Err(error), Some(sdp), context, now),
        }
    }

    /// Passes on the engine's answer to a later offer. An answer to an offer of the previous connection is dropped.
    pub(crate) fn on_renegotiated(
        &mut self,
        io: &mut TurnIo<'_>,
        ticket: Ticket,
        answer: Result<Answer, OfferError>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        match self.pending_offer.take() {
            Some((pending, offer)) if pending == ticket => {
                self.on_answer(io, answer, Some(offer), context, now)
            }
            other => {
                self.pending_offer = other;
                NextStep::Keep
            }
        }
    }

    /// Passes on the engine's answer to an offer; `later_offer` is that offer, where it is not the peer's first.
    fn on_answer(
        &mut self,
        io: &mut TurnIo<'_>,
        answer: Result<Answer, OfferError>,
        later_offer: Option<String>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        if answer.is_err() && self.waiting.is_some() {
            // There is no viewer that would need the place.
            self.uncount_viewer(context);
        }
        match (answer, later_offer) {
            (Err(OfferError::OtherConnection | OfferError::PeerGone), Some(sdp)) => {
                // The page has made a new RTCPeerConnection, or the peer has just left: what there was before is gone.
                context.engine.replace(self.id);
                self.await_offer(context, now);
                self.renew(context);
                self.handle_message(io, Incoming::Offer(sdp), context, now)
            }
            (Ok(answer), _) => {
                self.waiting = None;
                let data = Description { kind: "answer", sdp: &answer.sdp };
                self.send(io, &Outgoing::Answer { peer_id: self.id.to_string(), data })
            }
            (
                Err(
                    error @ (OfferError::Full(_)
                    | OfferError::SessionFull { .. }
                    | OfferError::Stopped),
                ),
                _,
            ) => self.refuse(io, error.into()),
            (Err(error), _) => self.reject_message(io, error.into(), now),
        }
    }

    /// The requested session was created, or failed.
    pub(crate) fn on_created(
        &mut self,
        io: &mut TurnIo<'_>,
        ticket: Ticket,
        made: Result<SessionId, CreateError>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        let offer = match self.creating.take() {
            Some((asked, offer)) if asked == ticket => offer,
            other => {
                self.creating = other;
                return NextStep::Keep;
            }
        };
        let Ok(session) = made else { return self.refuse(io, no_session_left()) };
        self.session = session;
        match self.send_session_state(io, context) {
            NextStep::Keep => self.offer(io, offer, context, now),
            next => next,
        }
    }

    /// Tells the client that its media connection ended. The WebSocket stays usable: the next offer
    /// makes a new peer, under a new id.
    pub(crate) fn on_left(
        &mut self,
        io: &mut TurnIo<'_>,
        reason: LeaveReason,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        self.uncount_viewer(context);
        self.await_offer(context, now);
        self.renew(context);
        self.send(io, &RequestError::from(reason).into())
    }

    /// There is no viewer: there has to be one before long.
    fn await_offer(&mut self, context: &Context, now: Instant) {
        self.waiting.get_or_insert((now, now + context.config.limits.offer_deadline));
    }

    /// Switches to a new peer, which the engine does not have yet.
    fn renew(&mut self, context: &mut Context) {
        context.clients.remove(self.id);
        self.id = context.engine.new_peer_id();
        context.clients.insert(self.id, self.key);
        self.offered = false;
        self.pending_offer = None;
    }

    /// Until when there has to be an offer. What the server takes for its answer is not the client's time.
    pub(super) fn offer_due(&self) -> Option<Instant> {
        let is_answering = self.pending_offer.is_some() || self.creating.is_some();
        self.waiting.filter(|_| !is_answering).map(|(_, until)| until)
    }

    /// Since when it has been of no use.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.offer_due().and(self.waiting).map(|(since, _)| since)
    }

    /// Another connection is to be accepted.
    pub(crate) fn close_idle(&mut self, io: &mut TurnIo<'_>) -> NextStep {
        let detail = "too many connections, and this one has no viewer";
        self.send_and_close(io, RequestError::fixed(ErrorCode::Full, detail))
    }

    /// Counts the client among those that have a viewer.
    pub(super) fn count_viewer(&mut self, context: &mut Context) {
        if !std::mem::replace(&mut self.has_viewer, true) {
            context.clients.add_viewer();
        }
    }

    pub(super) fn uncount_viewer(&mut self, context: &mut Context) {
        if std::mem::take(&mut self.has_viewer) {
            context.clients.remove_viewer();
        }
    }
}
