//! Offers and their answers, and the place that a viewer takes.

use std::time::Instant;

use visavis::{Answer, LeaveReason, OfferError, Refusal, SessionId};

use super::super::protocol::{Description, Incoming, Outgoing};
use super::{NextStep, WsPeer, too_many};
use crate::connection::Context;
use crate::error::{ErrorCode, RequestError};
use crate::io::TurnIo;
use crate::mailbox::Ticket;

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
        if self.pending_offer.is_some() || self.making.is_some() {
            let detail = "the offer before this one is not answered yet";
            let error = RequestError::fixed(ErrorCode::OfferPending, detail);
            return self.reject_message(io, error, now);
        }
        if !self.offers.count(1, now) || !context.budgets.may_offer(self.id, now) {
            context.refuse(Refusal::OfferRate);
            return self.reject_message(io, too_many("offers"), now);
        }
        if !self.offered && !context.budgets.may_join(self.source, now) {
            context.refuse(Refusal::JoinRate);
            return self.reject_message(io, too_many("viewers"), now);
        }
        let places = context.config.max_clients;
        if !self.seated && context.seated >= places {
            return self.refuse(io, OfferError::Full(places).into());
        }
        self.take_seat(context);
        if std::mem::take(&mut self.wants_own) {
            let ticket = context.new_ticket(self.key);
            self.making = Some((ticket, sdp));
            let made = context.sessions.create_for_visitor(ticket, &context.engine);
            return match made {
                true => NextStep::Keep,
                false => self.refuse(io, no_session_left()),
            };
        }
        self.offer(io, sdp, context, now)
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
            let answer = context.engine.connect(&self.session, Some(self.id), &sdp);
            return self.on_answer(io, answer, None, context, now);
        }
        let number = context.offers;
        context.offers += 1;
        let (replies, waker, id) = (context.replies.clone(), context.waker.clone(), self.id);
        let reply = move |answer| {
            // Without a receiver the loop has ended, and with it the connection.
            let _ = replies.send((id, number, answer));
            let _ = waker.wake();
        };
        match context.engine.renegotiate(id, &sdp, reply) {
            Ok(()) => {
                self.pending_offer = Some((number, sdp));
                NextStep::Keep
            }
            Err(error) => self.on_answer(io, Err(error), Some(sdp), context, now),
        }
    }

    /// Passes on the engine's reply to a renegotiation. One that was asked for on the connection before this one
    /// has nobody left who would want the answer.
    pub(crate) fn on_reply(
        &mut self,
        io: &mut TurnIo<'_>,
        number: u64,
        answer: Result<Answer, OfferError>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        match self.pending_offer.take() {
            Some((pending, offer)) if pending == number => {
                self.on_answer(io, answer, Some(offer), context, now)
            }
            other => {
                self.pending_offer = other;
                NextStep::Keep
            }
        }
    }

    /// Passes on what the engine says to an offer; `later_offer` is that offer, where it is not the peer's first.
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
            self.give_seat_back(context);
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

    /// The session that was asked for is there, or there is none.
    pub(crate) fn on_session(
        &mut self,
        io: &mut TurnIo<'_>,
        ticket: Ticket,
        made: Option<SessionId>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        let offer = match self.making.take() {
            Some((asked, offer)) if asked == ticket => offer,
            other => {
                self.making = other;
                return NextStep::Keep;
            }
        };
        let Some(session) = made else { return self.refuse(io, no_session_left()) };
        self.session = session;
        match self.describe_session(io, context) {
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
        self.give_seat_back(context);
        self.await_offer(context, now);
        self.renew(context);
        self.send(io, &RequestError::from(reason).into())
    }

    /// There is no viewer: there has to be one before long.
    fn await_offer(&mut self, context: &Context, now: Instant) {
        self.waiting.get_or_insert((now, now + context.config.limits.offer_deadline));
    }

    /// Speaks for a peer that is not there yet, in the place of the one before.
    fn renew(&mut self, context: &mut Context) {
        context.clients.remove(&self.id);
        self.id = context.engine.new_peer_id();
        context.clients.insert(self.id, self.key);
        self.offered = false;
        self.pending_offer = None;
    }

    /// Until when there has to be an offer. What the server takes for its answer is not the client's time.
    pub(super) fn offer_due(&self) -> Option<Instant> {
        let is_answering = self.pending_offer.is_some() || self.making.is_some();
        self.waiting.filter(|_| !is_answering).map(|(_, until)| until)
    }

    /// Since when it has been of no use.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.offer_due().and(self.waiting).map(|(since, _)| since)
    }

    /// Another connection needs the place.
    pub(crate) fn evict(&mut self, io: &mut TurnIo<'_>) -> NextStep {
        let detail = "too many connections, and this one has no viewer";
        self.send_and_close(io, RequestError::fixed(ErrorCode::Full, detail))
    }

    pub(super) fn take_seat(&mut self, context: &mut Context) {
        context.seated += usize::from(!self.seated);
        self.seated = true;
    }

    pub(super) fn give_seat_back(&mut self, context: &mut Context) {
        context.seated -= usize::from(self.seated);
        self.seated = false;
    }
}
