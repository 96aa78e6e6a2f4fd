//! One viewer.

mod checks;
mod limits;
mod path;
mod tracks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::Rtcp;
use str0m::{Candidate, Event, IceConnectionState, Input, Rtc, RtcError};
use visavis_types::{
    AudioPacket, AudioRendition, ClockAnchor, PeerId, Refusal, RenditionId, SessionId, VideoCodec,
};

use crate::candidates::{RemoteCandidates, Verdict};
use crate::credentials;
use crate::data::{DataChannels, DataEvent, DataGauge, MAX_MESSAGE_BYTES, OutgoingMessage};
use crate::demux::{self, Content, Registration, TransactionId};
use crate::drive::{Drained, drain};
use crate::dtls::Handshake;
use crate::entropy;
use crate::last_received::LastReceived;
use crate::negotiate::{Accepted, CodecOrder, Media};
use crate::rendition::{Choice, KeyframeRequests, Selection};
use crate::rtp::history::History;
use crate::rtp::packetize::{PacketizedFrame, Redundancy};
use crate::rtp::receive::MicPacket;
use crate::rtp::send::RtpOutput;
use crate::rtp::stamp::FrameStamp;
use crate::sdp::{NegotiateError, Offer};
use crate::session_key::SessionKey;
use crate::transport::{Outbox, Route};
pub(crate) use checks::Checks;
use limits::Limits;
use path::IceRestart;
use tracks::{AudioState, MicFormat, MicSource, VideoState};

/// How long ICE may be without a working path before the peer counts as gone. It comes on top of the
/// time ICE itself takes to notice (RFC 7675 consent), and leaves room for an ICE restart.
const VANISH_GRACE: Duration = Duration::from_secs(10);

/// Retransmissions noted in one turn. More than this in one go is a stream that is lost anyway: the
/// viewer asks for a keyframe.
const MAX_LOST: usize = 512;

/// Why a peer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It, or whoever speaks for it, closed the connection.
    Closed,
    /// ICE and DTLS took too long.
    ConnectTimeout,
    /// Its network path is gone.
    Vanished,
    /// Its protocol state broke.
    Failed,
    /// It has no certificate of a kind that is taken here, which is ECDSA: its own is RSA, most likely.
    RsaCertificate,
    /// Its session was removed.
    SessionEnded,
}

/// One viewer's connection. Made by [`PeerSetup::answer`](crate::PeerSetup::answer) on any thread, then
/// owned by one [`Hub`](crate::Hub).
#[derive(Debug)]
pub struct Peer {
    id: PeerId,
    session: SessionId,
    order: CodecOrder,
    media: Media,
    /// Elsewhere, so that what is sent for all the time lies together: it is six times as large as everything else.
    rtc: Box<Rtc>,
    handshake: Arc<Handshake>,
    phase: Phase,
    output: RtpOutput,
    video: Option<VideoState>,
    audio: Option<AudioState>,
    /// What its microphone may come as, by payload type.
    microphone: Vec<(u8, MicFormat)>,
    mic_source: MicSource,
    /// Sequence numbers of video packets to be sent again.
    lost: Vec<u16>,
    data: DataChannels,
    heard: Arc<LastReceived>,
    pub(crate) session_key: SessionKey,
    pub(crate) names: Registration,
    pub(crate) checks: Checks,
    candidates: RemoteCandidates,
    /// Those of its first offer that were too many, until they are counted.
    refused_candidates: u64,
    /// New ICE credentials wait in str0m, which would write them into the log in the next turn.
    pub(crate) unlogged: bool,
    restart: IceRestart,
    /// Media flows again after it did not: the next picture must be a keyframe.
    resumed: bool,
    ice: IceConnectionState,
    pub(crate) keyframes: KeyframeRequests,
    limits: Limits,
    /// Set when the peer is on its way out.
    reason: Option<CloseReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// ICE and DTLS are at work; until then it must be done.
    Connecting {
        until: Instant,
    },
    Connected,
    /// ICE has no working path; until then it must have found one.
    Disconnected {
        until: Instant,
    },
}

/// What a turn of a peer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    Connected,
    KeyframeWanted,
    MicPacket(MicPacket),
    Data(DataEvent),
    /// Packets are missing: [`Peer::resend`].
    PacketsLost,
    /// A connectivity check leaves.
    CheckSent(TransactionId, Route),
    /// Something it sent is not taken.
    Refused(Refusal),
    Gone(CloseReason),
}

/// A datagram of a peer, as far as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A connectivity check with the peer's password.
    Check,
    /// The answer to one of ours, and the way that went; whether it says that the path works.
    Answer { route: Route, success: bool },
    /// Anything else, which is protected by keys of its own.
    Protected,
}

impl Peer {
    pub(crate) fn new(
        (id, session): (PeerId, SessionId),
        order: CodecOrder,
        Accepted { rtc, handshake, output, media, checks, candidates }: Accepted,
        now: Instant,
    ) -> Self {
        let mut peer = Self {
            id,
            session,
            order,
            media,
            rtc,
            handshake,
            phase: Phase::Connecting { until: now },
            output,
            video: None,
            audio: None,
            microphone: Vec::new(),
            mic_source: MicSource::default(),
            lost: Vec::new(),
            data: DataChannels::default(),
            heard: Arc::new(LastReceived::new(now)),
            session_key: SessionKey::NONE,
            names: Registration::default(),
            checks,
            candidates,
            refused_candidates: 0,
            unlogged: true,
            restart: IceRestart::None,
            resumed: false,
            ice: IceConnectionState::New,
            keyframes: KeyframeRequests::default(),
            limits: Limits::default(),
            reason: None,
        };
        peer.choose_tracks();
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
        self.video.map(|video| video.codec)
    }

    /// The rendition it gets, once it is in its session; where that changes, the one it is to get.
    pub(crate) fn rendition(&self) -> Option<RenditionId> {
        Some(self.video?.selection?.rendition())
    }

    /// Has it get what was chosen for it.
    pub(crate) fn select(&mut self, choice: Choice) {
        if let Some(video) = &mut self.video {
            video.selection.get_or_insert(Selection::new(choice));
        }
    }

    /// How it gets sound, if it takes any.
    pub fn audio_rendition(&self) -> Option<AudioRendition> {
        self.audio.map(|audio| audio.rendition)
    }

    #[cfg(test)]
    pub(crate) fn retired_tracks(&self) -> usize {
        self.output.retired()
    }

    #[cfg(test)]
    pub(crate) fn video_payload_type(&self) -> Option<u8> {
        self.output.tracks.video.as_ref().map(|video| video.payload_type)
    }

    /// What other threads may know of its data channels.
    pub fn data_gauge(&self) -> &Arc<DataGauge> {
        self.data.gauge()
    }

    /// When it was last heard, for other threads.
    pub fn last_received(&self) -> &Arc<LastReceived> {
        &self.heard
    }

    /// Messages that wait for it.
    pub(crate) fn queued_messages(&self) -> usize {
        self.data.queued()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    pub(crate) fn never_connected(&self) -> bool {
        matches!(self.phase, Phase::Connecting { .. })
    }

    /// Our ICE user name fragment, by which connectivity checks name this peer.
    pub(crate) fn ufrag(&self) -> &str {
        &self.checks.local().ufrag
    }

    pub(crate) fn start_connecting(&mut self, until: Instant) {
        self.phase = Phase::Connecting { until };
    }

    // --- Mutations. Each is followed by `drain`, which the hub sees to. ---

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
        if arrival != Arrival::Protected {
            self.heard.note(now);
        }
        if let Arrival::Answer { route, success: true } = arrival {
            self.answered(route);
        }
        // A pair that a check has nominated is used once our own check on it is answered (RFC 8445
        // §7.3.1.5).
        if arrival != Arrival::Protected {
            self.ask_for_path();
        }
        Ok(())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        let overdue = match self.phase {
            Phase::Connecting { until } if until <= now => Some(CloseReason::ConnectTimeout),
            Phase::Disconnected { until } if until <= now => Some(CloseReason::Vanished),
            _ => None,
        };
        match overdue {
            Some(reason) => self.close(reason),
            None => self.rtc.handle_input(Input::Timeout(now)),
        }
    }

    pub(crate) fn close(&mut self, reason: CloseReason) -> Result<(), RtcError> {
        self.reason.get_or_insert(reason);
        self.rtc.close()
    }

    /// Whether ICE is to know a candidate.
    pub(crate) fn admit_candidate(&mut self, candidate: &Candidate) -> Verdict {
        self.candidates.admit(candidate)
    }

    /// It can be reached at these addresses too. One that it knows already changes nothing.
    pub(crate) fn add_local_candidates(&mut self, addresses: &[SocketAddr]) {
        for &addr in addresses {
            if let Ok(candidate) = Candidate::host(addr, "udp") {
                self.rtc.add_local_candidate(candidate);
            }
        }
    }

    pub(crate) fn add_remote_candidate(&mut self, candidate: Candidate) {
        self.rtc.add_remote_candidate(candidate);
    }

    pub(crate) fn note_refused_candidates(&mut self, refused: u64) {
        self.refused_candidates += refused;
    }

    /// Candidates that were left out of offers since the last call.
    pub(crate) fn take_refused_candidates(&mut self) -> u64 {
        std::mem::take(&mut self.refused_candidates)
    }

    /// Whether it may make one more offer now.
    pub(crate) fn admit_offer(&mut self, now: Instant) -> bool {
        self.limits.offers.take(now)
    }

    /// Answers a later offer: new media, or an ICE restart.
    pub(crate) fn renegotiate(&mut self, offer: &Offer) -> Result<String, NegotiateError> {
        let plan = self.media.plan(offer)?;
        let remote = credentials::of(&plan.text);
        let known = self.candidates.clone();
        if remote.as_ref() != Some(self.checks.remote()) {
            self.candidates.restart();
        }
        let (inner, refused) = self.candidates.filter(&plan.text);
        self.refused_candidates += refused;
        let answer = self.media.accept(&mut self.rtc, plan, &inner);
        let mut local = self.rtc.direct_api().local_ice_credentials();
        if local != *self.checks.local() {
            // ICE begins anew, with credentials that str0m has drawn.
            if let Some(drawn) = entropy::ice_credentials() {
                self.rtc.direct_api().set_local_ice_credentials(drawn.clone());
                local = drawn;
            }
            let remote = remote.unwrap_or_else(|| self.checks.remote().clone());
            self.checks.restart(local, remote);
            // Not only by the state that ICE tells: where it was checking before, it still is.
            self.restart = IceRestart::Searching;
        } else if answer.is_err() {
            self.candidates = known;
        }
        let answer = credentials::put(&answer?, self.checks.local());
        self.note_max_message(offer);
        self.choose_tracks();
        // Where there was no media yet, nothing has asked.
        self.ask_for_path();
        Ok(answer)
    }

    /// Whether it sees nothing before the next keyframe.
    pub(crate) fn awaits_keyframe(&self) -> bool {
        let selection = self.video.and_then(|video| video.selection);
        selection.is_some_and(|selection| selection.awaits_keyframe())
    }

    /// Takes a message, to be written by the drain. False where its channel is gone.
    pub(crate) fn send_data(&mut self, message: OutgoingMessage) -> bool {
        self.data.push(message)
    }

    /// Notes what an offer says of the messages that the viewer takes.
    pub(crate) fn note_max_message(&self, offer: &Offer) {
        if let Some(bytes) = offer.max_message_bytes(MAX_MESSAGE_BYTES) {
            self.data.gauge().set_max_message(bytes);
        }
    }

    // --- Media. None of it touches str0m. ---

    /// Sends a frame. False where this peer does not get it.
    pub(crate) fn send_frame(
        &mut self,
        frame: &PacketizedFrame,
        stamp: &FrameStamp,
        history: &History,
        out: &mut impl Outbox,
    ) -> bool {
        let selection = self.video.as_mut().and_then(|video| video.selection.as_mut());
        let Some(selection) = selection.filter(|has| has.takes(frame.rendition, frame.keyframe))
        else {
            return false;
        };
        let sent = self.output.send_video(&frame.payloads, frame.keyframe, stamp, history, out);
        if sent {
            selection.sent();
        }
        sent
    }

    /// Sends an audio packet. False where this peer does not get it.
    pub(crate) fn send_audio(
        &mut self,
        packet: &AudioPacket,
        redundancy: &mut Redundancy,
        out: &mut impl Outbox,
    ) -> bool {
        let Some(audio) = self.audio.filter(|audio| packet.renditions.contains(audio.rendition))
        else {
            return false;
        };
        let payload = match audio.in_red {
            Some(payload_type) => redundancy.wrap(packet, payload_type, audio.rendition),
            None => &packet.data,
        };
        self.output.send_audio(payload, packet, out)
    }

    /// Sends again what was lost. False where only a keyframe can help.
    pub(crate) fn resend(&mut self, history: &History, out: &mut impl Outbox) -> bool {
        let helped = self.output.resend(&self.lost, history, out);
        self.lost.clear();
        helped
    }

    // --- The drain. ---

    /// Sends what is to be sent, notes what happened, and returns when the peer wants to be woken.
    pub(crate) fn drain(
        &mut self,
        now: Instant,
        clock: &ClockAnchor,
        out: &mut impl Outbox,
        events: &mut Vec<PeerEvent>,
    ) -> Result<Instant, RtcError> {
        let mut rtc_deadline = self.drain_once(now, clock, out, events)?;
        // What has just been acknowledged made room for what waits.
        while self.data.write(&mut self.rtc, |event| events.push(PeerEvent::Data(event))) {
            rtc_deadline = self.drain_once(now, clock, out, events)?;
        }
        let consent = self.mind_consent(now);
        // Whoever restarts ICE has been without a picture for a while, and its requests for one may still
        // go the old way.
        if self.restart == IceRestart::Found {
            self.restart = IceRestart::Told;
            events.push(PeerEvent::KeyframeWanted);
        }
        if std::mem::take(&mut self.resumed)
            && let Some(video) = &mut self.video
        {
            video.await_keyframe();
            events.push(PeerEvent::KeyframeWanted);
        }
        if !self.lost.is_empty() {
            events.push(PeerEvent::PacketsLost);
        }
        if self.never_connected() && self.handshake.has_no_common_certificate() {
            events.push(PeerEvent::Gone(CloseReason::RsaCertificate));
        } else if !self.rtc.is_alive() {
            events.push(PeerEvent::Gone(self.reason.unwrap_or(CloseReason::Closed)));
        }
        let phase = match self.phase {
            Phase::Connecting { until } | Phase::Disconnected { until } => Some(until),
            Phase::Connected => None,
        };
        Ok([phase, consent].into_iter().flatten().fold(rtc_deadline, Instant::min))
    }

    fn drain_once(
        &mut self,
        now: Instant,
        clock: &ClockAnchor,
        out: &mut impl Outbox,
        events: &mut Vec<PeerEvent>,
    ) -> Result<Instant, RtcError> {
        let Self { rtc, phase, output, video, lost, data, reason, .. } = self;
        let Self { restart, ice, limits, mic_source, .. } = self;
        let (microphone, checks, heard) = (&self.microphone, &self.checks, &self.heard);
        drain(rtc, |drained| match drained {
            Drained::Transmit(transmit) => {
                let Some(route) = Route::of(&transmit) else { return };
                if let Some(id) = demux::check_in(&transmit.contents) {
                    events.push(PeerEvent::CheckSent(id, route));
                }
                // Checks go to whatever address a peer names; anything else only to where it has answered
                // one (RFC 7675 §5.1).
                if is_stun(&transmit.contents) || checks.consents(route.remote(), now) {
                    output.forward(&route, &transmit.contents, now, clock, out);
                }
            }
            Drained::Event(event) => match event {
                Event::Connected => {
                    *phase = Phase::Connected;
                    events.push(PeerEvent::Connected);
                }
                Event::IceConnectionStateChange(state) => {
                    *ice = state;
                    if state != IceConnectionState::Checking {
                        if matches!(*restart, IceRestart::Searching | IceRestart::Found) {
                            events.push(PeerEvent::KeyframeWanted);
                        }
                        *restart = IceRestart::None;
                        output.free_path();
                    } else if !matches!(phase, Phase::Connecting { .. }) {
                        *restart = IceRestart::Searching;
                    }
                    let resumed = path::ice_changed(phase, state, now);
                    if resumed && let Some(video) = video {
                        video.await_keyframe();
                        events.push(PeerEvent::KeyframeWanted);
                    }
                }
                Event::KeyframeRequest(_) => events.push(PeerEvent::KeyframeWanted),
                Event::RtpPacket(packet) => {
                    heard.note(now);
                    let payload_type = *packet.header.payload_type;
                    let known = microphone.iter().find(|(pt, _)| *pt == payload_type);
                    if known.is_some() && !mic_source.takes(*packet.header.ssrc, now) {
                        events.push(PeerEvent::Refused(Refusal::Microphone));
                    } else if let Some(&(_, format)) = known
                        && let Some(payload) = format.payload(packet.payload)
                    {
                        events.push(PeerEvent::MicPacket(MicPacket {
                            codec: format.codec,
                            sequence: packet.header.sequence_number,
                            rtp_time: packet.header.timestamp,
                            payload,
                            arrived: now,
                        }));
                    }
                }
                Event::RawPacket(packet) => {
                    if let RawPacket::RtcpRx(rtcp) = *packet {
                        heard.note(now);
                        handle_rtcp(rtcp, output, lost);
                    }
                }
                Event::ChannelOpen(id, label) => {
                    events.extend(data.opened(id, &label).map(PeerEvent::Data));
                }
                Event::ChannelData(received) => {
                    let event = if limits.messages.take(now) {
                        data.received(received)
                    } else {
                        events.push(PeerEvent::Refused(Refusal::Message));
                        DataEvent::Refused
                    };
                    events.push(PeerEvent::Data(event));
                }
                Event::ChannelClose(id) => {
                    data.closed(id, |event| events.push(PeerEvent::Data(event)));
                }
                Event::Closed => {
                    reason.get_or_insert(CloseReason::Closed);
                }
                _ => {}
            },
        })
    }
}

/// By the first byte (RFC 7983 §7).
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first <= 3)
}

/// What a viewer reports of what it was sent. str0m has its own use for the rest.
fn handle_rtcp(rtcp: Rtcp, output: &mut RtpOutput, lost: &mut Vec<u16>) {
    match rtcp {
        Rtcp::Nack(nack) => {
            let video =
                output.tracks.video.as_ref().is_some_and(|video| video.ssrc() == *nack.ssrc);
            for entry in nack.reports.iter().filter(|_| video) {
                let following = (0..16).filter(|bit| entry.blp >> bit & 1 == 1).map(|bit| bit + 1);
                let missing = std::iter::once(0).chain(following);
                let room = MAX_LOST.saturating_sub(lost.len());
                lost.extend(missing.map(|after| entry.pid.wrapping_add(after)).take(room));
            }
        }
        Rtcp::ReceiverReport(report) => {
            report.reports.iter().for_each(|block| output.acknowledge(*block.ssrc));
        }
        Rtcp::SenderReport(report) => {
            report.reports.iter().for_each(|block| output.acknowledge(*block.ssrc));
        }
        _ => {}
    }
}
