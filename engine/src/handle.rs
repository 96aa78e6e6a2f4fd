use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, TrySendError, bounded};
use crossbeam_queue::SegQueue;
use visavis_core::{Certificate, DataGauge, TransportAddress};
use visavis_types::{ClockAnchor, PeerId, Refusal, Refusals, SessionId, UnixMillis};

use crate::audio::audio_loop::AudioCommand;
use crate::directory::Directory;
use crate::encoder::{Encoders, Installed};
use crate::event::{Event, Subscriber};
use crate::faults::{Faults, Health};
use crate::idle::encoder::IdleEncoder;
use crate::media::command::{Command, Control, DataSend, RemoteCandidate};
use crate::media::draining::DrainingSender;
use crate::media::waker::MediaWaker;
use crate::receiver::{self, Receiver};
use crate::session_entry::SessionEntry;
use crate::state::threads::Sleeper;
use crate::status::{NetworkSummary, RungSummary, SessionStatus, ViewerStatus};
use crate::utterance::{Utterance, UtteranceError};

/// Events that are kept for a subscriber at most, however many peers there may be.
const MAX_EVENT_ROOM: usize = 65_536;

/// What signaling needs of the engine: cheap to clone, callable from any thread, never waits.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    pub(crate) inner: Arc<Inner>,
}

/// What callers share. Of the engine's threads only upkeep takes the locks in here.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) loops: Vec<LoopHandle>,
    pub(crate) audio: AudioHandle,
    directory: Mutex<Directory<Arc<SessionEntry>>>,
    /// Peers that have left, and are to be taken out of the directory.
    departed: Arc<SegQueue<PeerId>>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) certificate: Certificate,
    pub(crate) clock: ClockAnchor,
    pub(crate) encoders: Installed,
    pub(crate) idle_encoder: IdleEncoder,
    pub(crate) max_peers: usize,
    ice_tcp_port: Option<u16>,
    event_capacity: usize,
    pub(crate) stopped: AtomicBool,
    pub(crate) faults: Arc<Faults>,
}

/// A media loop as others see it.
#[derive(Debug)]
pub(crate) struct LoopHandle {
    pub(crate) control: Sender<Control>,
    pub(crate) commands: DrainingSender<Command>,
    pub(crate) candidates_in: Sender<RemoteCandidate>,
    pub(crate) messages: Sender<DataSend>,
    pub(crate) waker: MediaWaker,
    /// Its ICE host candidates.
    pub(crate) candidates: ArcSwap<Vec<TransportAddress>>,
}

/// The audio loop as others see it.
#[derive(Debug)]
pub(crate) struct AudioHandle {
    pub(crate) commands: Sender<AudioCommand>,
    pub(crate) thread: Sleeper,
}

impl AudioHandle {
    /// Hands it a command; false where it has ended.
    pub(crate) fn send(&self, command: AudioCommand) -> bool {
        let sent = self.commands.send(command).is_ok();
        self.thread.wake();
        sent
    }
}

/// What an [`Inner`] is made of.
pub(crate) struct Parts {
    pub(crate) clock: ClockAnchor,
    pub(crate) encoders: Installed,
    pub(crate) idle_encoder: IdleEncoder,
    pub(crate) loops: Vec<LoopHandle>,
    pub(crate) audio: Sender<AudioCommand>,
    pub(crate) departed: Arc<SegQueue<PeerId>>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) certificate: Certificate,
    pub(crate) max_peers: usize,
    pub(crate) ice_tcp_port: Option<u16>,
    pub(crate) event_capacity: usize,
    pub(crate) faults: Arc<Faults>,
}

impl Inner {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            directory: Mutex::new(Directory::new(parts.loops.len())),
            loops: parts.loops,
            audio: AudioHandle { commands: parts.audio, thread: Sleeper::default() },
            departed: parts.departed,
            refusals: parts.refusals,
            certificate: parts.certificate,
            clock: parts.clock,
            encoders: parts.encoders,
            idle_encoder: parts.idle_encoder,
            max_peers: parts.max_peers,
            ice_tcp_port: parts.ice_tcp_port,
            event_capacity: parts.event_capacity,
            stopped: AtomicBool::new(false),
            faults: parts.faults,
        }
    }

    /// The session of this id. One that was stopped is not found any more, though its id is taken until it has ended.
    pub(crate) fn session(&self, id: &SessionId) -> Option<Arc<SessionEntry>> {
        let directory = self.directory_as_it_is();
        directory.session(id).filter(|entry| !entry.lifecycle().is_stopped()).cloned()
    }

    /// All sessions there are.
    pub(crate) fn sessions(&self) -> Vec<Arc<SessionEntry>> {
        self.directory_as_it_is().sessions().map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// Hands a command to a media loop, or gives it back.
    pub(crate) fn send(
        &self,
        media_loop: usize,
        command: Command,
    ) -> Result<(), (SendError, Box<Command>)> {
        let media_loop = match self.loops.get(media_loop) {
            Some(media_loop) if !self.stopped.load(Relaxed) => media_loop,
            _ => return Err((SendError::Stopped, Box::new(command))),
        };
        match media_loop.commands.try_send(command) {
            Ok(()) => {
                media_loop.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(command)) => Err((SendError::Busy, Box::new(command))),
            Err(TrySendError::Disconnected(command)) => {
                Err((SendError::Stopped, Box::new(command)))
            }
        }
    }

    /// Gives a media loop what it cannot refuse; false where it has ended.
    pub(crate) fn control(&self, media_loop: usize, control: Control) -> bool {
        let Some(media_loop) = self.loops.get(media_loop) else { return false };
        let sent = media_loop.control.send(control).is_ok();
        media_loop.waker.wake();
        sent
    }

    /// Gives each media loop one; false where one has ended.
    pub(crate) fn control_all(&self, all: impl IntoIterator<Item = Control>) -> bool {
        let sent = all.into_iter().enumerate().map(|(index, control)| self.control(index, control));
        sent.fold(true, |all, one| all & one)
    }

    /// Has every media loop close a session's peers; what comes back is disconnected when the last has.
    pub(crate) fn close_peers(&self, session: &SessionEntry) -> crossbeam_channel::Receiver<()> {
        let (done, finished) = bounded::<()>(1);
        for (index, waker) in session.media_loops().each().iter().enumerate() {
            let (session, done) = (waker.clone(), done.clone());
            self.control(index, Control::RemoveSession { session, done });
        }
        finished
    }

    /// Takes a session out, and returns when its peers are closed, or after `patience`.
    pub(crate) fn remove_session(&self, session: &Arc<SessionEntry>, patience: Duration) {
        let finished = {
            let mut directory = self.directory_as_it_is();
            directory.remove_session(&session.config().id, |other| Arc::ptr_eq(other, session));
            // Before its id is free: the loops are given no other of this id first.
            self.close_peers(session)
        };
        // Nothing is ever sent: when the last loop has dropped its end, the wait is over.
        let _ = finished.recv_timeout(patience);
    }

    /// Hands a message to a media loop.
    pub(crate) fn send_data(&self, media_loop: usize, send: DataSend) -> Result<(), SendError> {
        let media_loop = match self.loops.get(media_loop) {
            Some(media_loop) if !self.stopped.load(Relaxed) => media_loop,
            _ => return Err(SendError::Stopped),
        };
        media_loop.messages.try_send(send).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Busy,
            TrySendError::Disconnected(_) => SendError::Stopped,
        })?;
        media_loop.waker.wake();
        Ok(())
    }

    /// Which media loop a viewer of a session lives on, and what waits for it.
    pub(crate) fn viewer(
        &self,
        session: &SessionId,
        peer: PeerId,
    ) -> Option<(usize, Arc<DataGauge>)> {
        self.directory().viewer(session, peer)
    }

    /// All viewers of a session.
    pub(crate) fn viewers(&self, session: &SessionId) -> Vec<(PeerId, usize, Arc<DataGauge>)> {
        self.directory().viewers(session).collect()
    }

    /// All viewers of a session, by their ids.
    pub(crate) fn viewer_statuses(&self, session: &SessionId) -> Vec<ViewerStatus> {
        let mut viewers: Vec<_> = self.directory().viewer_statuses(session).collect();
        viewers.sort_unstable_by_key(|viewer| viewer.peer);
        viewers
    }

    /// The status of a session, its viewers' networks and what they get included.
    pub(crate) fn status(&self, session: &SessionEntry) -> SessionStatus {
        let mut status = session.status();
        let viewers: Vec<_> =
            self.directory_as_it_is().viewer_statuses(&session.config().id).collect();
        let networks: Vec<_> = viewers.iter().filter_map(|viewer| viewer.network).collect();
        status.networks = NetworkSummary::of(&networks);
        status.rungs = RungSummary::of(viewers.iter().filter_map(|viewer| viewer.picture));
        status
    }

    /// Peers that have left are forgotten at the next question about them; after a crowd there may be none.
    pub(crate) fn forget_departed(&self) {
        drop(self.directory());
    }

    /// The directory, the peers that have left taken out.
    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory<Arc<SessionEntry>>> {
        let mut directory = self.directory_as_it_is();
        while let Some(peer) = self.departed.pop() {
            directory.remove_peer(peer);
        }
        directory
    }

    /// The directory, for whom peers that have left do not matter.
    pub(crate) fn directory_as_it_is(&self) -> MutexGuard<'_, Directory<Arc<SessionEntry>>> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a command was not taken.
pub(crate) enum SendError {
    Busy,
    Stopped,
}

impl EngineHandle {
    /// Draws an id for a new peer.
    pub fn new_peer_id(&self) -> PeerId {
        // The standard library keys its hasher with randomness of the system: nobody outside can
        // tell the next number from the last.
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Relaxed);
        PeerId::from_raw(RandomState::new().hash_one(count))
    }

    /// Whether there is a session of this name.
    pub fn has_session(&self, session: &SessionId) -> bool {
        self.inner.session(session).is_some()
    }

    /// The names of all sessions there are, in order.
    pub fn session_ids(&self) -> Vec<SessionId> {
        let directory = self.inner.directory_as_it_is();
        let running = directory.sessions().filter(|(_, entry)| !entry.lifecycle().is_stopped());
        let mut ids: Vec<_> = running.map(|(id, _)| id.clone()).collect();
        drop(directory);
        ids.sort_unstable();
        ids
    }

    /// Whether a peer watches this session, or is about to: it was answered and has not left.
    pub fn has_peer(&self, session: &SessionId, peer: PeerId) -> bool {
        self.inner.viewer(session, peer).is_some()
    }

    /// The video encoders that sessions choose from.
    pub fn encoders(&self) -> &Encoders {
        self.inner.encoders.preferred()
    }

    /// Why this engine does not encode by NVENC. `None` where it does.
    pub fn without_nvenc(&self) -> Option<&str> {
        self.inner.encoders.without_nvenc()
    }

    /// Whether the engine has not been stopped, and none of its loops has ended by a fault.
    pub fn is_running(&self) -> bool {
        !self.inner.stopped.load(Relaxed) && !self.inner.faults.is_fatal()
    }

    /// Whether visitors can be sent here, and if not, why.
    pub fn health(&self) -> Health {
        let mut health = self.inner.faults.health();
        if self.inner.stopped.load(Relaxed) {
            health.wrong.push("the engine has stopped".to_owned());
        }
        health
    }

    /// The faults that were caught so far; also for what runs beside the engine, to count its own, and to be
    /// notified when the engine cannot go on ([`Faults::on_fatal`]).
    pub fn faults(&self) -> &Arc<Faults> {
        &self.inner.faults
    }

    /// [`EngineConfig::ice_tcp_port`](crate::EngineConfig::ice_tcp_port).
    pub fn ice_tcp_port(&self) -> Option<u16> {
        self.inner.ice_tcp_port
    }

    /// Takes a TCP connection over that was accepted elsewhere, at
    /// [`EngineConfig::ice_tcp_port`](crate::EngineConfig::ice_tcp_port). Its first bytes, which may have been peeked at but
    /// not read, are a connectivity check behind its length (RFC 4571): the first of them is below 16, which is where
    /// neither TLS nor HTTP begins. What is anything else is closed, and so is what there is no room for.
    pub fn take_connection(&self, stream: TcpStream) {
        let mut first = [0; 512];
        let length = stream.peek(&mut first).unwrap_or_default();
        let packet = first.get(2..length).unwrap_or_default();
        let media_loop = visavis_core::named_media_loop(packet).unwrap_or_default();
        if self.inner.send(media_loop, Command::Connection(stream)).is_err() {
            self.inner.refusals.count(Refusal::Connection);
        }
    }

    /// Closes a peer; an unknown one is ignored.
    pub fn disconnect(&self, peer: PeerId) {
        let lives_on = self.inner.directory().peer(peer);
        if let Some((media_loop, link)) = lives_on
            && link.leave()
        {
            self.inner.control(media_loop, Control::Disconnect(peer));
        }
    }

    /// Closes a peer, and gives its place away at once: for one that comes in its stead.
    pub fn replace(&self, peer: PeerId) {
        self.disconnect(peer);
        self.inner.directory().remove_peer(peer);
    }

    /// Begins an utterance in a session, as [`Session::begin_utterance`](crate::Session::begin_utterance)
    /// does.
    ///
    /// # Errors
    ///
    /// As there, and where there is no session of this name.
    pub fn begin_utterance(
        &self,
        session: &SessionId,
        zero: UnixMillis,
    ) -> Result<Utterance, UtteranceError> {
        self.inner.session(session).ok_or(UtteranceError::NoSession)?.begin_utterance(zero)
    }

    /// The state of a session, or `None` where there is none of this name.
    pub fn status(&self, session: &SessionId) -> Option<SessionStatus> {
        Some(self.inner.status(&*self.inner.session(session)?))
    }

    /// As [`Session::viewers`](crate::Session::viewers). Nobody where there is no session of this name.
    pub fn viewers(&self, session: &SessionId) -> Vec<ViewerStatus> {
        self.inner.viewer_statuses(session)
    }

    /// What was refused or dropped since the start, by kind, whoever sent it. Signaling counts in here too.
    pub fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    /// Events of all sessions, from now on.
    ///
    /// As many wait for whoever reads them as [`EngineConfig::event_capacity`](crate::EngineConfig::event_capacity) and
    /// [`EngineConfig::max_peers`](crate::EngineConfig::max_peers) are together, so that there is room for everybody
    /// leaving at once; further ones are dropped and [counted](Receiver::dropped).
    pub fn subscribe(&self) -> Receiver<Event> {
        self.subscribe_to(|_| true)
    }

    /// As [`subscribe`](Self::subscribe), but only events that are `wanted`. Others cost nothing, and take no room from
    /// those that matter: where many viewers speak, there are many [`Event::MicrophoneLevel`]s.
    ///
    /// `wanted` is called on the engine's own threads and must not block. A panic in it is caught, and the event is not
    /// given out.
    pub fn subscribe_to(
        &self,
        wanted: impl Fn(&Event) -> bool + Send + Sync + 'static,
    ) -> Receiver<Event> {
        // Everybody may leave at once: who reads meanwhile what else there is has room for that as well.
        let room = self.inner.event_capacity.saturating_add(self.inner.max_peers);
        let (events, receiver) = receiver::bounded(room.clamp(1, MAX_EVENT_ROOM));
        let subscriber = Subscriber { events, wanted: Arc::new(wanted) };
        self.inner.faults.subscribe(&subscriber);
        receiver
    }
}
