//! One viewer, in rooms: how it is made ([`setup`], [`negotiation`]), its network [`path`], the [`tracks`] it is sent,
//! what it reports ([`rtcp`]), its [`microphone`] and its [`data`] channels. Each owns its state; a [`Peer`] has them
//! work together, and is the only one that knows the stack's whole.

mod catch_up;
pub(crate) mod certificate;
pub(crate) mod close_reason;
pub(crate) mod data;
mod drive;
pub(crate) mod event;
pub(crate) mod last_received;
mod limits;
mod media;
mod microphone;
mod negotiation;
#[cfg(test)]
mod offer_tests;
pub(crate) mod path;
pub(crate) mod pieces;
mod rtcp;
pub(crate) mod setup;
mod sound_copies;
pub(crate) mod tracks;

use std::sync::Arc;
use std::time::Instant;

use str0m::rtp::RawPacket;
use str0m::{Candidate, Event, Input, Rtc, RtcError};
use visavis_types::{
    AudioRendition, ClockAnchor, PeerId, PeerPermissions, Refusal, RenditionId, RenditionSet,
    SessionId, VideoCodec,
};

use self::close_reason::CloseReason;
use self::data::{DataChannels, DataEvent, DataGauge, OutgoingMessage};
use self::drive::{Drained, drain};
use self::event::{Arrival, PeerEvent};
use self::last_received::LastReceived;
use self::limits::Limits;
use self::microphone::Microphone;
use self::negotiation::Negotiation;
use self::path::candidates::{Verdict, host_candidate};
use self::path::{Checks, Path, credentials, probe_nominated_pair};
use self::rtcp::Feedback;
use self::sound_copies::SoundCopies;
use self::tracks::{CodecOrder, Tracks};
use crate::bwe::NetworkGauge;
use crate::deadline::{Deadline, DeadlineReason};
use crate::demux::{self, Content, Registration};
use crate::dtls::Handshake;
use crate::rendition::{
    Capacity, Choice, KeyframeRequests, PictureGauge, Quality, Target, ViewerLimit,
};
use crate::rtp::send::RtpOutput;
use crate::sdp::{NegotiateError, Offer};
use crate::session_key::SessionKey;
use crate::transport::{Outbox, Route, TransportAddress};

/// One viewer's connection. Made by [`PeerSetup::answer`](crate::PeerSetup::answer) on any thread, then
/// owned by one [`Hub`](crate::Hub).
#[derive(Debug)]
pub struct Peer {
    id: PeerId,
    session: SessionId,
    /// What the hub notes of it: its session, the names it is found by, its requests for keyframes, when it
    /// is due.
    pub(crate) session_key: SessionKey,
    pub(crate) registration: Registration,
    pub(crate) keyframes: KeyframeRequests,
    /// When its next turn is due.
    pub(crate) deadline: Option<Deadline>,
    /// What whoever drives the hub lets it have.
    pub(crate) limit: ViewerLimit,
    /// What its network lets it have.
    pub(crate) quality: Quality,
    pub(crate) target: Target,
    /// Elsewhere, so that what is sent for all the time lies together: it is six times as large as everything else.
    rtc: Box<Rtc>,
    handshake: Arc<Handshake>,
    negotiation: Negotiation,
    path: Path,
    tracks: Tracks,
    microphone: Microphone,
    feedback: Feedback,
    data: DataChannels,
    limits: Limits,
    last_received: Arc<LastReceived>,
    network: Arc<NetworkGauge>,
    pictures: Arc<PictureGauge>,
    /// New ICE credentials wait in str0m, which would write them into the log in the next turn.
    has_new_credentials: bool,
    /// Set when the peer is on its way out.
    close_reason: Option<CloseReason>,
}

/// What a first offer that was accepted has come to.
struct Accepted {
    rtc: Box<Rtc>,
    handshake: Arc<Handshake>,
    negotiation: Negotiation,
    path: Path,
    copies: SoundCopies,
}

impl Peer {
    fn new(
        (id, session): (PeerId, SessionId),
        order: CodecOrder,
        Accepted { rtc, handshake, negotiation, path, copies }: Accepted,
        now: Instant,
    ) -> Self {
        let output = RtpOutput::new(Arc::clone(&handshake.keys));
        let tracks = Tracks::new(order, copies, output);
        let mut peer = Self {
            id,
            session,
            session_key: SessionKey::NONE,
            registration: Registration::default(),
            keyframes: KeyframeRequests::default(),
            deadline: None,
            limit: ViewerLimit::default(),
            quality: Quality::default(),
            target: Target::default(),
            rtc,
            handshake,
            negotiation,
            path,
            tracks,
            microphone: Microphone::default(),
            feedback: Feedback::default(),
            data: DataChannels::default(),
            limits: Limits::default(),
            last_received: Arc::new(LastReceived::new(now)),
            network: Arc::default(),
            pictures: Arc::default(),
            has_new_credentials: true,
            close_reason: None,
        };
        peer.take_up_media();
        peer
    }

    /// Its id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// The session it wants to watch.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// The video codec it gets, if it takes video.
    pub fn video_codec(&self) -> Option<VideoCodec> {
        self.tracks.video.map(|video| video.codec)
    }

    /// The rendition it gets, once it is in its session; where that changes, the one it is to get.
    pub(crate) fn rendition(&self) -> Option<RenditionId> {
        self.tracks.video?.rendition()
    }

    /// The renditions that are needed for it: two while it changes.
    pub(crate) fn used_renditions(&self) -> RenditionSet {
        let selection = self.tracks.video.and_then(|video| video.selection);
        selection.map_or(RenditionSet::EMPTY, |selection| selection.used())
    }

    /// Sends it no pictures for a while: what comes next is a keyframe.
    pub(crate) fn pause_pictures(&mut self) {
        self.tracks.await_keyframe();
    }

    /// Has it get what was chosen for it. True where a keyframe is needed to change to that.
    pub(crate) fn select(&mut self, choice: Choice) -> bool {
        self.tracks.select(choice)
    }

    /// How it gets sound, if it takes any.
    pub fn audio_rendition(&self) -> Option<AudioRendition> {
        self.tracks.audio.map(|audio| audio.rendition)
    }

    /// Whether what it misses of its sound should be repairable: it loses packets, or is to have copies in any case.
    pub(crate) fn loses_sound(&self) -> bool {
        self.tracks.loses_sound()
    }

    /// Whether [`loses_sound`](Self::loses_sound) says something else than before, since the last call.
    pub(crate) fn take_sound_changed(&mut self) -> bool {
        self.tracks.take_sound_changed()
    }

    #[cfg(test)]
    pub(crate) fn retired_tracks(&self) -> usize {
        self.tracks.output.retired()
    }

    #[cfg(test)]
    pub(crate) fn video_payload_type(&self) -> Option<u8> {
        self.tracks.output.tracks.video.as_ref().map(|video| video.payload_type)
    }

    /// What other threads may know of its data channels.
    pub fn data_gauge(&self) -> &Arc<DataGauge> {
        self.data.gauge()
    }

    /// When something of it was last received, for other threads.
    pub fn last_received(&self) -> &Arc<LastReceived> {
        &self.last_received
    }

    /// What is known of its network, for other threads.
    pub fn network(&self) -> &Arc<NetworkGauge> {
        &self.network
    }

    /// What it gets of its session's pictures, for other threads.
    pub fn pictures(&self) -> &Arc<PictureGauge> {
        &self.pictures
    }

    /// Messages that wait for it.
    pub(crate) fn queued_messages(&self) -> usize {
        self.data.queued()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.path.is_connected()
    }

    pub(crate) fn never_connected(&self) -> bool {
        self.path.never_connected()
    }

    /// Our ICE user name fragment, by which connectivity checks name this peer.
    pub(crate) fn ufrag(&self) -> &str {
        &self.path.checks().local().ufrag
    }

    pub(crate) fn start_connecting(&mut self, until: Instant) {
        self.path.start_connecting(until);
    }

    /// Whether it sees nothing before the next keyframe.
    pub(crate) fn awaits_keyframe(&self) -> bool {
        self.tracks.awaits_keyframe()
    }

    // --- Before a turn: what may have one. ---

    /// Its connectivity checks.
    pub(crate) fn checks(&mut self) -> &mut Checks {
        self.path.checks_mut()
    }

    /// Whether it may send one more of these now.
    pub(crate) fn admit(&mut self, content: Content, now: Instant) -> Result<(), Refusal> {
        let Limits { rtp, rtcp, dtls, .. } = &mut self.limits;
        let (limit, refusal) = match content {
            Content::Rtp => (rtp, Refusal::Rtp),
            Content::Rtcp => (rtcp, Refusal::Rtcp),
            Content::Dtls => (dtls, Refusal::Dtls),
        };
        if limit.take(now) { Ok(()) } else { Err(refusal) }
    }

    /// Whether ICE is to know a candidate.
    pub(crate) fn admit_candidate(&mut self, candidate: &Candidate) -> Verdict {
        self.path.admit_candidate(candidate)
    }

    /// Candidates that were left out of offers since the last call.
    pub(crate) fn take_refused_candidates(&mut self) -> u64 {
        self.path.take_refused_candidates()
    }

    /// Whether it may make one more offer now, which is answered in its next turn.
    pub(crate) fn admit_offer(&mut self, now: Instant) -> bool {
        let admitted = self.limits.offers.take(now);
        self.has_new_credentials |= admitted;
        admitted
    }

    // --- A turn. ---

    /// When it is to be looked at again: for its turn, or for the next piece of a large picture.
    pub(crate) fn next_deadline(&self) -> Option<Deadline> {
        let reason = DeadlineReason::Pacing;
        let piece = self.tracks.piece_due().map(|at| Deadline { at, reason });
        Deadline::earliest([self.deadline, piece])
    }

    /// A mutation, and the drain that must follow it. Sends what is to be sent, notes what happened, and returns when
    /// the peer wants to be woken.
    pub(crate) fn turn(
        &mut self,
        (now, clock): (Instant, &ClockAnchor),
        out: &mut impl Outbox,
        events: &mut Vec<PeerEvent>,
        mutate: impl FnOnce(&mut Self) -> Result<(), RtcError>,
    ) -> Result<Deadline, RtcError> {
        let has_new_credentials = std::mem::take(&mut self.has_new_credentials);
        let run = || {
            mutate(self)?;
            self.drain(now, clock, out, events)
        };
        if has_new_credentials { credentials::unlogged(run) } else { run() }
    }

    // --- Mutations. ---

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        route: Route,
        datagram: &[u8],
        arrival: Arrival,
    ) -> Result<(), RtcError> {
        let Some(input) = route.input(now, datagram) else {
            return Ok(()); // Looked like ours by its first byte, but is not.
        };
        self.rtc.handle_input(input)?;
        if let Arrival::Response { route, success: true } = arrival {
            self.path.check_succeeded(route);
        }
        if arrival != Arrival::Protected {
            self.last_received.note(now);
            // A pair that a check has nominated is used once our own check on it is answered (RFC 8445
            // §7.3.1.5).
            self.probe_nominated_pair();
        }
        Ok(())
    }

    /// Takes what the stack has no use for. False where it is to have it: that is a turn.
    pub(crate) fn take_report(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let Self { tracks, feedback, network, last_received, .. } = self;
        let taken = feedback.take_arrivals(datagram, &mut tracks.output, (network, now));
        if taken {
            last_received.note(now);
            feedback.take_path_loss().into_iter().for_each(|lost| tracks.note_loss(lost, now));
        }
        taken
    }

    /// What its network takes, where something was reported since the last call.
    pub(crate) fn take_capacity(&mut self, now: Instant) -> Option<Capacity> {
        let Self { tracks, feedback, .. } = self;
        let estimator = tracks.output.estimator.as_deref().filter(|_| feedback.take_reported())?;
        let (is_full, queue) = (estimator.is_full(now), estimator.queue_now(now));
        Some(Capacity { estimate: estimator.estimate(now)?, queue, is_full })
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        match self.path.overdue(now) {
            Some(reason) => self.close(reason),
            None => self.rtc.handle_input(Input::Timeout(now)),
        }
    }

    pub(crate) fn close(&mut self, reason: CloseReason) -> Result<(), RtcError> {
        self.close_reason.get_or_insert(reason);
        self.rtc.close()
    }

    /// It can be reached at these addresses too. One that it knows already changes nothing.
    pub(crate) fn add_local_candidates(&mut self, addresses: &[TransportAddress]) {
        for &at in addresses {
            if let Ok(candidate) = host_candidate(at) {
                self.rtc.add_local_candidate(candidate);
            }
        }
    }

    pub(crate) fn add_remote_candidate(&mut self, candidate: Candidate) {
        self.rtc.add_remote_candidate(candidate);
    }

    /// Answers a later offer: new media, or an ICE restart. `permissions`: where they are others than before.
    pub(crate) fn renegotiate(
        &mut self,
        offer: &Offer,
        permissions: Option<PeerPermissions>,
    ) -> Result<String, NegotiateError> {
        if let Some(permissions) = permissions {
            self.negotiation.permit(permissions);
            self.data.permit(permissions.data);
        }
        let Self { negotiation, path, rtc, .. } = self;
        let mut plan = negotiation.plan(offer)?;
        let text = std::mem::take(&mut plan.text);
        let answer =
            path.renegotiate(rtc, &text, |rtc, inner| negotiation.accept(rtc, plan, inner))?;
        self.data.gauge().read_max_message(offer);
        self.take_up_media();
        // Where there was no media yet, nothing has asked.
        self.probe_nominated_pair();
        Ok(answer)
    }

    /// Follows what was negotiated.
    fn take_up_media(&mut self) {
        let taken = self.negotiation.taken();
        self.microphone.negotiate(taken);
        self.tracks.choose(self.id, taken, &mut self.rtc);
    }

    fn probe_nominated_pair(&mut self) {
        if let Some(ssrc) = self.tracks.ssrc() {
            probe_nominated_pair(&mut self.rtc, ssrc);
        }
    }

    /// Takes a message, to be written by the drain. False where its channel is gone.
    pub(crate) fn send_data(&mut self, message: OutgoingMessage) -> bool {
        self.data.push(message)
    }

    // --- The drain. ---

    fn drain(
        &mut self,
        now: Instant,
        clock: &ClockAnchor,
        out: &mut impl Outbox,
        events: &mut Vec<PeerEvent>,
    ) -> Result<Deadline, RtcError> {
        let mut rtc_deadline = self.drain_once(now, clock, out, events)?;
        // What has just been acknowledged made room for what waits.
        while self.data.write(&mut self.rtc, |event| events.push(PeerEvent::Data(event))) {
            rtc_deadline = self.drain_once(now, clock, out, events)?;
        }
        let consent = self.path.enforce_consent(now);
        // Whoever restarts ICE has been without a picture for a while, and its requests for one may still
        // go the old way.
        if self.path.take_found() {
            events.push(PeerEvent::KeyframeWanted);
        }
        if self.path.take_resumed() && self.tracks.await_keyframe() {
            events.push(PeerEvent::KeyframeWanted);
        }
        if !self.feedback.lost().is_empty() {
            events.push(PeerEvent::PacketsLost);
        }
        if self.never_connected() && self.handshake.has_no_common_certificate() {
            events.push(PeerEvent::Gone(CloseReason::RsaCertificate));
        } else if !self.rtc.is_alive() {
            events.push(PeerEvent::Gone(self.close_reason.unwrap_or(CloseReason::Closed)));
        }
        // Of two at once the first one counts: a peer that is given up has no other timers.
        let all = [self.path.deadline(), consent, Some(rtc_deadline)];
        Ok(Deadline::earliest(all).unwrap_or(rtc_deadline))
    }

    fn drain_once(
        &mut self,
        now: Instant,
        clock: &ClockAnchor,
        out: &mut impl Outbox,
        events: &mut Vec<PeerEvent>,
    ) -> Result<Deadline, RtcError> {
        let Self { rtc, path, tracks, microphone, feedback, data, limits, .. } = self;
        let (last_received, close_reason) = (&self.last_received, &mut self.close_reason);
        let network = &self.network;
        drain(rtc, |drained| match drained {
            Drained::Transmit(transmit) => {
                let Some(route) = Route::of(&transmit) else { return };
                if let Some(id) = demux::check_in(&transmit.contents) {
                    events.push(PeerEvent::CheckSent(id, route));
                }
                if path.admit(&route, &transmit.contents, now) {
                    let media = path.route().unwrap_or(&route);
                    network.note_transport(media.transport);
                    let routes = (&route, path.route());
                    tracks.output.forward(&transmit.contents, routes, (now, clock), out);
                }
            }
            Drained::Event(event) => match event {
                Event::Connected => {
                    path.connected();
                    events.push(PeerEvent::Connected);
                }
                Event::IceConnectionStateChange(state) => {
                    let change = path.ice_changed(state, now);
                    if change.restarted {
                        events.push(PeerEvent::KeyframeWanted);
                    }
                    if change.resumed && tracks.await_keyframe() {
                        events.push(PeerEvent::KeyframeWanted);
                    }
                }
                Event::KeyframeRequest(_) => events.push(PeerEvent::KeyframeWanted),
                Event::RtpPacket(packet) => {
                    last_received.note(now);
                    match microphone.receive(packet, now) {
                        Ok(packet) => events.extend(packet.map(PeerEvent::MicPacket)),
                        Err(refusal) => events.push(PeerEvent::Refused(refusal)),
                    }
                }
                Event::RawPacket(packet) => {
                    if let RawPacket::RtcpRx(rtcp) = *packet {
                        last_received.note(now);
                        feedback.handle_rtcp(rtcp, &mut tracks.output, (network, now));
                        let lost = feedback.take_path_loss();
                        lost.into_iter().for_each(|lost| tracks.note_loss(lost, now));
                    }
                }
                Event::ChannelOpen(id, label) => {
                    events.extend(data.opened(id, &label).map(PeerEvent::Data));
                }
                Event::ChannelData(received) => {
                    let refusal = match limits.messages.take(now) {
                        false => Some(Refusal::Message),
                        true if !data.is_permitted() => Some(Refusal::MessageNotAllowed),
                        true => None,
                    };
                    let event = match refusal {
                        None => data.received(received),
                        Some(refusal) => {
                            events.push(PeerEvent::Refused(refusal));
                            DataEvent::Refused
                        }
                    };
                    events.push(PeerEvent::Data(event));
                }
                Event::ChannelClose(id) => {
                    data.closed(id, |event| events.push(PeerEvent::Data(event)));
                }
                Event::Closed => {
                    close_reason.get_or_insert(CloseReason::Closed);
                }
                _ => {}
            },
        })
    }
}
