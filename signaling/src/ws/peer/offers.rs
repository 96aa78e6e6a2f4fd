//! Offers and their answers, and the place that a viewer takes.

use std::time::Instant;

use tungstenite::protocol::frame::coding::CloseCode;
use visavis::{LeaveReason, OfferError, Refusal, SessionId};

use super::super::protocol::{Description, Fault, Incoming, NEXT_PLACE, Outgoing, RSA_CERTIFICATE};
use super::{NextStep, WsPeer, too_many};
use crate::connection::Context;
use crate::io::TurnIo;
use crate::mailbox::Ticket;

/// There is no session for this visitor.
fn no_face() -> Fault {
    let error = "there is no room for another session; try again later";
    Fault::new("full", error).retry_after(NEXT_PLACE)
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
            let fault = Fault::new("busy", "the offer before this one is not answered yet");
            return self.blame(io, fault, now);
        }
        if !self.offers.count(1, now) || !context.budgets.may_offer(self.id, now) {
            context.refuse(Refusal::OfferRate);
            return self.blame(io, too_many("offers"), now);
        }
        if !self.offered && !context.budgets.may_join(self.source, now) {
            context.refuse(Refusal::JoinRate);
            return self.blame(io, too_many("viewers"), now);
        }
        let places = context.config.max_clients;
        if !self.seated && context.seated >= places {
            return self.refuse(io, OfferError::Full(places).into(), CloseCode::Again);
        }
        self.take_seat(context);
        if std::mem::take(&mut self.wants_own) {
            let ticket = context.new_ticket(self.key);
            self.making = Some((ticket, sdp));
            let made = context.sessions.create_for_visitor(ticket, &context.engine);
            return match made {
                true => NextStep::Keep,
                false => self.refuse(io, no_face(), CloseCode::Again),
            };
        }
        self.offer(&sdp, context);
        NextStep::Keep
    }

    /// Passes an offer on to the engine.
    fn offer(&mut self, sdp: &str, context: &mut Context) {
        self.later_offer = self.offered.then(|| sdp.to_owned());
        self.offered = true;
        if let Some(token) = &self.token {
            context.resumptions.hold(token, self.id, &self.session);
        }
        let number = context.offers;
        context.offers += 1;
        self.pending_offer = Some(number);
        let (replies, waker, id) = (context.replies.clone(), context.waker.clone(), self.id);
        context.engine.offer(&self.session, id, sdp, move |answer| {
            // Without a receiver the loop has ended, and with it the connection.
            let _ = replies.send((id, number, answer));
            let _ = waker.wake();
        });
    }

    /// Passes on the engine's reply to an offer. One that was made on the connection before this one
    /// has nobody left who would want the answer.
    pub(crate) fn on_answer(
        &mut self,
        io: &mut TurnIo<'_>,
        number: u64,
        answer: Result<String, OfferError>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        if self.pending_offer != Some(number) {
            return NextStep::Keep;
        }
        self.pending_offer = None;
        let later_offer = self.later_offer.take();
        if answer.is_err() && self.waiting.is_some() {
            // There is no viewer that would need the place.
            self.give_seat_back(context);
        }
        match answer {
            Err(OfferError::OtherConnection) if later_offer.is_some() => {
                // The page has made a new RTCPeerConnection: what there was before is gone.
                context.engine.replace(self.id);
                self.await_offer(context, now);
                self.renew(context);
                match later_offer {
                    Some(sdp) => self.handle_message(io, Incoming::Offer(sdp), context, now),
                    None => NextStep::Keep,
                }
            }
            Ok(sdp) => {
                self.waiting = None;
                let data = Description { kind: "answer", sdp: &sdp };
                self.send(io, &Outgoing::Answer { peer_id: self.id.to_string(), data })
            }
            Err(
                error
                @ (OfferError::Full(_) | OfferError::SessionFull { .. } | OfferError::Stopped),
            ) => self.refuse(io, error.into(), CloseCode::Again),
            Err(error) => self.blame(io, error.into(), now),
        }
    }

    /// The session that was asked for is there, or there is none.
    pub(crate) fn on_session(
        &mut self,
        io: &mut TurnIo<'_>,
        ticket: Ticket,
        made: Option<SessionId>,
        context: &mut Context,
    ) -> NextStep {
        let offer = match self.making.take() {
            Some((asked, offer)) if asked == ticket => offer,
            other => {
                self.making = other;
                return NextStep::Keep;
            }
        };
        let Some(session) = made else { return self.refuse(io, no_face(), CloseCode::Again) };
        self.session = session;
        let next = self.describe_session(io, context);
        if next == NextStep::Keep {
            self.offer(&offer, context);
        }
        next
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
        let error = match reason {
            LeaveReason::Closed => "the media connection was closed",
            LeaveReason::ConnectTimeout => "the media connection did not come up in time",
            LeaveReason::Vanished => "the media connection stopped answering",
            LeaveReason::Stopped => "the session was stopped",
            LeaveReason::RsaCertificate => RSA_CERTIFICATE,
            _ => "the media connection failed",
        };
        self.send(io, &Fault::new(reason.as_str(), error).message())
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
        self.later_offer = None;
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
        let fault = Fault::new("full", "too many connections, and this one has no viewer");
        let _ = self.send(io, &fault.retry_after(NEXT_PLACE).message());
        self.close(io, CloseCode::Again, "full")
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
