//! The thread `visavis-signal`: the listener, the connections, and what the engine and other threads have for them.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use visavis::Event;
use visavis::faults::FaultDomain;
use visavis::receiver::Receiver;
use visavis::status::Refusal;
use visavis_types::Shrink;

use super::connection::{Connection, Next};
use super::deadlines::Deadlines;
use super::http_connection::TOO_MANY_CONNECTIONS;
use crate::access::Source;
use crate::connection_limits::RemoteEnd;
use crate::context::Context;
use crate::error::RequestError;
use crate::http::routes::{FULL, Router};
use crate::mailbox::Post;
use crate::tls::Transport;
use crate::ws::session_events;

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
/// Something happened in the engine.
pub(super) const EVENTS: Token = Token(2);
/// Connections have the tokens from here on.
const FIRST_CONNECTION: usize = 3;

/// Connections accepted in one turn of the loop.
const ACCEPT_BUDGET: usize = 64;
/// Connections over a limit that still get a response; past them the socket is just closed.
const REFUSED_AT_ONCE: usize = 64;
/// Connections beyond those of visitors: for the HTTP API and for those who watch over the server.
const RESERVED: usize = 32;
/// How long to leave the listener alone when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long nothing has to fail before the log says that connections are accepted again. At the edge each connection that ends
/// makes room for one that waits, and the next fails: whoever comes and goes there must not fill the log.
const ACCEPT_CALM: Duration = Duration::from_secs(1);

/// Whether there may be connections to accept.
enum Accept {
    /// The poller reports its socket.
    Waiting,
    /// There may be more: the last turn's budget ended first.
    Now,
    /// The system could not hand one out; again at this time.
    At(Instant),
}

struct Entry {
    connection: Connection,
    /// It only gets the response that refuses it.
    refused: bool,
    /// Its entry in the order of idle connections.
    idle: Option<Instant>,
    /// Its entry in the order of deadlines.
    deadline: Option<Instant>,
}

/// What the loop receives from other threads.
pub(super) struct Inbox {
    pub(super) posts: crossbeam_channel::Receiver<Post>,
    /// That a peer has left.
    pub(super) left: Receiver<Event>,
    /// Session events, for clients that have subscribed to them.
    pub(super) session_events: Receiver<Event>,
}

/// Everything the thread owns.
pub(super) struct EventLoop {
    poll: Poll,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Arc<Router>,
    accept: Accept,
    /// When the last connection could not be accepted; logged, and not over yet.
    cannot_accept: Option<Instant>,
    connections: Slab<Entry>,
    deadlines: Deadlines,
    /// Connections that are closed where there are too many, by the time since when they have been idle.
    idle: Deadlines,
    /// Connections that only get the response that refuses them.
    refused: usize,
    /// Connections whose budget ended before their input did.
    runnable: Vec<usize>,
    inbox: Inbox,
    stop: Arc<AtomicBool>,
    pub(super) context: Context,
}

impl EventLoop {
    pub(super) fn new(
        poll: Poll,
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        router: Arc<Router>,
        inbox: Inbox,
        stop: Arc<AtomicBool>,
        context: Context,
    ) -> Self {
        Self {
            poll,
            listener,
            tls,
            router,
            accept: Accept::Waiting,
            cannot_accept: None,
            connections: Slab::new(),
            deadlines: Deadlines::default(),
            idle: Deadlines::default(),
            refused: 0,
            runnable: Vec::new(),
            inbox,
            stop,
            context,
        }
    }

    /// Runs until it is stopped.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(256);
        let mut outcome = Ok(());
        while !self.stop.load(Ordering::Acquire) {
            match self.poll.poll(&mut ready, self.timeout()) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
                Ok(()) => {}
            }
            #[cfg(debug_assertions)]
            self.context.engine.faults().panic_if_planted(FaultDomain::SignalingLoop);
            // One reading of the clock serves the whole turn.
            let now = Instant::now();
            let mut turn = std::mem::take(&mut self.runnable);
            for event in &ready {
                match event.token() {
                    LISTENER => self.accept = Accept::Now,
                    WAKER | EVENTS => {}
                    Token(token) => turn.push(token - FIRST_CONNECTION),
                }
            }
            turn.sort_unstable();
            turn.dedup();
            self.accept_some(now);
            for key in turn {
                self.visit(key, |connection, context| connection.turn(context, now));
            }
            self.close_resumed(now);
            // Answers before events, so that a peer's end follows its answer.
            self.read_posts(now);
            self.drain_events(now);
            self.context.sessions.on_deadline(now);
            let due: Vec<_> = self.deadlines.due(now).collect();
            for key in due {
                self.visit(key, |connection, context| connection.on_deadline(context, now));
            }
        }
        let now = Instant::now();
        for (_, entry) in &mut self.connections {
            entry.connection.stop(&mut self.context, now);
        }
        self.context.sessions.stop();
        outcome
    }

    fn timeout(&self) -> Option<Duration> {
        let pause = match self.accept {
            Accept::Waiting => None,
            Accept::Now => return Some(Duration::ZERO),
            Accept::At(at) => Some(at),
        };
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        let sessions = self.context.sessions.deadline();
        let next = pause.into_iter().chain(self.deadlines.next()).chain(sessions).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn accept_some(&mut self, now: Instant) {
        match self.accept {
            Accept::Waiting => return,
            Accept::At(at) if now < at => return,
            Accept::At(_) | Accept::Now => {}
        }
        self.accept = Accept::Now;
        for _ in 0..ACCEPT_BUDGET {
            match self.listener.accept() {
                Ok((socket, remote)) => {
                    if let Err(error) = self.admit(socket, remote.ip(), now) {
                        tracing::debug!(%remote, %error, "a connection was lost at its start");
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.accept = self.nobody_waits(now);
                    return;
                }
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.cannot_accept(&error, now);
                    self.accept = Accept::At(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Logs it once, however long it lasts.
    fn cannot_accept(&mut self, error: &io::Error, now: Instant) {
        let wrong = format!(
            "no connection can be accepted ({error}); where files are short, allow the process more of them (`ulimit \
             -n`, or `LimitNOFILE=` of its systemd unit)"
        );
        if self.cannot_accept.replace(now).is_none() {
            tracing::warn!("{wrong}; trying again, and saying so when it works");
        }
        self.context.engine.faults().set_wrong("accept", Some(wrong));
    }

    /// All who waited were accepted. Logs it where some could not be, once that is over.
    fn nobody_waits(&mut self, now: Instant) -> Accept {
        if let Some(failed) = self.cannot_accept {
            self.context.engine.faults().set_wrong("accept", None);
            let calm = failed + ACCEPT_CALM;
            if now < calm {
                return Accept::At(calm);
            }
            self.cannot_accept = None;
            tracing::info!("connections are accepted again");
        }
        Accept::Waiting
    }

    fn admit(&mut self, socket: TcpStream, remote: IpAddr, now: Instant) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let remote = remote.to_canonical();
        let source = (!self.router.access().trusts(remote)).then(|| Source::of(remote));
        if !self.count_connection(source, now) {
            self.context.refuse(Refusal::Connection);
            let client = RemoteEnd { remote, source: None, reserved: false };
            return self.refuse(socket, client, TOO_MANY_CONNECTIONS, now);
        }
        let mut client = RemoteEnd { remote, source, reserved: false };
        let most = self.context.config.limits.connections;
        if self.held() >= most {
            self.make_room(now);
        }
        let held = self.held();
        client.reserved = held >= most;
        if held >= most.saturating_add(RESERVED) {
            self.context.connections.remove(client.source.take());
            self.context.refuse(Refusal::Connection);
            return self.refuse(socket, client, FULL, now);
        }
        let transport = match Transport::new(socket, self.tls.as_ref()) {
            Ok(transport) => transport,
            Err(error) => {
                self.context.connections.remove(client.source);
                return Err(io::Error::other(error));
            }
        };
        let router = Arc::clone(&self.router);
        let or_media = self.context.engine.ice_tcp_port().is_some();
        let make = |key| Connection::new(transport, router, key, client, now).or_media(or_media);
        self.insert(make, false, now)
    }

    /// Refuses a connection, with a response where that costs little.
    fn refuse(
        &mut self,
        socket: TcpStream,
        client: RemoteEnd,
        error: RequestError,
        now: Instant,
    ) -> io::Result<()> {
        // A refusal through TLS would cost a handshake, which is what a flood wants.
        if self.tls.is_some() || self.refused >= REFUSED_AT_ONCE {
            return Ok(());
        }
        let transport = Transport::new(socket, None).map_err(io::Error::other)?;
        self.refused += 1;
        let router = Arc::clone(&self.router);
        let refused = |key| {
            let mut connection = Connection::new(transport, router, key, client, now);
            connection.refuse(&error.into());
            connection
        };
        self.insert(refused, true, now)
    }

    fn insert(
        &mut self,
        make: impl FnOnce(usize) -> Connection,
        refused: bool,
        now: Instant,
    ) -> io::Result<()> {
        let place = self.connections.vacant_entry();
        let key = place.key();
        let mut connection = make(key);
        let (token, both) =
            (Token(key + FIRST_CONNECTION), Interest::READABLE | Interest::WRITABLE);
        let registered = self.poll.registry().register(connection.socket(), token, both);
        place.insert(Entry { connection, refused, idle: None, deadline: None });
        self.visit(key, |connection, context| match registered {
            Ok(()) => connection.turn(context, now),
            Err(_) => Next::Done,
        });
        registered
    }

    /// Gives the engine a connection for media that came in here.
    fn hand_over(&self, connection: Connection) {
        let mut socket = connection.into_socket();
        if self.poll.registry().deregister(&mut socket).is_ok() {
            self.context.engine.take_connection(socket.into());
        }
    }

    /// Connections that count.
    fn held(&self) -> usize {
        self.connections.len() - self.refused
    }

    /// Closes the connection that has been idle for the longest time, so that connections which send nothing cannot keep
    /// out others.
    fn make_room(&mut self, now: Instant) {
        if let Some(key) = self.idle.first() {
            self.context.refuse(Refusal::Connection);
            self.visit(key, |connection, context| connection.close_idle(context, now));
        }
    }

    /// Counts a connection of a source; false where it has as many as it may. Browsers keep half a dozen connections in
    /// reserve, and of many visitors behind one address those would be all that it may have: they are closed.
    fn count_connection(&mut self, source: Option<Source>, now: Instant) -> bool {
        if self.context.connections.add(source, &self.context.config.limits) {
            return true;
        }
        let Some(source) = source else { return false };
        let is_spare = |&key: &usize| {
            self.connections.get(key).is_some_and(|entry| entry.connection.is_spare_of(source))
        };
        let Some(key) = self.idle.due(now).find(is_spare) else { return false };
        self.context.refuse(Refusal::Connection);
        self.visit(key, |connection, context| connection.close_idle(context, now));
        self.context.connections.add(Some(source), &self.context.config.limits)
    }

    /// Passes on the engine's events.
    fn drain_events(&mut self, now: Instant) {
        while let Ok(event) = self.inbox.left.try_recv() {
            let Event::PeerLeft { session, peer, reason, .. } = event else { continue };
            self.context.sessions.on_left(&session, now);
            self.context.whep.on_left(peer, reason);
            if let Some(key) = self.context.clients.connection(peer) {
                self.visit(key, |connection, context| connection.on_left(reason, context, now));
            }
            self.context.resumptions.forget_peer(peer);
        }
        while let Ok(event) = self.inbox.session_events.try_recv() {
            let Some((session, message)) = session_events::message(&event) else { continue };
            let wants = |(key, entry): (usize, &Entry)| {
                entry.connection.wants_events_of(session).then_some(key)
            };
            let keys: Vec<_> = self.connections.iter().filter_map(wants).collect();
            for key in keys {
                self.visit(key, |connection, context| {
                    connection.on_session_event(&message, context, now)
                });
            }
        }
    }

    /// Closes the connections whose clients have resumed on others.
    fn close_resumed(&mut self, now: Instant) {
        while let Some(key) = self.context.clients.next_resumed() {
            self.visit(key, |connection, context| connection.close_resumed(context, now));
        }
    }

    /// Passes on what other threads answer.
    fn read_posts(&mut self, now: Instant) {
        while let Ok(post) = self.inbox.posts.try_recv() {
            match post {
                Post::Respond(ticket, response) => self.visit(ticket.key, |connection, context| {
                    connection.on_response(ticket, *response, context, now)
                }),
                Post::Created(ticket, created) => {
                    let made = self.context.sessions.on_created(*created, now);
                    self.visit(ticket.key, |connection, context| {
                        connection.on_created(ticket, made, context, now)
                    });
                }
                // Where the place belongs to another connection now, it has a turn for nothing.
                Post::Room(ticket) => {
                    self.visit(ticket.key, |connection, context| connection.turn(context, now));
                }
                Post::Renegotiated(peer, ticket, answer) => {
                    if let Some(key) = self.context.clients.connection(peer) {
                        self.visit(key, |connection, context| {
                            connection.on_renegotiated(ticket, *answer, context, now)
                        });
                    }
                }
            }
        }
    }

    /// Lets a connection do something and keeps the books: its deadline, its next turn, its end.
    fn visit(&mut self, key: usize, action: impl FnOnce(&mut Connection, &mut Context) -> Next) {
        let Some(entry) = self.connections.get_mut(key) else { return };
        let (connection, context) = (&mut entry.connection, &mut self.context);
        // What one client sends costs at most its own connection.
        let faults = Arc::clone(context.engine.faults());
        let turn = || action(connection, context);
        let next = faults
            .guard(FaultDomain::Connection, &"a connection to the signaling server", turn)
            .unwrap_or(Next::Done);
        let (deadline, idle) = match next {
            Next::Done | Next::HandOver => (None, None),
            Next::Wait | Next::Again => {
                let deadline = entry.connection.deadline(&self.context.config.limits);
                (deadline, entry.connection.idle_since().filter(|_| !entry.refused))
            }
        };
        self.deadlines.replace(key, entry.deadline, deadline);
        self.idle.replace(key, entry.idle, idle);
        (entry.deadline, entry.idle) = (deadline, idle);
        match next {
            Next::Wait => {}
            Next::Again => self.runnable.push(key),
            Next::Done | Next::HandOver => {
                let mut entry = self.connections.remove(key);
                self.connections.shrink_if_mostly_empty();
                self.refused -= usize::from(entry.refused);
                entry.connection.end(&mut self.context);
                // Closing the socket takes it out of the poller as well.
                if next == Next::HandOver {
                    self.hand_over(entry.connection);
                }
            }
        }
    }
}
