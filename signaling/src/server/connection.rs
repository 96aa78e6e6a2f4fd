//! One TCP connection, from accept to close: its phases, its output and its deadlines.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use visavis::event::LeaveReason;
use visavis::peer::{Answer, OfferError};
use visavis::session::SessionId;

use super::http_connection::{HttpConnection, Outcome, Waiting};
use crate::access::Source;
use crate::config::Limits;
use crate::connection_limits::RemoteEnd;
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::response::Response;
use crate::http::route::WebSocketRequest;
use crate::http::routes::Router;
use crate::io::{Output, READ_BUDGET_BYTES, TurnIo, ready};
use crate::mailbox::Ticket;
use crate::sessions::registry::CreateError;
use crate::tls::Transport;
use crate::ws::peer::{NextStep, WsPeer};
use crate::ws::protocol::Outgoing;

/// What serving a request takes out of the turn's budget, beside its bytes: a pipeline of tiny
/// requests is work too.
const REQUEST_COST_BYTES: usize = 4 << 10;

/// A packet's length begins below it: none has 4,096 bytes. TLS begins with 22 (RFC 8446 §5.1), HTTP with a letter.
const FIRST_OF_OTHERS: u8 = 16;

/// When a connection wants its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// When its socket is ready or its deadline has passed.
    Wait,
    /// At once: its budget ended before its input did, and the poller will not report it again.
    Again,
    /// Never: it is over.
    Done,
    /// Never: it is for the engine, as it is.
    HandOver,
}

/// One TCP connection, from accept to close.
pub(crate) struct Connection {
    transport: Transport,
    /// Its place in the loop.
    key: usize,
    /// Who is at the other end.
    client: RemoteEnd,
    /// Bytes that go out before anything else.
    output: Output,
    phase: Phase,
    /// Since when there has been output that the socket does not take.
    stalled_since: Option<Instant>,
    /// It may be one for media: nothing has come yet.
    may_be_media: bool,
}

enum Phase {
    Http {
        http: Box<HttpConnection>,
        waiting: Waiting,
        since: Instant,
    },
    WebSocket(Box<WsPeer>),
    /// What is left goes out, then the sending half is closed; after that input is thrown away
    /// until the client closes too. Closing at once with input unread would make the kernel reset
    /// the connection, and the client might lose the last answer.
    Closing {
        peer: Option<Box<WsPeer>>,
        until: Option<Instant>,
    },
}

impl Connection {
    pub(crate) fn new(
        transport: Transport,
        router: Arc<Router>,
        key: usize,
        client: RemoteEnd,
        now: Instant,
    ) -> Self {
        let waiting = match transport.is_handshaking() {
            true => Waiting::Handshake,
            false => Waiting::FirstRequest,
        };
        let phase =
            Phase::Http { http: Box::new(HttpConnection::new(router)), waiting, since: now };
        Self {
            transport,
            key,
            client,
            output: Output::default(),
            phase,
            stalled_since: None,
            may_be_media: false,
        }
    }

    /// Has it handed over where its first byte is that of a viewer's packets (RFC 4571).
    pub(crate) fn or_media(mut self, is_so: bool) -> Self {
        self.may_be_media = is_so;
        self
    }

    /// The socket, for somebody else.
    pub(crate) fn into_socket(self) -> mio::net::TcpStream {
        self.transport.into_socket()
    }

    /// Sends a response before anything was asked, and closes.
    pub(crate) fn refuse(&mut self, response: &Response) {
        self.output.push(&response.to_bytes(false, false));
        self.phase = Phase::Closing { peer: None, until: None };
    }

    /// The socket, to register it with a poller.
    pub(crate) fn socket(&mut self) -> &mut mio::net::TcpStream {
        self.transport.socket()
    }

    /// Goes as far as the socket and the turn's budget allow.
    pub(crate) fn turn(&mut self, context: &mut Context, now: Instant) -> Next {
        if self.may_be_media {
            match ready(self.transport.peek()) {
                Ok(None) => return Next::Wait,
                Ok(Some(Some(first))) if first < FIRST_OF_OTHERS => return Next::HandOver,
                Ok(Some(_)) | Err(_) => self.may_be_media = false,
            }
        }
        let mut budget = READ_BUDGET_BYTES;
        let result = self.advance(context, &mut budget, now);
        self.next(result, budget)
    }

    /// Passes on the engine's answer to a peer's later offer.
    pub(crate) fn on_renegotiated(
        &mut self,
        ticket: Ticket,
        answer: Result<Answer, OfferError>,
        context: &mut Context,
        now: Instant,
    ) -> Next {
        self.with_peer(context, now, |peer, io, context| {
            peer.on_renegotiated(io, ticket, answer, context, now)
        })
    }

    /// Closes it, because its client has resumed on another connection.
    pub(crate) fn close_resumed(&mut self, context: &mut Context, now: Instant) -> Next {
        self.with_peer(context, now, |peer, io, _| peer.close_resumed(io))
    }

    /// Passes on that the peer's media connection ended.
    pub(crate) fn on_left(
        &mut self,
        reason: LeaveReason,
        context: &mut Context,
        now: Instant,
    ) -> Next {
        self.with_peer(context, now, |peer, io, context| peer.on_left(io, reason, context, now))
    }

    /// Whether its client gets the events of a session.
    pub(crate) fn wants_events_of(&self, session: &SessionId) -> bool {
        matches!(&self.phase, Phase::WebSocket(peer) if peer.wants_events_of(session))
    }

    /// Sends its client an event of the session.
    pub(crate) fn on_session_event(
        &mut self,
        message: &Outgoing<'_>,
        context: &mut Context,
        now: Instant,
    ) -> Next {
        self.with_peer(context, now, |peer, io, _| peer.on_session_event(io, message))
    }

    /// When [`on_deadline`](Self::on_deadline) wants to be called.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Http { waiting, since, .. } => {
                waiting.patience(limits).map(|patience| *since + patience)
            }
            Phase::WebSocket(peer) => Some(peer.deadline()),
            Phase::Closing { until, .. } => *until,
        };
        let stall = self.stalled_since.map(|since| since + limits.write_deadline);
        phase.into_iter().chain(stall).min()
    }

    /// Does what time asks for.
    pub(crate) fn on_deadline(&mut self, context: &mut Context, now: Instant) -> Next {
        let limits = context.config.limits;
        if self.deadline(&limits).is_none_or(|at| now < at) {
            return Next::Wait;
        }
        if self.stalled_since.is_some_and(|since| now >= since + limits.write_deadline) {
            return Next::Done;
        }
        match &self.phase {
            Phase::Http { http, .. } if http.is_mid_request() => {
                let error = RequestError::fixed(ErrorCode::Timeout, "the request took too long");
                let response = Response::from(error).behind(http.prefix());
                self.output.push(&response.to_bytes(false, false));
                self.phase = Phase::Closing { peer: None, until: None };
                self.turn(context, now)
            }
            Phase::Http { .. } | Phase::Closing { .. } => Next::Done,
            Phase::WebSocket(_) => {
                self.with_peer(context, now, |peer, io, _| peer.on_deadline(io, &limits, now))
            }
        }
    }

    /// The server stops: a close frame where the protocol has one, as far as the socket takes it.
    pub(crate) fn stop(&mut self, context: &mut Context, now: Instant) {
        let _ = self.with_peer(context, now, |peer, io, _| {
            peer.stop(io);
            NextStep::Close
        });
    }

    /// Since when nothing useful has come of it: where places are short it is closed for another. A slow request
    /// is none yet, and a WebSocket is of use with its first offer.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Http { waiting: Waiting::Answer | Waiting::Upload, .. } => None,
            Phase::Http { since, .. } => Some(*since),
            Phase::WebSocket(peer) => peer.idle_since(),
            Phase::Closing { until, .. } => self.stalled_since.or(*until),
        }
    }

    /// Whether it counts for this source, has answered all that was asked, and is only kept for what may come next.
    pub(crate) fn is_spare_of(&self, source: Source) -> bool {
        let waits = matches!(self.phase, Phase::Http { waiting: Waiting::NextRequest, .. });
        waits && self.stalled_since.is_none() && self.client.source == Some(source)
    }

    /// Closes it while it is idle, to make room for another connection.
    pub(crate) fn close_idle(&mut self, context: &mut Context, now: Instant) -> Next {
        let _ = self.with_peer(context, now, |peer, io, _| peer.close_idle(io));
        Next::Done
    }

    /// Gives back what the connection held elsewhere.
    pub(crate) fn end(&mut self, context: &mut Context) {
        context.connections.remove(self.client.source.take());
        if let Phase::WebSocket(peer) = &mut self.phase {
            peer.leave(context);
        }
    }

    fn next(&self, result: io::Result<bool>, budget: usize) -> Next {
        match result {
            Ok(false) if budget == 0 => Next::Again,
            Ok(false) => Next::Wait,
            Ok(true) => Next::Done,
            Err(error) => {
                tracing::debug!(connection = self.key, %error, "connection ended");
                Next::Done
            }
        }
    }

    /// True when the connection is over.
    fn advance(
        &mut self,
        context: &mut Context,
        budget: &mut usize,
        now: Instant,
    ) -> io::Result<bool> {
        if let Phase::Http { .. } = self.phase {
            self.http(context, budget, now)?;
        }
        if let Phase::WebSocket(peer) = &mut self.phase {
            let mut io =
                TurnIo { transport: &mut self.transport, output: &mut self.output, budget };
            let next = peer.turn(&mut io, context, now);
            self.apply(next, context)?;
        }
        if let Phase::Closing { .. } = self.phase {
            return self.close(&context.config.limits, budget, now);
        }
        self.flush(now)?;
        Ok(false)
    }

    /// Reads and serves requests until input, budget or room for output ends, or HTTP does.
    fn http(&mut self, context: &mut Context, budget: &mut usize, now: Instant) -> io::Result<()> {
        let limits = context.config.limits;
        let mut served = false;
        while *budget > 0 {
            if self.output.len() >= limits.backlog_bytes && !self.flush(now)? {
                break;
            }
            let Phase::Http { http, .. } = &mut self.phase else { return Ok(()) };
            match http.step(self.key, &mut self.client, &mut self.output, context) {
                Outcome::Progress => {}
                Outcome::Served => {
                    *budget = budget.saturating_sub(REQUEST_COST_BYTES);
                    served = true;
                }
                Outcome::More => {
                    let (transport, output) = (&mut self.transport, &mut self.output);
                    let mut chunk = [0; 4 << 10];
                    match ready(TurnIo { transport, output, budget }.read(&mut chunk))? {
                        Some(0) => self.phase = Phase::Closing { peer: None, until: None },
                        Some(length) => {
                            http.push(chunk.get(..length).unwrap_or_default());
                            // Each byte of an upload extends the deadline; other bytes do not.
                            served |= http.waits_for() == Waiting::Upload;
                        }
                        None => break,
                    }
                }
                Outcome::Blocked => break,
                Outcome::Close => self.phase = Phase::Closing { peer: None, until: None },
                Outcome::Upgrade(response, request) => {
                    self.output.push(&response.to_bytes(false, true));
                    self.upgrade(request, context, budget, now)?;
                }
            }
        }
        let handshaking = self.transport.is_handshaking();
        if let Phase::Http { http, waiting, since } = &mut self.phase {
            let first = !served && matches!(waiting, Waiting::Handshake | Waiting::FirstRequest);
            let new = match (handshaking, http.waits_for()) {
                (true, _) => Waiting::Handshake,
                // The first request's time has been running since there was a connection.
                (false, Waiting::RestOfRequest | Waiting::NextRequest) if first => {
                    Waiting::FirstRequest
                }
                (false, other) => other,
            };
            if served || new != *waiting {
                (*waiting, *since) = (new, now);
            }
            // An idle connection of a proxy counts for no client until its next request names one.
            if new == Waiting::NextRequest && http.trusts(&self.client) {
                context.connections.remove(self.client.source.take());
            }
        }
        Ok(())
    }

    /// Starts the WebSocket; what arrived behind the request belongs to it.
    fn upgrade(
        &mut self,
        request: WebSocketRequest,
        context: &mut Context,
        budget: &mut usize,
        now: Instant,
    ) -> io::Result<()> {
        let closing = Phase::Closing { peer: None, until: None };
        let rest = match std::mem::replace(&mut self.phase, closing) {
            Phase::Http { http, .. } => http.into_rest(),
            _ => Vec::new(),
        };
        let mut peer = Box::new(WsPeer::new(rest, request, self.key, context, now));
        let (transport, output) = (&mut self.transport, &mut self.output);
        let next = peer.start(&mut TurnIo { transport, output, budget }, context);
        self.phase = Phase::WebSocket(peer);
        self.apply(next, context)
    }

    /// Gives a response that comes from another thread, and goes on with the next request.
    pub(crate) fn on_response(
        &mut self,
        ticket: Ticket,
        response: Response,
        context: &mut Context,
        now: Instant,
    ) -> Next {
        let Phase::Http { http, .. } = &mut self.phase else { return Next::Wait };
        let outcome = http.reply(ticket, response, &mut self.output);
        self.after_reply(outcome, context, now)
    }

    /// The session that this connection has requested (over HTTP, or for its visitor) was created, or failed.
    pub(crate) fn on_created(
        &mut self,
        ticket: Ticket,
        made: Result<SessionId, CreateError>,
        context: &mut Context,
        now: Instant,
    ) -> Next {
        if let Phase::WebSocket(_) = self.phase {
            return self.with_peer(context, now, |peer, io, context| {
                peer.on_created(io, ticket, made, context, now)
            });
        }
        let Phase::Http { http, .. } = &mut self.phase else { return Next::Wait };
        let outcome = http.on_created(ticket, made, &mut self.output, context);
        self.after_reply(outcome, context, now)
    }

    fn after_reply(
        &mut self,
        outcome: Option<Outcome>,
        context: &mut Context,
        now: Instant,
    ) -> Next {
        match outcome {
            None => return Next::Wait,
            Some(Outcome::Close) => self.phase = Phase::Closing { peer: None, until: None },
            Some(_) => {}
        }
        self.turn(context, now)
    }

    /// Runs something on the WebSocket peer, if there is one, and what follows from it.
    fn with_peer(
        &mut self,
        context: &mut Context,
        now: Instant,
        action: impl FnOnce(&mut WsPeer, &mut TurnIo<'_>, &mut Context) -> NextStep,
    ) -> Next {
        let Phase::WebSocket(peer) = &mut self.phase else { return Next::Wait };
        // Actions write; reading is for turns, so that their budget holds.
        let (transport, output) = (&mut self.transport, &mut self.output);
        let next = action(peer, &mut TurnIo { transport, output, budget: &mut 0 }, context);
        let mut budget = READ_BUDGET_BYTES;
        let result = self.apply(next, context).and_then(|()| match self.phase {
            Phase::Closing { .. } => self.close(&context.config.limits, &mut budget, now),
            _ => self.flush(now).map(|_| false),
        });
        self.next(result, budget)
    }

    fn apply(&mut self, next: NextStep, context: &mut Context) -> io::Result<()> {
        match next {
            NextStep::Keep => Ok(()),
            NextStep::Gone => Err(ErrorKind::ConnectionAborted.into()),
            NextStep::Close => {
                self.end(context);
                let closing = Phase::Closing { peer: None, until: None };
                if let Phase::WebSocket(peer) = std::mem::replace(&mut self.phase, closing) {
                    self.phase = Phase::Closing { peer: Some(peer), until: None };
                }
                Ok(())
            }
        }
    }

    /// True when the connection is over.
    fn close(&mut self, limits: &Limits, budget: &mut usize, now: Instant) -> io::Result<bool> {
        if let Phase::Closing { until: None, .. } = self.phase {
            if !self.flush(now)? {
                return Ok(false);
            }
            if ready(self.transport.close_sending())?.is_none() {
                self.stalled_since.get_or_insert(now);
                return Ok(false);
            }
            self.phase = Phase::Closing { peer: None, until: Some(now + limits.linger) };
        }
        let mut scratch = [0; 8 << 10];
        while *budget > 0 {
            match ready(self.transport.discard(&mut scratch))? {
                Some(0) => return Ok(true),
                Some(length) => *budget = budget.saturating_sub(length),
                None => break,
            }
        }
        Ok(false)
    }

    /// Writes what is left; true when there is nothing left.
    fn flush(&mut self, now: Instant) -> io::Result<bool> {
        let (transport, output) = (&mut self.transport, &mut self.output);
        let mut io = TurnIo { transport, output, budget: &mut 0 };
        let result = match &mut self.phase {
            Phase::WebSocket(peer) | Phase::Closing { peer: Some(peer), .. } => peer.flush(&mut io),
            _ => io.flush(),
        };
        let done = ready(result)?.is_some();
        self.stalled_since = match done {
            true => None,
            false => Some(self.stalled_since.unwrap_or(now)),
        };
        Ok(done)
    }
}
