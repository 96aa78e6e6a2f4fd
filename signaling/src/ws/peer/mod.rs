//! A client's WebSocket.

mod offers;
mod output;

use std::io::ErrorKind;
use std::time::Instant;

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};
use visavis::EngineHandle;
use visavis::peer::{OfferError, PeerId};
use visavis::session::SessionId;
use visavis::status::Refusal;

use super::frames::{Counted, Frames};
use super::protocol::{Incoming, Outgoing};
use super::resume::{Resumed, Token};
use crate::access::Source;
use crate::auth::{Permission, Principal, Subject};
use crate::candidates;
use crate::config::Limits;
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::route::WebSocketRequest;
use crate::io::TurnIo;
use crate::mailbox::Ticket;
use crate::rate_window::RateWindow;

/// The least backlog a WebSocket needs: an SDP answer and an error or two.
const MIN_BACKLOG_BYTES: usize = 64 << 10;
const READ_BUFFER_BYTES: usize = 4 << 10;

/// The close code of a connection whose client has come back on another (RFC 6455 §7.4.2 leaves the
/// numbers from 4000 on to applications).
const RESUMED_ELSEWHERE: CloseCode = CloseCode::Library(4001);

/// What a turn leaves to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Nothing.
    Keep,
    /// A close frame is queued: send what is left, then close.
    Close,
    /// The client is gone.
    Gone,
}

/// A client's WebSocket and the peer it controls.
///
/// The peer's media outlives a connection that breaks: ICE consent (RFC 7675) ends it within 30
/// seconds if the viewer is gone too, and a viewer that only lost its TCP connection keeps its
/// picture. It may come back for it: `config` carries a token, and a WebSocket opened with
/// `?resume=TOKEN` controls the same peer from then on, so that an offer renegotiates. The connection
/// it had before is closed. A connection that is closed in an orderly way, or by the server because of
/// what the client sent, takes its peer with it.
#[derive(Debug)]
pub(crate) struct WsPeer {
    socket: WebSocketContext,
    engine: EngineHandle,
    session: SessionId,
    id: PeerId,
    /// The connection's place in the loop.
    key: usize,
    /// With which its client may come back; `None` where the system has no randomness to give.
    token: Option<Token>,
    /// Whom it counts for.
    source: Option<Source>,
    /// On whose behalf its messages are.
    principal: Principal,
    /// Whether the engine has this peer.
    offered: bool,
    /// Whether the client gets the events of the session.
    wants_events: bool,
    /// Whether it counts among those that have a viewer.
    has_viewer: bool,
    /// Since when it has had no viewer, and until when there has to be an offer that is answered.
    waiting: Option<(Instant, Instant)>,
    /// Whether its visitor, who named no session, gets a private one.
    wants_own_session: bool,
    /// The request for a private session, and the offer that waits for it.
    creating: Option<(Ticket, String)>,
    /// The renegotiation that waits for its answer: its number, and the offer, which may turn out to be another
    /// peer's.
    pending_offer: Option<(Ticket, String)>,
    /// Whether the peer ends with this connection.
    ends_peer: bool,
    bad_messages: RateWindow,
    frames: Frames,
    messages: RateWindow,
    /// Whatever peers they are for.
    offers: RateWindow,
    next_ping: Instant,
    pong_due: Option<Instant>,
}

impl WsPeer {
    /// Starts the protocol on an upgraded connection; `rest` is what arrived after the handshake. With the token of an
    /// existing peer it controls that one.
    pub(crate) fn new(
        rest: Vec<u8>,
        WebSocketRequest { session, resume, events, source, principal }: WebSocketRequest,
        key: usize,
        context: &mut Context,
        now: Instant,
    ) -> Self {
        let default = &context.config.default_session;
        let named = session.or_else(|| (!context.config.api.per_visitor).then(|| default.clone()));
        let may_resume = |resumed: &Resumed| {
            let subject = Subject::peer(&resumed.session, resumed.peer);
            context.authority.permit(&principal, Permission::SpeakForPeer, subject).is_ok()
        };
        let resumed = resume.and_then(|token| context.resumptions.find(&token, named.as_ref()));
        let resumed = resumed.filter(may_resume);
        let offered = resumed.is_some();
        let (token, id, session, wants_own_session) = match (resumed, named) {
            (Some(Resumed { token, peer, session }), _) => (Some(token), peer, session, false),
            (None, named) => {
                let (token, id) = (Token::draw(context.random), context.engine.new_peer_id());
                let wants_own_session = named.is_none();
                (token, id, named.unwrap_or_else(|| default.clone()), wants_own_session)
            }
        };
        let limits = &context.config.limits;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(limits.backlog_bytes.max(MIN_BACKLOG_BYTES))
            .max_message_size(Some(limits.message_bytes))
            .max_frame_size(Some(limits.message_bytes));
        let (mut frames, mut messages) =
            (Frames::default(), RateWindow::new(limits.abuse_window, limits.messages, now));
        messages.count(frames.count(&rest), now);
        Self {
            socket: WebSocketContext::from_partially_read(rest, Role::Server, Some(config)),
            engine: context.engine.clone(),
            session,
            id,
            key,
            token,
            source,
            principal,
            offered,
            wants_events: events,
            has_viewer: false,
            waiting: (!offered).then(|| (now, now + limits.offer_deadline)),
            wants_own_session,
            creating: None,
            pending_offer: None,
            ends_peer: false,
            bad_messages: RateWindow::new(limits.abuse_window, limits.bad_messages, now),
            frames,
            messages,
            offers: RateWindow::new(limits.abuse_window, limits.offers, now),
            next_ping: now + limits.ping_interval,
            pong_due: None,
        }
    }

    /// Sends `config`, or `full` where no other viewer can be taken.
    pub(crate) fn start(&mut self, io: &mut TurnIo<'_>, context: &mut Context) -> NextStep {
        let config = &context.config;
        let token = self.token.clone();
        let first = Outgoing::Config {
            peer_id: self.id.to_string(),
            ice_servers: &config.ice_servers,
            video_codec: config.video_codec.name(),
            audio_codec: config.audio_codec.name(),
            resume: token.as_ref().map(Token::as_str),
        };
        let next = self.send(io, &first);
        if next != NextStep::Keep {
            return next;
        }
        let places = config.max_clients;
        match context.clients.connection(self.id) {
            Some(before) => context.clients.close_resumed(before),
            None if context.clients.viewers() >= places => {
                // Media that still runs goes on, though its client cannot come back to it now.
                self.ends_peer = false;
                context.refuse(Refusal::Place);
                return self.send_and_close(io, OfferError::Full(places).into());
            }
            None => {}
        }
        context.clients.insert(self.id, self.key);
        if let Some(token) = &self.token {
            context.resumptions.back(token);
        }
        if self.offered {
            self.count_viewer(context);
        }
        match self.wants_own_session {
            true => NextStep::Keep,
            false => self.send_session_state(io, context),
        }
    }

    /// Sends the state of the session, before its changes.
    fn send_session_state(&mut self, io: &mut TurnIo<'_>, context: &Context) -> NextStep {
        if !self.wants_events {
            return NextStep::Keep;
        }
        // If there is none, the offer is answered with an error.
        let Some(status) = context.engine.status(&self.session) else { return NextStep::Keep };
        self.send(io, &Outgoing::Session { live: status.metrics.is_live })
    }

    /// Whether its client gets the events of a session.
    pub(crate) fn wants_events_of(&self, session: &SessionId) -> bool {
        let has_session = !self.wants_own_session && self.creating.is_none();
        self.wants_events && has_session && self.session == *session
    }

    /// Sends an event of the session.
    pub(crate) fn on_session_event(
        &mut self,
        io: &mut TurnIo<'_>,
        message: &Outgoing<'_>,
    ) -> NextStep {
        self.send(io, message)
    }

    /// Reads and answers what has arrived, as far as the turn's budget goes.
    pub(crate) fn turn(
        &mut self,
        io: &mut TurnIo<'_>,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        loop {
            let (frames, window) = (&mut self.frames, &mut self.messages);
            let mut counted = Counted { io, frames, window, now, over: false };
            let read = self.socket.read(&mut counted);
            if counted.over {
                return self.refuse_abuse(io);
            }
            let message = match read {
                Ok(message) => message,
                Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => return NextStep::Keep,
                Err(error) => return self.broken(io, error, &context.config.limits),
            };
            if let Message::Close(frame) = message {
                // No code is what `WebSocket.close()` sends.
                let code = frame.map_or(CloseCode::Normal, |frame| frame.code);
                self.ends_peer = matches!(code, CloseCode::Normal | CloseCode::Away);
                // Reading on sends the reply and then reports the end.
                continue;
            }
            let next = match message {
                Message::Text(text) => match Incoming::parse(&text) {
                    Ok(message) => self.handle_message(io, message, context, now),
                    Err(error) => self.reject_message(io, error, now),
                },
                Message::Binary(_) => {
                    let detail = "messages are JSON in text frames";
                    self.reject_message(io, RequestError::fixed(ErrorCode::BadMessage, detail), now)
                }
                _ => NextStep::Keep,
            };
            if next != NextStep::Keep {
                return next;
            }
        }
    }

    fn handle_message(
        &mut self,
        io: &mut TurnIo<'_>,
        message: Incoming,
        context: &mut Context,
        now: Instant,
    ) -> NextStep {
        match message {
            Incoming::Ping => self.send(io, &Outgoing::Pong),
            Incoming::Pong => {
                self.pong_due = None;
                self.next_ping = now + context.config.limits.ping_interval;
                NextStep::Keep
            }
            Incoming::Candidate(candidate) => match self.add_candidate(&candidate, context) {
                Ok(()) => NextStep::Keep,
                Err(error) => self.reject_message(io, error, now),
            },
            Incoming::Offer(sdp) => self.on_offer(io, sdp, context, now),
        }
    }

    fn add_candidate(&self, candidate: &str, context: &mut Context) -> Result<(), RequestError> {
        self.permit(Permission::SpeakForPeer, context)?;
        context.count_candidates(self.id, 1)?;
        Ok(candidates::add(self.id, candidate, context)?)
    }

    /// Asks whether the client may do something in its session, for its peer.
    fn permit(&self, permission: Permission, context: &Context) -> Result<(), RequestError> {
        let subject = Subject::peer(&self.session, self.id);
        context.authority.permit(&self.principal, permission, subject)
    }

    /// When [`on_deadline`](Self::on_deadline) wants to be called.
    pub(crate) fn deadline(&self) -> Instant {
        let ping = self.pong_due.unwrap_or(self.next_ping);
        self.offer_due().map_or(ping, |due| due.min(ping))
    }

    /// Sends the next ping, or gives up on the last one, or on an offer.
    pub(crate) fn on_deadline(
        &mut self,
        io: &mut TurnIo<'_>,
        limits: &Limits,
        now: Instant,
    ) -> NextStep {
        if now < self.deadline() {
            return NextStep::Keep;
        }
        if self.offer_due().is_some_and(|due| due <= now) {
            let error = "no offer came that could be answered";
            return self.refuse(io, RequestError::fixed(ErrorCode::OfferTimeout, error));
        }
        if self.pong_due.is_some() {
            return self.close(io, CloseCode::Policy, "no pong");
        }
        self.pong_due = Some(now + limits.pong_deadline);
        self.send(io, &Outgoing::Ping)
    }

    /// Ends the connection because the server ends; the media is not this server's to end.
    pub(crate) fn stop(&mut self, io: &mut TurnIo<'_>) {
        self.close(io, CloseCode::Away, "the server stops");
    }

    /// The client has resumed on another connection, to which the peer belongs now.
    pub(crate) fn close_resumed(&mut self, io: &mut TurnIo<'_>) -> NextStep {
        self.ends_peer = false;
        self.close(io, RESUMED_ELSEWHERE, "resumed on another connection")
    }

    /// Leaves the clients and, where that is called for, ends the media connection. Both may belong to a newer
    /// connection by now.
    pub(crate) fn leave(&mut self, context: &mut Context) {
        self.uncount_viewer(context);
        if context.clients.connection(self.id) != Some(self.key) {
            return;
        }
        context.clients.remove(self.id);
        if self.offered && self.ends_peer {
            context.engine.disconnect(self.id);
        }
        let Some(token) = &self.token else { return };
        match self.offered && !self.ends_peer {
            true => context.resumptions.lost(token, context.config.max_clients),
            false => context.resumptions.forget(token),
        }
    }

    /// Writes what is left; `WouldBlock` means: again when writable.
    pub(crate) fn flush(&mut self, io: &mut TurnIo<'_>) -> std::io::Result<()> {
        match self.socket.flush(io) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            Err(Error::Io(e)) => Err(e),
            Err(e) => Err(std::io::Error::other(e)),
        }
    }
}
