use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use visavis::{EngineHandle, Event, FaultDomain, Refusal, Shrink};

use crate::access::Source;
use crate::connection::{Connection, Context, Next, OfferReply};
use crate::deadlines::Deadlines;
use crate::error::ErrorCode;
use crate::exchange::TOO_MANY_CONNECTIONS;
use crate::http::{Response, Routes};
use crate::mailbox::{Mailbox, Post};
use crate::places::{Budgets, Client, Places};
use crate::sessions::Registry;
use crate::tls::{self, Transport};
use crate::ws::notice;
use crate::{SignalingConfig, SignalingError};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// Connections have the tokens from here on.
const FIRST_CONNECTION: usize = 2;

/// Connections accepted in one turn of the loop.
const ACCEPT_BUDGET: usize = 64;
/// Connections over a limit that are still told so; past them the socket is just closed.
const REFUSED_AT_ONCE: usize = 64;
/// Connections beyond those of visitors: for the HTTP API and for those who watch over the server.
const RESERVED: usize = 32;
/// How long to leave the listener alone when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running signaling server. Dropping it stops it.
#[derive(Debug)]
pub struct SignalingServer {
    addr: SocketAddr,
    scheme: &'static str,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    certificates: Option<tls::Watch>,
}

impl SignalingServer {
    /// Opens the port and starts the thread `visavis-signal`.
    ///
    /// # Errors
    /// Where the port is taken, a TLS file cannot be used or the system refuses a thread.
    pub fn start(config: SignalingConfig, engine: EngineHandle) -> Result<Self, SignalingError> {
        let tls = config.tls.as_ref().map(tls::server_config).transpose()?;
        let (tls, certificates) = tls.unzip();
        let bind = |source| SignalingError::Bind { addr: config.listen, source };
        let mut listener = TcpListener::bind(config.listen).map_err(bind)?;
        let addr = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };

        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (replies_in, replies) = crossbeam_channel::unbounded();
        let wake = || {
            let waker = waker.clone();
            move || drop(waker.wake())
        };
        let left = |event: &Event| matches!(event, Event::PeerLeft { .. });
        let events = engine.subscribe_to(left, wake());
        // A channel of their own: much talk takes no room from goodbyes.
        let notices = engine.subscribe_to(notice::is_wanted, wake());
        let (posts_in, posts) = crossbeam_channel::unbounded();
        let routes = Arc::new(Routes::new(&config, addr.port())?);
        let mailbox = Mailbox::new(posts_in, waker.clone());
        let sessions = Registry::start(config.api.clone(), &engine, &mailbox)?;
        let server = Loop {
            poll,
            listener,
            tls,
            accept: Accept::Waiting,
            cannot_accept: false,
            connections: Slab::new(),
            deadlines: Deadlines::default(),
            idle: Deadlines::default(),
            refused: 0,
            runnable: Vec::new(),
            replies,
            posts,
            events,
            notices,
            stop: stop.clone(),
            context: Context {
                budgets: Budgets::new(&config.limits),
                places: Places::default(),
                seated: 0,
                config,
                engine,
                routes,
                sessions,
                clients: Default::default(),
                superseded: Vec::new(),
                resumptions: Default::default(),
                random: rustls::crypto::aws_lc_rs::default_provider().secure_random,
                offers: 0,
                replies: replies_in,
                waker: waker.clone(),
                mailbox,
                whep: Default::default(),
                uploads: Default::default(),
                tickets: 0,
            },
        };
        let thread =
            std::thread::Builder::new().name("visavis-signal".to_owned()).spawn(move || {
                let faults = Arc::clone(server.context.engine.faults());
                faults.run_loop(FaultDomain::SignalingLoop, || server.run());
            })?;
        tracing::info!(%addr, scheme, "signaling is up");
        Ok(Self { addr, scheme, stop, waker, thread: Some(thread), certificates })
    }

    /// The TCP address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Has the certificate's files read again soon, as it is done within two seconds when they have changed. New
    /// handshakes get the new certificate, and nobody is disturbed. What cannot be used is said in the log, and the
    /// one before stays. Without TLS there is nothing to do.
    pub fn reload_certificates(&self) {
        self.certificate_reloader()();
    }

    /// [`reload_certificates`](Self::reload_certificates) for another thread, as one that waits for signals.
    pub fn certificate_reloader(&self) -> impl Fn() + Send + Sync + use<> {
        let reload = self.certificates.as_ref().map(tls::Watch::reloader);
        move || {
            if let Some(reload) = &reload {
                reload();
            }
        }
    }

    /// The player page, as a browser on this machine can open it.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        // Browsers take `localhost`, and not the number, for a place where a microphone is allowed
        // without a certificate that names it.
        match addr.ip().is_loopback() {
            true => format!("{}://localhost:{}/", self.scheme, addr.port()),
            false => format!("{}://{addr}/", self.scheme),
        }
    }

    /// Closes every connection, ends the sessions that were made over HTTP and joins the threads. Media
    /// of other sessions goes on flowing: it is the engine's to end.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if thread.join().is_err() {
            tracing::error!("the signaling thread panicked");
        }
    }
}

impl Drop for SignalingServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Whether there may be connections to accept.
enum Accept {
    /// The poller will say so.
    Waiting,
    /// There may be more: the last turn's budget ended first.
    Now,
    /// The system could not hand one out; again at this time.
    At(Instant),
}

struct Entry {
    connection: Connection,
    /// It is only told that there is no place for it.
    refused: bool,
    /// Its entry in the order of idle connections.
    idle: Option<Instant>,
    /// Its entry in the order of deadlines.
    deadline: Option<Instant>,
}

/// Everything the thread owns.
struct Loop {
    poll: Poll,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    accept: Accept,
    /// Said, and not over yet.
    cannot_accept: bool,
    connections: Slab<Entry>,
    deadlines: Deadlines,
    /// Connections that are closed where places are short, by the time since when they have been idle.
    idle: Deadlines,
    /// Connections that are only told that there is no place for them.
    refused: usize,
    /// Connections whose budget ended before their input did.
    runnable: Vec<usize>,
    replies: Receiver<OfferReply>,
    posts: Receiver<Post>,
    events: Receiver<Event>,
    /// What happens in sessions, for those who watch them.
    notices: Receiver<Event>,
    stop: Arc<AtomicBool>,
    context: Context,
}

impl Loop {
    /// Runs until told to stop.
    fn run(mut self) -> io::Result<()> {
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
                    WAKER => {}
                    Token(token) => turn.push(token - FIRST_CONNECTION),
                }
            }
            turn.sort_unstable();
            turn.dedup();
            self.accept_some(now);
            for key in turn {
                self.visit(key, |connection, context| connection.turn(context, now));
            }
            self.end_superseded(now);
            self.hear_engine(now);
            self.read_posts(now);
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
                    self.descriptors_are_back();
                    if let Err(error) = self.admit(socket, remote.ip(), now) {
                        tracing::debug!(%remote, %error, "a connection was lost at its start");
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.accept = Accept::Waiting;
                    return;
                }
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.cannot_accept(&error);
                    self.accept = Accept::At(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Says so once, however long it lasts.
    fn cannot_accept(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.cannot_accept, true) {
            let wrong = format!(
                "no connection can be accepted ({error}); where files are short, allow the process more of \
                 them (`ulimit -n`, or `LimitNOFILE=` of its systemd unit)"
            );
            tracing::warn!("{wrong}; trying again, and saying so when it works");
            self.context.engine.faults().set_wrong("accept", Some(wrong));
        }
    }

    fn descriptors_are_back(&mut self) {
        if std::mem::take(&mut self.cannot_accept) {
            tracing::info!("connections are accepted again");
            self.context.engine.faults().set_wrong("accept", None);
        }
    }

    fn admit(&mut self, socket: TcpStream, remote: IpAddr, now: Instant) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let remote = remote.to_canonical();
        let access = self.context.routes.access();
        let source = (!access.trusts(remote)).then(|| Source::of(remote));
        if !self.take_place(source, now) {
            self.context.refuse(Refusal::Connection);
            let client = Client { remote, source: None, reserved: false };
            return self.turn_away(socket, client, &TOO_MANY_CONNECTIONS.into(), now);
        }
        let mut client = Client { remote, source, reserved: false };
        let most = self.context.config.limits.connections;
        if self.held() >= most {
            self.make_room(now);
        }
        let held = self.held();
        client.reserved = held >= most;
        if held >= most.saturating_add(RESERVED) {
            self.context.places.give_back(client.source.take());
            self.context.refuse(Refusal::Connection);
            let detail = "too many connections; try again later";
            return self.turn_away(
                socket,
                client,
                &Response::problem(ErrorCode::Full, detail),
                now,
            );
        }
        let transport = match Transport::new(socket, self.tls.as_ref()) {
            Ok(transport) => transport,
            Err(error) => {
                self.context.places.give_back(client.source);
                return Err(io::Error::other(error));
            }
        };
        self.insert(|key| Connection::new(transport, key, client, now), false, now)
    }

    /// Says that there is no place.
    fn turn_away(
        &mut self,
        socket: TcpStream,
        client: Client,
        response: &Response,
        now: Instant,
    ) -> io::Result<()> {
        // A refusal through TLS would cost a handshake, which is what a flood wants.
        if self.tls.is_some() || self.refused >= REFUSED_AT_ONCE {
            return Ok(());
        }
        let transport = Transport::new(socket, None).map_err(io::Error::other)?;
        self.refused += 1;
        self.insert(|key| Connection::refused(transport, key, client, response, now), true, now)
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

    /// Connections that have a place.
    fn held(&self) -> usize {
        self.connections.len() - self.refused
    }

    /// Closes the connection that has been idle for the longest time: whoever opens many and sends nothing takes
    /// no place away from those who have something to ask.
    fn make_room(&mut self, now: Instant) {
        if let Some(key) = self.idle.first() {
            self.context.refuse(Refusal::Connection);
            self.visit(key, |connection, context| connection.evict(context, now));
        }
    }

    /// Takes a place for a source; false where it has as many as it may. Browsers keep half a dozen connections in
    /// reserve, and of many visitors behind one address those would be all that it may have: they make way.
    fn take_place(&mut self, source: Option<Source>, now: Instant) -> bool {
        if self.context.places.take(source, &self.context.config.limits) {
            return true;
        }
        let Some(source) = source else { return false };
        let is_spare = |&key: &usize| {
            self.connections.get(key).is_some_and(|entry| entry.connection.is_spare_of(source))
        };
        let Some(key) = self.idle.due(now).find(is_spare) else { return false };
        self.context.refuse(Refusal::Connection);
        self.visit(key, |connection, context| connection.evict(context, now));
        self.context.places.take(Some(source), &self.context.config.limits)
    }

    /// Passes on what the engine has to say: replies first, so that a peer's end follows them.
    fn hear_engine(&mut self, now: Instant) {
        while let Ok((peer, number, answer)) = self.replies.try_recv() {
            if let Some(&key) = self.context.clients.get(&peer) {
                self.visit(key, |connection, context| {
                    connection.on_offer_reply(number, answer, context, now)
                });
            }
        }
        while let Ok(event) = self.events.try_recv() {
            let Event::PeerLeft { session, peer, reason } = event else { continue };
            self.context.sessions.on_left(&session, now);
            self.context.whep.on_left(peer, reason);
            if let Some(&key) = self.context.clients.get(&peer) {
                self.visit(key, |connection, context| connection.on_left(reason, context, now));
            }
            self.context.resumptions.forget_peer(peer);
        }
        while let Ok(event) = self.notices.try_recv() {
            let Some((session, notice)) = notice::of(&event) else { continue };
            let told =
                |(key, entry): (usize, &Entry)| entry.connection.is_told_of(session).then_some(key);
            let told: Vec<_> = self.connections.iter().filter_map(told).collect();
            for key in told {
                self.visit(key, |connection, context| connection.on_notice(&notice, context, now));
            }
        }
    }

    /// Ends the connections whose clients have come back on others.
    fn end_superseded(&mut self, now: Instant) {
        while let Some(key) = self.context.superseded.pop() {
            self.visit(key, |connection, context| connection.supersede(context, now));
        }
    }

    /// Passes on what other threads have to say to requests.
    fn read_posts(&mut self, now: Instant) {
        while let Ok(post) = self.posts.try_recv() {
            match post {
                Post::Reply(ticket, response) => self.visit(ticket.key, |connection, context| {
                    connection.on_reply(ticket, *response, context, now)
                }),
                Post::Created(created) => {
                    let (ticket, made) = self.context.sessions.on_created(*created, now);
                    self.visit(ticket.key, |connection, context| {
                        connection.on_session(ticket, made, context, now)
                    });
                }
                // Where the place belongs to another connection now, it has a turn for nothing.
                Post::Room(ticket) => {
                    self.visit(ticket.key, |connection, context| connection.turn(context, now));
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
            Next::Done => (None, None),
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
            Next::Done => {
                let mut entry = self.connections.remove(key);
                self.connections.shrink_if_mostly_empty();
                self.refused -= usize::from(entry.refused);
                entry.connection.end(&mut self.context);
                // Closing the socket takes it out of the poller as well.
            }
        }
    }
}
