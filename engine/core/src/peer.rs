//! One viewer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::format::{Codec, CodecSpec};
use str0m::media::{MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, Input, Rtc, RtcError};
use visavis_types::{MAX_SOUND_LEAD, OpusPacket, PeerId, SessionId, VideoCodec};

use crate::demux::Registration;
use crate::drive::{Drained, drain};
use crate::negotiate::{self, NegotiateError};
use crate::packetize::PacketizedFrame;
use crate::{Outbox, SessionKey};

/// How long ICE may be without a working path before the peer counts as gone. It comes on top of the
/// time ICE itself takes to notice (RFC 7675 consent), and leaves room for an ICE restart.
const VANISH_GRACE: Duration = Duration::from_secs(10);

/// Why a peer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It, or whoever speaks for it, closed the connection.
    Closed,
    /// ICE and DTLS took too long.
    ConnectTimeout,
    /// Its network path is gone.
    Vanished,
    /// Its protocol state broke.
    Failed,
    /// Its session was removed.
    SessionEnded,
}

/// One viewer's connection. Made by [`PeerSetup::answer`](crate::PeerSetup::answer) on any thread, then
/// owned by one [`Hub`](crate::Hub).
#[derive(Debug)]
pub struct Peer {
    id: PeerId,
    session: SessionId,
    preferred: VideoCodec,
    rtc: Rtc,
    phase: Phase,
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    pub(crate) session_key: SessionKey,
    pub(crate) names: Registration,
    /// Where the last datagram went, so that a new destination is noticed.
    last_destination: Option<SocketAddr>,
    /// Set when the peer is on its way out.
    farewell: Option<Farewell>,
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

#[derive(Debug)]
struct VideoTrack {
    mid: Mid,
    pt: Pt,
    codec: VideoCodec,
    next_seq: u64,
    /// Nothing is decodable before a keyframe, so nothing is sent before one.
    awaiting_keyframe: bool,
}

#[derive(Debug)]
struct AudioTrack {
    mid: Mid,
    pt: Pt,
    next_seq: u64,
}

/// What a turn of a peer leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    Connected,
    KeyframeWanted,
    MicPacket,
    /// A datagram went to an address not used before.
    NewDestination(SocketAddr),
    Gone(Farewell),
}

impl Peer {
    pub(crate) fn new(
        id: PeerId,
        session: SessionId,
        preferred: VideoCodec,
        rtc: Rtc,
        answer: &str,
        now: Instant,
    ) -> Result<Self, NegotiateError> {
        let mut peer = Self {
            id,
            session,
            preferred,
            rtc,
            phase: Phase::Connecting { until: now },
            video: None,
            audio: None,
            session_key: SessionKey::NONE,
            names: Registration::default(),
            last_destination: None,
            farewell: None,
        };
        peer.choose_tracks(answer);
        if peer.video.is_none() && peer.audio.is_none() {
            return Err(NegotiateError::NoCommonCodec);
        }
        Ok(peer)
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
        self.video.as_ref().map(|track| track.codec)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    pub(crate) fn never_connected(&self) -> bool {
        matches!(self.phase, Phase::Connecting { .. })
    }

    /// Our ICE user name fragment, by which connectivity checks name this peer.
    pub(crate) fn ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    pub(crate) fn start_connecting(&mut self, until: Instant) {
        self.phase = Phase::Connecting { until };
    }

    // --- Mutations. Each is followed by `drain`, which the hub sees to. ---

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
        check: bool,
    ) -> Result<(), RtcError> {
        let Ok(receive) = Receive::new(Protocol::Udp, source, destination, datagram) else {
            return Ok(()); // Looked like ours by its first byte, but is not.
        };
        let input = Input::Receive(now, receive);
        if check && !self.rtc.accepts(&input) {
            return Ok(());
        }
        self.rtc.handle_input(input)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        let overdue = match self.phase {
            Phase::Connecting { until } if until <= now => Some(Farewell::ConnectTimeout),
            Phase::Disconnected { until } if until <= now => Some(Farewell::Vanished),
            _ => None,
        };
        match overdue {
            Some(farewell) => self.close(farewell),
            None => self.rtc.handle_input(Input::Timeout(now)),
        }
    }

    pub(crate) fn close(&mut self, farewell: Farewell) -> Result<(), RtcError> {
        self.farewell.get_or_insert(farewell);
        self.rtc.close()
    }

    pub(crate) fn add_remote_candidate(&mut self, candidate: Candidate) {
        self.rtc.add_remote_candidate(candidate);
    }

    pub(crate) fn renegotiate(&mut self, offer: &str) -> Result<String, NegotiateError> {
        let answer = negotiate::renegotiate(&mut self.rtc, offer)?;
        self.choose_tracks(&answer);
        Ok(answer)
    }

    /// Queues a frame. False where this peer does not get it.
    pub(crate) fn write_frame(
        &mut self,
        frame: &PacketizedFrame,
        rtp_time: u32,
        extensions: &ExtensionValues,
    ) -> bool {
        let Some(track) = self.video.as_mut().filter(|track| track.codec == frame.codec) else {
            return false;
        };
        if track.awaiting_keyframe && !frame.keyframe {
            return false;
        }
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(track.mid, None) else {
            return false;
        };
        // A picture leaves in one go. str0m would spread it at the rate it has estimated, and a keyframe
        // would take many frames' time on its way; how much a viewer is sent is decided by what is
        // encoded for it, not by delay.
        stream.set_unpaced(true);
        let last = frame.payloads.len().saturating_sub(1);
        let reported = reported_time(frame.captured);
        for (index, payload) in frame.payloads.iter().enumerate() {
            let seq_no = track.next_seq.into();
            track.next_seq += 1;
            stream.write_rtp(
                RtpWrite::new(track.pt, seq_no, rtp_time, reported, payload.clone())
                    .marker(index == last)
                    .nackable(true)
                    .ext_vals(extensions.clone()),
            );
        }
        track.awaiting_keyframe = false;
        true
    }

    /// Queues an audio packet. False where this peer does not get it.
    pub(crate) fn write_audio(&mut self, packet: &OpusPacket) -> bool {
        let Some(track) = &mut self.audio else {
            return false;
        };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(track.mid, None) else {
            return false;
        };
        let reported = reported_time(packet.captured);
        let seq_no = track.next_seq.into();
        track.next_seq += 1;
        stream.write_rtp(
            RtpWrite::new(track.pt, seq_no, packet.rtp_time, reported, packet.data.clone())
                .marker(packet.talkspurt),
        );
        true
    }

    // --- The drain. ---

    /// Sends what is to be sent, notes what happened, and returns when the peer wants to be woken.
    pub(crate) fn drain(
        &mut self,
        now: Instant,
        out: &mut impl Outbox,
        events: &mut Vec<PeerEvent>,
    ) -> Result<Instant, RtcError> {
        let Self { rtc, phase, video, last_destination, farewell, .. } = self;
        let rtc_deadline = drain(rtc, now, |drained| match drained {
            Drained::Transmit(transmit) => {
                if *last_destination != Some(transmit.destination) {
                    *last_destination = Some(transmit.destination);
                    events.push(PeerEvent::NewDestination(transmit.destination));
                }
                out.transmit(transmit.source, transmit.destination, &transmit.contents);
            }
            Drained::Event(event) => match event {
                Event::Connected => {
                    *phase = Phase::Connected;
                    events.push(PeerEvent::Connected);
                }
                Event::IceConnectionStateChange(state) => {
                    let resumed = ice_changed(phase, state, now);
                    if resumed && let Some(track) = video {
                        track.awaiting_keyframe = true;
                        events.push(PeerEvent::KeyframeWanted);
                    }
                }
                Event::KeyframeRequest(_) => events.push(PeerEvent::KeyframeWanted),
                Event::RtpPacket(_) => events.push(PeerEvent::MicPacket),
                Event::Closed => {
                    farewell.get_or_insert(Farewell::Closed);
                }
                _ => {}
            },
        })?;
        if !self.rtc.is_alive() {
            events.push(PeerEvent::Gone(self.farewell.unwrap_or(Farewell::Closed)));
        }
        Ok(match self.phase {
            Phase::Connecting { until } | Phase::Disconnected { until } => until.min(rtc_deadline),
            Phase::Connected => rtc_deadline,
        })
    }

    /// Picks, from what was negotiated, what this peer is sent.
    fn choose_tracks(&mut self, answer: &str) {
        let seq_start = self.id.as_raw() & 0x7fff; // RFC 3550 §5.1: unpredictable; below 2^16 for SRTP.
        let (mut video, mut audio) = (None, None);
        for (mid, kind) in negotiate::media_sections(answer) {
            let Some(media) = self.rtc.media(mid) else {
                continue;
            };
            if !media.direction().is_sending() {
                continue;
            }
            let params = self.rtc.codec_config().params();
            let negotiated = media.remote_pts().iter().filter_map(|pt| {
                Some((*pt, params.iter().find(|param| param.pt() == *pt)?.spec()))
            });
            match kind {
                MediaKind::Video => {
                    // The session's preference first, then the browser's order; of the H264 profiles
                    // the one the encoder makes.
                    let chosen = negotiated
                        .filter_map(|(pt, spec)| Some((pt, spec, video_codec(spec.codec)?)))
                        .min_by_key(|(_, spec, codec)| {
                            (*codec != self.preferred, !is_constrained_baseline(spec))
                        });
                    video = video.or(chosen.map(|(pt, _, codec)| (mid, pt, codec)));
                }
                MediaKind::Audio => {
                    let opus = negotiated.into_iter().find(|(_, spec)| spec.codec == Codec::Opus);
                    audio = audio.or(opus.map(|(pt, _)| (mid, pt)));
                }
            }
        }
        self.video = video.map(|(mid, pt, codec)| match self.video.take() {
            Some(old) if old.mid == mid => VideoTrack {
                awaiting_keyframe: old.awaiting_keyframe || old.codec != codec,
                pt,
                codec,
                ..old
            },
            _ => VideoTrack { mid, pt, codec, next_seq: seq_start, awaiting_keyframe: true },
        });
        self.audio = audio.map(|(mid, pt)| match self.audio.take() {
            Some(old) if old.mid == mid => AudioTrack { pt, ..old },
            _ => AudioTrack { mid, pt, next_seq: seq_start },
        });
    }
}

/// The capture time as sender reports give it; see [`MAX_SOUND_LEAD`].
fn reported_time(captured: Instant) -> Instant {
    captured.checked_sub(MAX_SOUND_LEAD).unwrap_or(captured)
}

/// Follows ICE. True when a path was found again after it was lost.
fn ice_changed(phase: &mut Phase, state: IceConnectionState, now: Instant) -> bool {
    match (*phase, state) {
        (Phase::Connected, IceConnectionState::Disconnected) => {
            *phase = Phase::Disconnected { until: now + VANISH_GRACE };
            false
        }
        (
            Phase::Disconnected { .. },
            IceConnectionState::Connected | IceConnectionState::Completed,
        ) => {
            *phase = Phase::Connected;
            true
        }
        _ => false,
    }
}

fn video_codec(codec: Codec) -> Option<VideoCodec> {
    match codec {
        Codec::H264 => Some(VideoCodec::H264),
        Codec::Vp8 => Some(VideoCodec::Vp8),
        _ => None,
    }
}

/// Whether the first constraint flags of the `profile-level-id` say constrained baseline (RFC 6184
/// §8.1, table 5).
fn is_constrained_baseline(spec: &CodecSpec) -> bool {
    const PROFILE_AND_SET1: u32 = 0xff_4000;
    spec.format.profile_level_id.is_some_and(|id| id & PROFILE_AND_SET1 == 0x42_4000)
}
