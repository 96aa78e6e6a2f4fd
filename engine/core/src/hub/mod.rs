//! All peers and sessions of one media loop.

mod addresses;
mod arrivals;
mod event;
mod fan_out;
mod keyframes;
mod renditions;
mod sent;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use str0m::RtcError;
use visavis_types::{
    AudioRenditionSet, ClockAnchor, PeerId, PeerPermissions, PlayoutDelay, Refusal, Refusals,
    RenditionId, RenditionSet, SessionId, SessionNumber, Shrink, catch_panic,
};

use crate::deadline::{Deadline, DeadlineReason, Deadlines};
use crate::demux::{Demux, SentCheck};
use crate::entropy::Entropy;
use crate::peer::Peer;
use crate::peer::close_reason::CloseReason;
use crate::peer::data::OutgoingMessage;
use crate::peer::event::{Arrival, PeerEvent};
use crate::peer::path::candidates::{Verdict, parse_candidate};
use crate::rendition::{KeyframeReason, Step};
use crate::sdp::{NegotiateError, Offer};
use crate::session::SessionState;
use crate::session_key::SessionKey;
use crate::transport::{Outbox, Route};
pub use event::HubEvent;
use event::of_data;
pub use sent::FrameSent;

/// Peers whose timers are handled in one call of [`Hub::handle_due`].
const DUE_AT_ONCE: usize = 16;

/// Logged once, of the first of them.
const RSA_CERTIFICATE: &str = "a viewer's DTLS certificate is RSA, and only ECDSA certificates are taken: such viewers \
    are refused. GStreamer's webrtcbin has one, older WebKitGTK, and pages that ask generateCertificate() for it; \
    have it use ECDSA with P-256, or build with the feature `openssl`";

/// All peers and sessions of one media loop. See the [crate docs](crate) for how it is driven.
#[derive(Debug)]
pub struct Hub {
    clock: ClockAnchor,
    connect_timeout: Duration,
    sessions: Slab<SessionState>,
    /// An index of the sessions on this loop, for the offers that name one. Which sessions there are is decided outside:
    /// a session is in here from [`add_session`](Self::add_session) to [`remove_session`](Self::remove_session).
    session_by_id: HashMap<SessionId, SessionKey>,
    /// Not boxed: their fan-out waits for memory more than for anything else of ours, and less where they lie together.
    peers: Slab<Peer>,
    peer_by_id: HashMap<PeerId, usize>,
    demux: Demux,
    deadlines: Deadlines,
    /// Renditions with a keyframe request that waits for its time.
    waiting_keyframes: Vec<(SessionKey, RenditionId)>,
    events: VecDeque<HubEvent>,
    refusals: Arc<Refusals>,
    scratch: Vec<PeerEvent>,
    /// Peers that a fan-out has failed for.
    faulty: Vec<(usize, String)>,
    /// What a viewer can be sent; reused.
    steps: Vec<Step>,
    /// The next turn of a peer panics: for tests, which release builds have nothing of.
    #[cfg(debug_assertions)]
    fault_planted: bool,
    entropy: Entropy,
}

impl Hub {
    /// An empty hub. `clock` ties media time to the wall clock in sender reports and capture times; what
    /// is refused is counted in `refusals`.
    pub fn new(clock: ClockAnchor, connect_timeout: Duration, refusals: Arc<Refusals>) -> Self {
        Self {
            clock,
            connect_timeout,
            sessions: Slab::new(),
            session_by_id: HashMap::new(),
            peers: Slab::new(),
            peer_by_id: HashMap::new(),
            demux: Demux::default(),
            deadlines: Deadlines::default(),
            waiting_keyframes: Vec::new(),
            events: VecDeque::new(),
            refusals,
            scratch: Vec::new(),
            faulty: Vec::new(),
            steps: Vec::new(),
            #[cfg(debug_assertions)]
            fault_planted: false,
            entropy: Entropy::default(),
        }
    }

    /// Takes what has happened since the last call, one by one.
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        let event = self.events.pop_front();
        self.events.shrink_if_mostly_empty();
        event
    }

    /// How much has happened that was not taken yet.
    pub fn waiting_events(&self) -> usize {
        self.events.len()
    }

    /// When [`handle_due`](Self::handle_due) should be called next, and why.
    pub fn next_deadline(&self) -> Option<Deadline> {
        let of_peers = self.deadlines.peek().map(|(at, key)| {
            let own = self.peers.get(key).and_then(Peer::next_deadline);
            own.filter(|own| own.at == at).unwrap_or(Deadline { at, reason: DeadlineReason::Moved })
        });
        let of_renditions = self.waiting_keyframes.iter().map(|&(session, rendition)| {
            let state = self.sessions.get(session.index());
            let rendition = state.and_then(|state| state.renditions.get(rendition));
            let at = rendition.and_then(|rendition| rendition.keyframes.due())?;
            Some(Deadline { at, reason: DeadlineReason::Keyframe })
        });
        Deadline::earliest(std::iter::once(of_peers).chain(of_renditions))
    }

    /// What was refused, by kind.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Peers, connected or not yet.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    // --- Sessions ---

    /// Adds a session; its name must be new here. Its number is the same on all media loops.
    pub fn add_session(
        &mut self,
        (id, number): (SessionId, SessionNumber),
        playout_delay: PlayoutDelay,
        now: Instant,
    ) -> SessionKey {
        let state = SessionState::new((id.clone(), number), playout_delay, now);
        let key = SessionKey::new(self.sessions.insert(state));
        self.session_by_id.insert(id, key);
        key
    }

    /// Removes a session, and closes the connections of its peers.
    pub fn remove_session(&mut self, key: SessionKey, now: Instant, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.index()) else {
            return;
        };
        // All at once: each that leaves a session has all the others looked at, and there may be a thousand.
        for peer in std::mem::take(&mut session.peers) {
            self.turn(peer, now, out, |peer| peer.close(CloseReason::SessionEnded));
            // A close that could not be drained at once is not waited for.
            self.remove_peer(peer, CloseReason::SessionEnded);
        }
        let session = self.sessions.remove(key.index());
        // Another of this name may have come already.
        if self.session_by_id.get(&session.id) == Some(&key) {
            self.session_by_id.remove(&session.id);
        }
        self.waiting_keyframes.retain(|(waiting, _)| *waiting != key);
    }

    // --- Peers ---

    /// Adds a new peer, which begins to connect.
    ///
    /// # Errors
    ///
    /// Gives it back where its session is gone.
    pub fn add_peer(
        &mut self,
        mut peer: Box<Peer>,
        now: Instant,
        out: &mut impl Outbox,
    ) -> Result<(), Box<Peer>> {
        let Some(&session) = self.session_by_id.get(peer.session()) else {
            return Err(peer);
        };
        peer.session_key = session;
        peer.start_connecting(now + self.connect_timeout);
        self.refusals.count_many(Refusal::Candidate, peer.take_refused_candidates());
        let (id, ufrag) = (peer.id(), peer.ufrag().to_owned());
        let key = self.peers.insert(*peer);
        self.demux.add_ufrag(&mut self.peers[key].registration, key, &ufrag);
        self.peer_by_id.insert(id, key);
        self.sessions[session.index()].peers.push(key);
        self.choose_rendition(key, now);
        self.update_active(session);
        self.turn(key, now, out, |peer| peer.handle_timeout(now));
        Ok(())
    }

    /// Answers a later offer of a peer, or `None` where there is no such peer. With `permissions` they are these from
    /// now on.
    pub fn renegotiate(
        &mut self,
        id: PeerId,
        offer: &Offer,
        permissions: Option<PeerPermissions>,
        now: Instant,
        out: &mut impl Outbox,
    ) -> Option<Result<String, NegotiateError>> {
        let key = *self.peer_by_id.get(&id)?;
        let peer = self.peers.get_mut(key)?;
        if !peer.admit_offer(now) {
            self.refusals.count(Refusal::Offer);
            return Some(Err(NegotiateError::TooManyOffers));
        }
        let mut answer = None;
        self.turn(key, now, out, |peer| {
            answer = Some(peer.renegotiate(offer, permissions));
            peer.handle_timeout(now)
        });
        if let Some(peer) = self.peers.get_mut(key) {
            let (ufrag, session) = (peer.ufrag().to_owned(), peer.session_key);
            self.refusals.count_many(Refusal::Candidate, peer.take_refused_candidates());
            self.demux.add_ufrag(&mut peer.registration, key, &ufrag);
            self.choose_rendition(key, now);
            self.update_active(session);
            // Pictures that were added or taken up again begin with one; who joins asks when it has joined.
            if self.peers[key].is_connected() && self.peers[key].awaits_keyframe() {
                self.want_keyframe(key, now);
            }
        }
        answer
    }

    /// Adds a remote candidate (its syntax checked before, with
    /// [`check_candidate`](crate::check_candidate)); an unknown peer is ignored, and so is what is more than
    /// one peer may have. That a peer names an address does not make it the peer's: only its checks do.
    pub fn add_candidate(
        &mut self,
        id: PeerId,
        candidate: &str,
        now: Instant,
        out: &mut impl Outbox,
    ) {
        let Some(&key) = self.peer_by_id.get(&id) else {
            return;
        };
        let (Ok(Some(candidate)), Some(peer)) =
            (parse_candidate(candidate), self.peers.get_mut(key))
        else {
            return;
        };
        match peer.admit_candidate(&candidate) {
            Verdict::Take => {
                self.turn(key, now, out, |peer| {
                    peer.add_remote_candidate(candidate);
                    peer.handle_timeout(now)
                });
            }
            Verdict::Ignore => {}
            Verdict::Refuse => self.refusals.count(Refusal::Candidate),
        }
    }

    /// Closes the connection of a peer; an unknown one is ignored.
    pub fn disconnect(&mut self, id: PeerId, now: Instant, out: &mut impl Outbox) {
        let Some(&key) = self.peer_by_id.get(&id) else {
            return;
        };
        self.turn(key, now, out, |peer| peer.close(CloseReason::Closed));
        self.remove_peer(key, CloseReason::Closed);
    }

    /// Sends a peer a message that its [`DataGauge`](crate::DataGauge) has room for. False where there is
    /// no such peer; a closed channel is reported as [`HubEvent::Undelivered`].
    pub fn send_data(
        &mut self,
        id: PeerId,
        message: OutgoingMessage,
        now: Instant,
        out: &mut impl Outbox,
    ) -> bool {
        let Some(&key) = self.peer_by_id.get(&id) else {
            return false;
        };
        let mut taken = true;
        self.turn(key, now, out, |peer| {
            taken = peer.send_data(message);
            Ok(())
        });
        if !taken && let Some(peer) = self.peers.get(key) {
            let session = peer.session_key;
            self.events.push_back(HubEvent::Undelivered { session, peer: id, messages: 1 });
        }
        true
    }

    // --- Network and time ---

    /// Takes a datagram that arrived by a route, from its remote end.
    pub fn receive(&mut self, now: Instant, route: Route, datagram: &[u8], out: &mut impl Outbox) {
        match self.admit(now, route.remote(), datagram) {
            Ok(Some((key, Arrival::Protected))) if self.take_report(key, now, datagram) => {
                self.follow_network(key, now);
            }
            Ok(Some((key, arrival))) => {
                self.turn(key, now, out, |peer| peer.receive(now, route, datagram, arrival));
            }
            Ok(None) => {}
            Err(refusal) => self.refusals.count(refusal),
        }
    }

    /// Does what is due: timers of peers, and keyframe requests that have waited long enough. A bounded
    /// number of peers is looked at in one call, so that the caller gets its turn in between; true where more
    /// are due.
    pub fn handle_due(&mut self, now: Instant, out: &mut impl Outbox) -> bool {
        for _ in 0..DUE_AT_ONCE {
            let Some(key) = self.deadlines.pop_due(now) else { break };
            self.send_piece(key, now, out);
            let own = self.peers.get(key).and_then(|peer| peer.deadline);
            if own.is_some_and(|own| own.at <= now) {
                self.turn(key, now, out, |peer| peer.handle_timeout(now));
            } else {
                // A piece changes nothing in the stack, whose turn takes longer than to send one.
                self.file_deadline(key);
            }
        }
        for index in (0..self.waiting_keyframes.len()).rev() {
            let (session, rendition) = self.waiting_keyframes[index];
            if self.grant_keyframe(session, rendition, now)
                || !self.is_keyframe_wanted(session, rendition)
            {
                self.waiting_keyframes.swap_remove(index);
            }
        }
        self.deadlines.next().is_some_and(|at| at <= now)
    }

    /// Has the next turn of a peer panic.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub fn plant_fault(&mut self) {
        self.fault_planted = true;
    }

    // --- A peer's turn ---

    /// Has a peer looked at again when something of it is due.
    fn file_deadline(&mut self, key: usize) {
        let next = self.peers.get(key).and_then(Peer::next_deadline);
        self.deadlines.set(key, next.map(|deadline| deadline.at));
    }

    /// One mutation of one peer and the drain that must follow it. A panic or an error in there costs
    /// this peer, nobody else. False where the peer is gone afterwards.
    fn turn(
        &mut self,
        key: usize,
        now: Instant,
        out: &mut impl Outbox,
        mutate: impl FnOnce(&mut Peer) -> Result<(), RtcError>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(key) else {
            return false;
        };
        let mut happened = std::mem::take(&mut self.scratch);
        #[cfg(debug_assertions)]
        let planted = std::mem::take(&mut self.fault_planted);
        self.entropy.reseed();
        let turn = catch_panic(|| {
            #[cfg(debug_assertions)]
            assert!(!planted, "a fault on purpose in a peer's turn");
            peer.turn((now, &self.clock), out, &mut happened, mutate)
        });
        out.flush();
        let (id, session) = (peer.id(), peer.session_key);
        let mut due = None;
        match turn {
            Ok(Ok(deadline)) => due = Some(deadline),
            Ok(Err(error)) => {
                tracing::info!(peer = %id, %error, "peer failed");
                happened.push(PeerEvent::Gone(CloseReason::Failed));
            }
            Err(why) => {
                self.events.push_back(HubEvent::PeerFault { session, peer: id, why });
                happened.push(PeerEvent::Gone(CloseReason::Failed));
            }
        }
        let mut stays = true;
        for event in happened.drain(..) {
            match event {
                PeerEvent::Connected => {
                    let codec = self.peers.get(key).and_then(|peer| peer.video_codec());
                    self.events.push_back(HubEvent::Joined { session, peer: id, codec });
                    if !self.begin_with_recent(key, now, out) {
                        self.ask_for_keyframe(key, KeyframeReason::Joined, now);
                    }
                }
                PeerEvent::KeyframeWanted => self.want_keyframe(key, now),
                PeerEvent::MicPacket(packet) => {
                    self.events.push_back(HubEvent::MicPacket { session, peer: id, packet });
                }
                PeerEvent::Data(event) => {
                    self.events.push_back(of_data(session, id, event));
                }
                PeerEvent::PacketsLost => self.resend(key, now, out),
                PeerEvent::CheckSent(id, route) => {
                    self.demux.check_sent(id, SentCheck { peer: key, route }, now);
                }
                PeerEvent::Refused(refusal) => self.refusals.count(refusal),
                PeerEvent::Gone(reason) => {
                    if reason == CloseReason::RsaCertificate {
                        // Logged once; from then on the close reason has to do.
                        if self.refusals.get(Refusal::RsaCertificate) == 0 {
                            tracing::warn!(peer = %id, "{RSA_CERTIFICATE}");
                        }
                        self.refusals.count(Refusal::RsaCertificate);
                    }
                    self.remove_peer(key, reason);
                    stays = false;
                }
            }
        }
        self.scratch = happened;
        if stays {
            self.follow_network(key, now);
            self.pass_on_keyframe_request(key, now);
            if let Some(peer) = self.peers.get_mut(key) {
                let reason = DeadlineReason::KeyframeRequest;
                let waiting = peer.keyframes.due().map(|at| Deadline { at, reason });
                let reason = DeadlineReason::Quality;
                let paused = peer.quality.paused_until().map(|at| Deadline { at, reason });
                peer.deadline = Deadline::earliest([waiting, paused, due]);
                self.file_deadline(key);
            }
        }
        stays
    }

    fn remove_peer(&mut self, key: usize, reason: CloseReason) {
        let Some(mut peer) = self.peers.try_remove(key) else {
            return;
        };
        let session = peer.session_key;
        self.deadlines.set(key, None);
        self.demux.remove(std::mem::take(&mut peer.registration), peer.checks().sources(), key);
        self.peer_by_id.remove(&peer.id());
        self.peer_by_id.shrink_if_mostly_empty();
        if let Some(state) = self.sessions.get_mut(session.index()) {
            state.peers.retain(|&other| other != key);
        }
        self.update_active(session);
        let (id, messages) = (peer.id(), peer.queued_messages());
        if messages > 0 {
            self.events.push_back(HubEvent::Undelivered { session, peer: id, messages });
        }
        let was_connected = !peer.never_connected();
        self.events.push_back(HubEvent::Left { session, peer: peer.id(), reason, was_connected });
        self.peers.shrink_if_mostly_empty();
    }

    fn update_active(&mut self, session: SessionKey) {
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return;
        };
        let (mut video, mut audio) = (RenditionSet::EMPTY, AudioRenditionSet::EMPTY);
        let mut lossy_audio = AudioRenditionSet::EMPTY;
        state.is_changing = false;
        for peer in state.peers.iter().filter_map(|&key| self.peers.get(key)) {
            let used = peer.used_renditions();
            video = video.union(used);
            state.is_changing |= used.len() > 1;
            let Some(rendition) = peer.audio_rendition() else { continue };
            audio = audio.with(rendition);
            if peer.loses_sound() {
                lossy_audio = lossy_audio.with(rendition);
            }
        }
        let active = (video, audio, lossy_audio);
        if std::mem::replace(&mut state.active, active) != active {
            self.events.push_back(HubEvent::ActiveRenditions {
                session,
                video,
                audio,
                lossy_audio,
            });
        }
    }
}
