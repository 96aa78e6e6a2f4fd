mod report;
mod tcp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use mio::{Events, Interest, Poll, Token, Waker};
use visavis_core::{Deadline, Hub, Outbox, Route, SessionKey};
use visavis_net::{MAX_PACKET_BYTES, ReceiveBuffers, TcpAcceptor, Timer, UdpEndpoint};
use visavis_types::{ClockAnchor, PeerId, Refusals, SessionId};

use crate::error::OfferError;
use crate::event::{Event, LeaveReason};
use crate::faults::{FaultDomain, Faults};
use crate::media::addresses::Addresses;
use crate::media::command::{Command, Control, Inputs, RemoteCandidate, SessionMedia};
use crate::media::connections::Connections;
use crate::media::egress::Egress;
use crate::media::ready_queue::ReadyQueue;
use crate::media::sending::Sending;
use crate::media::session::{Session, Surroundings};
use crate::media::waker::{MediaWaker, SessionWaker};
use crate::peer_link::PeerLink;
use crate::state::lifecycle::Lifecycle;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);
const TIMER: Token = Token(2);

/// Time spent on received datagrams before frames get their turn: a hundred handshakes at once, or a
/// flood, must not delay media that flows.
const RECEIVE_BUDGET: Duration = Duration::from_millis(2);

/// Time spent on commands of each kind before frames get their turn: an offer takes up to a millisecond. One is
/// always handled.
const COMMAND_BUDGET: Duration = Duration::from_millis(2);

/// Time spent on peers whose timers are due before frames get their turn: a thousand may be due at once.
const TIMER_BUDGET: Duration = Duration::from_millis(2);

/// Time spent on what follows before frames get their turn.
const EVENT_BUDGET: Duration = Duration::from_millis(2);

/// Time spent on sessions that have something to send before datagrams get their turn. A session that was not
/// looked at is the first one next time.
const SESSION_BUDGET: Duration = Duration::from_millis(10);

/// Events that may wait. While there are more, no datagrams are taken in: those make more of them.
const MAX_EVENTS: usize = 4_096;

/// What is read of one TCP connection before the others get their turn, and the beginning of a packet before it.
const TCP_BUFFER_BYTES: usize = 16 * 1024 + MAX_PACKET_BYTES;

/// A session whose turn has failed rests for so long: what has failed may fail again.
const FAULT_PAUSE: Duration = Duration::from_millis(50);

/// Time spent on messages for viewers before frames get their turn: one for hundreds of viewers takes
/// longer than a frame may wait.
const MESSAGE_BUDGET: Duration = Duration::from_millis(1);

/// When the loop is to be woken by its timer, and why: [`DeadlineReason::name`](visavis_core::DeadlineReason::name), or
/// `session` where one has something to send.
#[derive(Debug, Clone, Copy)]
struct Wakeup {
    at: Instant,
    reason: &'static str,
}

/// The sockets of a media loop.
pub(crate) struct MediaSockets {
    pub(crate) endpoint: UdpEndpoint,
    /// Where TCP connections come in, if any do.
    pub(crate) acceptor: Option<TcpAcceptor>,
    /// How many of these there may be.
    pub(crate) max_connections: usize,
    pub(crate) addresses: Addresses,
}

/// Owns the sockets and every peer. One turn of the loop: datagrams in, commands, frames and sound
/// out, timers, events; then sleep until something is due.
pub(crate) struct MediaLoop {
    /// Which of the engine's media loops this is.
    index: usize,
    poll: Poll,
    timer: Timer,
    buffers: ReceiveBuffers,
    /// What was read of a TCP connection.
    tcp_buffer: Box<[u8]>,
    egress: Egress,
    hub: Hub,
    inputs: Inputs,
    /// A message that has not gone to all of its viewers yet.
    sending: Option<Sending>,
    /// Indexed by [`SessionKey::index`].
    sessions: Vec<Option<Session>>,
    /// Which of them to look at.
    ready_queue: ReadyQueue,
    /// Reused: those that are looked at now, and those whose turn comes next, the last one first.
    due: Vec<usize>,
    /// Ids of peers that have left, for whoever counts them.
    departed: Arc<SegQueue<PeerId>>,
    /// The socket had more to give when its budget ended.
    readable: bool,
    /// Idle loops change pictures at moments counted from here.
    epoch: Instant,
    faults: Arc<Faults>,
    /// What the timer is armed for.
    next_wakeup: Option<Wakeup>,
    /// Peers that do not know of our latest addresses yet.
    outdated_peers: Vec<PeerId>,
}

impl MediaLoop {
    pub(crate) fn new(
        index: usize,
        MediaSockets { mut endpoint, acceptor, max_connections, addresses }: MediaSockets,
        clock: ClockAnchor,
        connect_timeout: Duration,
        inputs: Inputs,
        departed: Arc<SegQueue<PeerId>>,
        (faults, refusals): (Arc<Faults>, Arc<Refusals>),
    ) -> io::Result<(Self, MediaWaker)> {
        let poll = Poll::new()?;
        let mut timer = Timer::new()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut endpoint, SOCKET, interest)?;
        poll.registry().register(&mut timer, TIMER, Interest::READABLE)?;
        let connections = Connections::new(acceptor, max_connections, poll.registry())?;
        let ready_queue = ReadyQueue::default();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let waker = MediaWaker::new(waker, Arc::clone(ready_queue.ready()));
        let media_loop = Self {
            index,
            poll,
            timer,
            buffers: ReceiveBuffers::default(),
            tcp_buffer: vec![0; TCP_BUFFER_BYTES].into(),
            egress: Egress::new(endpoint, connections, addresses),
            hub: Hub::new(clock, connect_timeout, refusals),
            inputs,
            sending: None,
            sessions: Vec::new(),
            ready_queue,
            due: Vec::new(),
            departed,
            readable: false,
            epoch: Instant::now(),
            faults,
            next_wakeup: None,
            outdated_peers: Vec::new(),
        };
        Ok((media_loop, waker))
    }

    /// Runs until it is stopped.
    ///
    /// # Errors
    ///
    /// Where the system lets it wait for its socket no longer.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            self.sleep(&mut events)?;
            #[cfg(debug_assertions)]
            self.fail_on_purpose();
            for event in &events {
                match event.token() {
                    SOCKET => {
                        self.readable |= event.is_readable();
                        if event.is_writable() {
                            self.egress.sender.resume(&self.egress.endpoint);
                        }
                    }
                    TIMER => {
                        self.timer.acknowledge();
                        let reason = self.next_wakeup.map(|wakeup| wakeup.reason);
                        tracing::trace!(media_loop = self.index, reason, "woken by the timer");
                    }
                    WAKER => {}
                    token => {
                        let (readable, writable) = (event.is_readable(), event.is_writable());
                        let now = Instant::now();
                        self.egress.connections.ready(token, readable, writable, now);
                    }
                }
            }
            // Frames first: they are what latency is counted of.
            self.send_media();
            self.receive();
            self.receive_by_tcp();
            if !self.handle_commands() {
                return Ok(());
            }
            self.announce_addresses();
            self.send_messages();
            self.send_media();
            self.handle_due();
            self.report(Some(Instant::now() + EVENT_BUDGET));
        }
    }

    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let Inputs { control, commands, candidates, messages } = &self.inputs;
        let asked = !control.is_empty() || !commands.is_empty() || !candidates.is_empty();
        let messages = self.sending.is_some() || !messages.is_empty();
        let asked = asked || !self.outdated_peers.is_empty();
        let unfinished = !self.due.is_empty() || self.hub.waiting_events() > 0;
        let waiting = messages || asked || self.ready_queue.is_ready();
        let readable = self.readable || self.egress.connections.has_unread();
        let busy = readable || waiting || unfinished;
        let timeout = busy.then_some(Duration::ZERO);
        if !busy {
            let next = self.next_wakeup();
            self.timer.arm(next.map(|next| next.at), Instant::now())?;
            self.next_wakeup = next;
        }
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// What the loop is to be woken for, where nothing else does.
    fn next_wakeup(&self) -> Option<Wakeup> {
        let peers = self.hub.next_deadline();
        let peers = peers.map(|Deadline { at, reason }| Wakeup { at, reason: reason.name() });
        let sessions = self.ready_queue.next().map(|at| Wakeup { at, reason: "session" });
        let connections = self.egress.connections.next_sweep();
        let connections = connections.map(|at| Wakeup { at, reason: "connections" });
        [peers, sessions, connections].into_iter().flatten().min_by_key(|wakeup| wakeup.at)
    }

    // --- Datagrams in ---

    fn receive(&mut self) {
        if !self.readable || self.hub.waiting_events() > MAX_EVENTS {
            return;
        }
        // What is a peer's is caught with the peer; this is for what comes before that.
        let faults = Arc::clone(&self.faults);
        faults.guard(FaultDomain::Datagram, &"a datagram", || self.receive_some());
    }

    fn receive_some(&mut self) {
        let until = Instant::now() + RECEIVE_BUDGET;
        let Self { buffers, egress, hub, .. } = self;
        loop {
            let now = Instant::now();
            if now >= until {
                return; // The socket is edge-triggered: `readable` stays set.
            }
            let received = buffers.fill(&egress.endpoint);
            for datagram in buffers.datagrams() {
                let source = datagram.source;
                let source = SocketAddr::new(source.ip().to_canonical(), source.port());
                let at = egress.addresses.candidate_for(datagram.destination, source.ip());
                if let Some(at) = at {
                    hub.receive(now, Route::udp(at, source), datagram.contents, egress);
                }
            }
            match received {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "receiving from the media socket failed");
                    break;
                }
            }
        }
        self.readable = false;
    }

    // --- Frames and sound out ---

    /// Looks at the sessions that something was put into, or for which a moment has come.
    fn send_media(&mut self) {
        let Self { index, sessions, ready_queue, hub, egress, faults, epoch, due, .. } = self;
        let now = Instant::now();
        if due.is_empty() {
            ready_queue.take(now, due);
            due.reverse();
        }
        let until = now + SESSION_BUDGET;
        let mut around = Surroundings { index: *index, hub, egress, faults, epoch: *epoch };
        while let Some(place) = due.pop() {
            if let Some(Some(session)) = sessions.get_mut(place) {
                let turn = faults.attempt(FaultDomain::Session, || {
                    session.send(&mut around);
                    session.next_look()
                });
                let next = turn.unwrap_or_else(|why| {
                    let whose = &session.media.config.id;
                    faults.report(FaultDomain::Session, whose, &why);
                    Some(Instant::now() + FAULT_PAUSE)
                });
                ready_queue.set(session.key(), next);
            }
            if !due.is_empty() && Instant::now() >= until {
                return;
            }
        }
    }

    /// Handles the timers of peers that are due.
    fn handle_due(&mut self) {
        let until = Instant::now() + TIMER_BUDGET;
        loop {
            let now = Instant::now();
            if !self.hub.handle_due(now, &mut self.egress) || now >= until {
                return;
            }
        }
    }

    fn send_messages(&mut self) {
        let until = Instant::now() + MESSAGE_BUDGET;
        let Self { hub, egress, inputs: Inputs { messages, .. }, sending, .. } = self;
        loop {
            let next = sending.take().or_else(|| messages.try_recv().ok().map(Sending::new));
            let Some(mut next) = next else { return };
            let give = |peer, message, now| hub.send_data(peer, message, now, egress);
            if !next.proceed(until, give) {
                *sending = Some(next);
                return;
            }
        }
    }

    // --- Commands ---

    /// Handles what waits; false when the loop should end. Each thing is caught by itself.
    fn handle_commands(&mut self) -> bool {
        let faults = Arc::clone(&self.faults);
        let guard = |run: &mut dyn FnMut()| {
            faults.guard(FaultDomain::Command, &"a command to the media loop", run).is_some()
        };
        let mut now = Instant::now();
        let until = now + COMMAND_BUDGET;
        while let Ok(control) = self.inputs.control.try_recv() {
            if matches!(control, Control::Stop) {
                self.stop(now);
                return false;
            }
            let mut control = Some(control);
            guard(&mut || {
                control.take().into_iter().for_each(|control| self.control(control, now))
            });
            now = Instant::now();
            if now >= until {
                break;
            }
        }
        let until = now + COMMAND_BUDGET;
        while let Some(command) = self.inputs.commands.try_recv() {
            let newcomer = command.newcomer();
            let mut command = Some(command);
            let done = guard(&mut || {
                command.take().into_iter().for_each(|command| self.command(command, now))
            });
            if !done && let Some((peer, session)) = newcomer {
                guard(&mut || self.give_up(peer, &session, now));
            }
            now = Instant::now();
            if now >= until {
                return true;
            }
        }
        // Only now: each one's peer has come before it.
        while let Ok(candidate) = self.inputs.candidates.try_recv() {
            let RemoteCandidate { peer, candidate, link } = candidate;
            link.release_candidate();
            guard(&mut || self.hub.add_candidate(peer, &candidate, now, &mut self.egress));
            now = Instant::now();
            if now >= until {
                break;
            }
            now = Instant::now();
        }
        true
    }

    /// Announces our latest addresses to peers, a few at a time.
    fn announce_addresses(&mut self) {
        let until = Instant::now() + COMMAND_BUDGET;
        while let Some(peer) = self.outdated_peers.pop() {
            let Self { hub, egress, .. } = self;
            let addresses = egress.addresses.host_candidates();
            let now = Instant::now();
            hub.add_local_candidates(peer, &addresses, now, egress);
            if now >= until {
                return;
            }
        }
    }

    fn control(&mut self, control: Control, now: Instant) {
        match control {
            Control::AddSession(media) => self.add_session(*media, now),
            Control::RemoveSession { session, done } => {
                self.remove_session(&session, now);
                drop(done);
            }
            Control::Disconnect(peer) => self.hub.disconnect(peer, now, &mut self.egress),
            Control::SetAddresses(addresses) => {
                if addresses.candidates() != self.egress.addresses.candidates() {
                    self.outdated_peers = self.hub.peer_ids();
                }
                self.egress.addresses = addresses;
            }
            // Seen to by the caller, whose loop ends.
            Control::Stop => {}
        }
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Adopt { peer, session, link } => self.adopt(peer, &session, &link, now),
            Command::Renegotiate { peer, offer, permissions, reply } => {
                let answer = self.hub.renegotiate(peer, &offer, permissions, now, &mut self.egress);
                reply.send(match answer {
                    Some(Ok(answer)) => Ok(answer),
                    Some(Err(error)) => Err(error.into()),
                    None => Err(OfferError::PeerGone),
                });
            }
            Command::Connection(stream) => self.egress.connections.take_over(stream, now),
        }
    }

    /// Faults that tests have planted.
    #[cfg(debug_assertions)]
    fn fail_on_purpose(&mut self) {
        if self.faults.take_planted(FaultDomain::Peer) {
            self.hub.plant_fault();
        }
        self.faults.panic_if_planted(FaultDomain::MediaLoop);
    }

    fn add_session(&mut self, media: SessionMedia, now: Instant) {
        let config = &media.config;
        let session = (config.id.clone(), media.demand.session());
        let key = self.hub.add_session(session, config.playout_delay, now);
        let ladder = config.ladder();
        let there =
            (ladder.renditions(media.demand.session()), ladder.bitrates(config.followed_down_to()));
        self.hub.set_renditions(key, there, now);
        if self.sessions.len() <= key.index() {
            self.sessions.resize_with(key.index() + 1, || None);
        }
        self.ready_queue.enter(key, &media.waker);
        self.ready_queue.set(key, Some(now));
        self.sessions[key.index()] = Some(Session::new(key, media));
    }

    fn remove_session(&mut self, waker: &SessionWaker, now: Instant) {
        let Some(index) = waker.index() else { return };
        if let Some(session) = self.sessions.get_mut(index).and_then(Option::as_mut) {
            // It is counted as sent.
            session.send_sound(&mut self.hub, &mut self.egress);
            let key = session.key();
            self.hub.remove_session(key, now, &mut self.egress);
            self.report(None);
            self.ready_queue.leave(key, waker);
            self.sessions[index] = None;
        }
    }

    fn adopt(
        &mut self,
        peer: Box<visavis_core::Peer>,
        session: &Lifecycle,
        link: &PeerLink,
        now: Instant,
    ) {
        // Its removal may have overtaken it, and its session may have ended and another have its name.
        let adopted = match (link.is_leaving(), session.is_stopped()) {
            (true, _) => Err((peer, LeaveReason::Closed)),
            (false, true) => Err((peer, LeaveReason::Stopped)),
            (false, false) => {
                let adopted = self.hub.add_peer(peer, now, &mut self.egress);
                adopted.map_err(|orphan| (orphan, LeaveReason::Stopped))
            }
        };
        if let Err((orphan, reason)) = adopted {
            self.departed.push(orphan.id());
            let (session, peer) = (orphan.session().clone(), orphan.id());
            self.emit(&Event::PeerLeft { session, peer, reason });
        }
    }

    /// A peer that could not be taken in, whatever became of it, has left: it holds a place.
    fn give_up(&mut self, peer: PeerId, session: &SessionId, now: Instant) {
        if self.hub.peer_ids().contains(&peer) {
            self.hub.disconnect(peer, now, &mut self.egress);
        } else {
            self.departed.push(peer);
            let (session, reason) = (session.clone(), LeaveReason::Failed);
            self.emit(&Event::PeerLeft { session, peer, reason });
        }
    }

    fn stop(&mut self, now: Instant) {
        let all = self.sessions.iter().flatten();
        let all: Vec<_> = all.map(|session| session.media.waker.clone()).collect();
        for session in all {
            self.remove_session(&session, now);
        }
        self.egress.flush();
        let sent = self.egress.sender.counters();
        tracing::info!(?sent, "media loop stopped");
    }

    fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.index())?.as_mut()
    }

    fn media(&mut self, key: SessionKey) -> Option<&mut SessionMedia> {
        self.sessions.get_mut(key.index())?.as_mut().map(|session| &mut session.media)
    }

    fn emit(&self, event: &Event) {
        self.faults.emit(event);
    }
}
