//! One viewer: signaling, ICE, DTLS, SRTP, and what it received.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use mio::{Registry, Token};
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpPacket};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::figures::Figures;
use super::inbox::{Arrival, Inbox, MediaSocket};
use super::options::VideoCodec;
use super::report::{StreamReport, ViewerReport};
use super::role::Role;
use super::shared::Watcher;
use super::signal::Signal;
use super::stream::{Packet, Progress, StreamMeter, h264_keyframe, vp8_keyframe};
use crate::mark::find_mark;

/// A browser asks again about this often while it cannot decode.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// Losses are looked for this often while packets are missing.
const LOSS_TICK: Duration = Duration::from_millis(50);

/// Extension ids beyond the standard map's.
const ABS_CAPTURE_TIME_ID: u8 = 12;

/// What viewers share.
#[derive(Debug)]
pub(super) struct ViewerSetup {
    /// One for all of them: making one takes milliseconds.
    pub(super) certificate: DtlsCert,
    /// Crypto for those that do not decrypt media.
    pub(super) blind: Option<Arc<CryptoProvider>>,
    pub(super) codec: Option<VideoCodec>,
    /// RTP times may have a different offset for each viewer: frames are identified by their marks, which every viewer
    /// reads.
    pub(super) own_times: bool,
}

/// More frames than are open at a viewer at any time.
const OPEN_FRAMES: usize = 64;

pub(super) struct Viewer {
    role: Role,
    signal: Signal,
    token: Token,
    rtc: Rtc,
    offer: Option<SdpPendingOffer>,
    socket: Option<MediaSocket>,
    /// The latest time passed to the peer.
    told: Instant,
    /// Codecs by payload type.
    codecs: Vec<(u8, Codec)>,
    video_mid: Option<Mid>,
    /// The ICE user name of the server's half.
    server_ufrag: Option<String>,
    started: Instant,
    connected: Option<Duration>,
    first_picture: Option<Duration>,
    video_codec: Option<Codec>,
    video: StreamMeter,
    audio: StreamMeter,
    keyframe_wanted: bool,
    keyframe_asked: Option<Instant>,
    keyframe_requests: u32,
    /// RTP time of the last video frame whose time of pushing is known.
    timed: Option<u32>,
    /// Where RTP times are this viewer's own: those of the latest frames, with the counters in their
    /// marks.
    counters: Option<VecDeque<(u32, u32)>>,
    /// Capture time, since the Unix epoch, of the video frame that is coming in.
    captured: Option<Duration>,
    error: Option<String>,
}

impl Viewer {
    /// Makes a viewer whose signaling has begun to connect. `token` is its media socket's.
    pub(super) fn new(
        signal: Signal,
        token: Token,
        role: Role,
        setup: &ViewerSetup,
        now: Instant,
    ) -> Self {
        let mut config = setup.config();
        if let Some(blind) = setup.blind.as_ref().filter(|_| !role.decrypts) {
            config = config.set_crypto_provider(Arc::clone(blind));
        }
        let params = config.codec_config().params().iter();
        let codecs = params.map(|params| (*params.pt(), params.spec().codec)).collect();
        Self {
            role,
            signal,
            token,
            rtc: config.build(now),
            offer: None,
            socket: None,
            told: now,
            codecs,
            video_mid: None,
            server_ufrag: None,
            started: now,
            connected: None,
            first_picture: None,
            video_codec: None,
            video: StreamMeter::new(true),
            audio: StreamMeter::new(false),
            keyframe_wanted: false,
            keyframe_asked: None,
            keyframe_requests: 0,
            timed: None,
            counters: setup.own_times.then(VecDeque::new),
            captured: None,
            error: None,
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// When it had its first picture.
    pub(super) fn picture_at(&self) -> Option<Instant> {
        self.first_picture.map(|took| self.started + took)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.is_some() && self.error.is_none()
    }

    pub(super) fn has_picture(&self) -> bool {
        self.first_picture.is_some()
    }

    /// What went wrong first.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// The signaling socket is ready. Returns when to call [`time`](Self::time).
    pub(super) fn signal_ready(
        &mut self,
        registry: &Registry,
        figures: &mut Figures,
        now: Arrival,
    ) -> Instant {
        let outcome = self.signal.advance().and_then(|messages| {
            for message in messages {
                self.message(&message, registry)?;
            }
            Ok(())
        });
        self.keep(outcome);
        self.drain(figures, now)
    }

    /// The media socket is readable. Returns when to call [`time`](Self::time), where that changed.
    pub(super) fn media_ready(
        &mut self,
        inbox: &mut Inbox,
        figures: &mut Figures,
    ) -> Option<Instant> {
        let mut next = None;
        loop {
            let socket = self.socket.as_ref()?;
            let local = socket.local();
            let outcome = inbox.fill(socket);
            let more = outcome.as_ref().is_ok_and(|more| *more);
            self.keep(outcome.map(drop).map_err(|error| error.to_string()));
            for (source, arrival, datagram) in inbox.datagrams() {
                figures.datagram(self.role, datagram, arrival);
                let Ok(receive) = Receive::new(Protocol::Udp, source, local, datagram) else {
                    continue;
                };
                // The peer's time never goes back, though a datagram may have waited here.
                self.told = self.told.max(arrival.at);
                let outcome = self.rtc.handle_input(Input::Receive(self.told, receive));
                self.keep(outcome.map_err(|error| error.to_string()));
                next = Some(self.drain(figures, arrival));
            }
            if !more {
                return next;
            }
        }
    }

    /// A deadline has come.
    pub(super) fn time(&mut self, figures: &mut Figures, now: Arrival) -> Instant {
        self.told = self.told.max(now.at);
        let outcome = self.rtc.handle_input(Input::Timeout(self.told));
        self.keep(outcome.map_err(|error| error.to_string()));
        let lost = self.lost();
        let progress = self.video.tick(now.at);
        self.note_video(&progress, figures, now);
        self.audio.tick(now.at);
        figures.lost(self.role, self.lost() - lost, now);
        self.drain(figures, now)
    }

    /// Closes both connections.
    pub(super) fn leave(&mut self, figures: &mut Figures, now: Arrival) {
        let outcome = self.rtc.close();
        self.keep(outcome.map_err(|error| error.to_string()));
        self.drain(figures, now);
        self.signal.close();
    }

    pub(super) fn report(&self, now: Instant) -> ViewerReport {
        let millis = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        ViewerReport {
            connect_ms: self.connected.map(millis),
            first_picture_ms: self.first_picture.map(millis),
            video_codec: self.video_codec.map(|codec| codec.to_string()),
            video: StreamReport::new(self.video.counts(), self.video.longest_gap(now)),
            audio: StreamReport::new(self.audio.counts(), self.audio.longest_gap(now)),
            keyframe_requests: self.keyframe_requests,
            error: self.error.clone(),
        }
    }

    /// What it has seen up to now.
    pub(super) fn seen(&mut self, now: Instant) -> Watcher {
        Watcher {
            address: self.socket.as_ref().map(MediaSocket::local),
            server_ufrag: self.server_ufrag.clone(),
            own_ufrag: self.rtc.direct_api().local_ice_credentials().ufrag,
            without_picture: self.video.since_last(now),
            sounds: self.audio.counts().packets,
            error: self.error.clone(),
        }
    }

    fn message(&mut self, message: &Value, registry: &Registry) -> Result<(), String> {
        match message.get("type").and_then(Value::as_str) {
            Some("config") => self.send_offer(),
            Some("answer") => {
                let sdp = message.pointer("/data/sdp").and_then(Value::as_str);
                self.answer(sdp.ok_or("an answer without data.sdp")?, registry)
            }
            Some("offer") => {
                let sdp = message.pointer("/data/sdp").and_then(Value::as_str);
                self.take_offer(sdp.ok_or("an offer without data.sdp")?, registry)
            }
            Some("ice-candidate") => {
                let text = message.pointer("/data/candidate").and_then(Value::as_str);
                self.candidate(text.unwrap_or_default(), registry)
            }
            Some("ping") => self.signal.send(&json!({"type": "pong"})),
            Some("error") => Err(format!("error from the server: {message}")),
            _ => Err(format!("a message outside the protocol: {message}")),
        }
    }

    fn send_offer(&mut self) -> Result<(), String> {
        let mut change = self.rtc.sdp_api();
        change.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let video = change.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = change.apply().ok_or("nothing to offer")?;
        self.video_mid = Some(video);
        self.offer = Some(pending);
        let data = json!({"type": "offer", "sdp": offer.to_sdp_string()});
        self.signal.send(&json!({"type": "offer", "data": data}))
    }

    fn answer(&mut self, sdp: &str, registry: &Registry) -> Result<(), String> {
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| error.to_string())?;
        let ufrag = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
        self.server_ufrag = ufrag.map(|ufrag| ufrag.trim().to_owned());
        let pending = self.offer.take().ok_or("an answer that nobody asked for")?;
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
        accepted.map_err(|error| error.to_string())?;
        self.open_socket_for(sdp, registry)
    }

    /// Some servers offer, and the viewer answers.
    fn take_offer(&mut self, sdp: &str, registry: &Registry) -> Result<(), String> {
        let offer = SdpOffer::from_sdp_string(sdp).map_err(|error| error.to_string())?;
        // The answer carries the candidate.
        self.open_socket_for(sdp, registry)?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| error.to_string())?;
        // Payload types are those of the offer.
        let params = self.rtc.codec_config().params().iter();
        self.codecs = params.map(|params| (*params.pt(), params.spec().codec)).collect();
        let data = json!({"type": "answer", "sdp": answer.to_sdp_string()});
        self.signal.send(&json!({"type": "answer", "data": data}))
    }

    /// Opens the media socket towards the candidates that a description carries, if it does.
    fn open_socket_for(&mut self, sdp: &str, registry: &Registry) -> Result<(), String> {
        let lines = sdp.lines().filter_map(|line| line.strip_prefix("a="));
        let candidates = lines.filter(|line| line.starts_with("candidate:"));
        for line in candidates {
            let candidate = Candidate::from_sdp_string(line).map_err(|error| error.to_string())?;
            self.open_socket(candidate.addr().ip(), registry)?;
        }
        Ok(())
    }

    fn candidate(&mut self, text: &str, registry: &Registry) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let candidate = Candidate::from_sdp_string(text).map_err(|error| error.to_string())?;
        let remote = candidate.addr().ip();
        self.rtc.add_remote_candidate(candidate);
        self.open_socket(remote, registry)
    }

    /// Opens the media socket, once, on the address from which this machine reaches the server.
    fn open_socket(&mut self, remote: IpAddr, registry: &Registry) -> Result<(), String> {
        if self.socket.is_some() {
            return Ok(());
        }
        let socket = MediaSocket::open(remote, registry, self.token)
            .map_err(|error| format!("media socket: {error}"))?;
        let candidate =
            Candidate::host(socket.local(), "udp").map_err(|error| error.to_string())?;
        let text = candidate.to_sdp_string();
        self.rtc.add_local_candidate(candidate);
        self.socket = Some(socket);
        let data = json!({"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0});
        self.signal.send(&json!({"type": "ice-candidate", "data": data}))
    }

    /// Takes everything out of the peer, as it demands after each input.
    fn drain(&mut self, figures: &mut Figures, now: Arrival) -> Instant {
        loop {
            self.ask_for_keyframe(now.at);
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    let waiting = self.video.is_waiting() || self.audio.is_waiting();
                    return if waiting { at.min(now.at + LOSS_TICK) } else { at };
                }
                Ok(Output::Transmit(out)) => {
                    if let Some(socket) = &self.socket {
                        socket.send(&out.contents, out.destination);
                    }
                }
                Ok(Output::Event(event)) => self.event(event, figures, now),
                Err(error) => {
                    self.keep(Err(error.to_string()));
                    return now.at + Duration::from_secs(3_600);
                }
            }
        }
    }

    fn event(&mut self, event: Event, figures: &mut Figures, now: Arrival) {
        match event {
            Event::Connected => {
                let took = now.at.duration_since(self.started);
                self.connected = Some(took);
                figures.connect.record(took);
            }
            // Known already where the viewer offered.
            Event::MediaAdded(media) if media.kind == MediaKind::Video => {
                self.video_mid = Some(media.mid);
            }
            Event::RtpPacket(packet) => self.rtp(&packet, figures, now),
            Event::Closed => self.keep(Err("the server closed the peer".to_owned())),
            _ => {}
        }
    }

    fn rtp(&mut self, packet: &RtpPacket, figures: &mut Figures, now: Arrival) {
        let payload_type = *packet.header.payload_type;
        let codec = self.codecs.iter().find(|(known, _)| *known == payload_type);
        let Some(&(_, codec)) = codec else { return };
        let mut received = Packet {
            sequence: *packet.seq_no,
            time: packet.header.timestamp.into(),
            marker: packet.header.marker,
            bytes: packet.payload.len(),
            keyframe: false,
        };
        if codec.is_audio() {
            self.audio.packet(received, now.at);
            return;
        }
        self.video_codec = Some(codec);
        received.keyframe = match codec {
            // A server sends nothing before a keyframe; for one that cannot look, the first frame is it.
            _ if !self.role.decrypts => !self.video.has_picture(),
            Codec::H264 => h264_keyframe(&packet.payload),
            _ => vp8_keyframe(&packet.payload),
        };
        if self.timed != Some(packet.header.timestamp) {
            self.learn_push(packet, figures, now);
        }
        let progress = self.video.packet(received, now.at);
        // A frame ended without being decodable: nothing to show yet.
        self.keyframe_wanted |= received.marker && !self.video.has_picture();
        self.note_video(&progress, figures, now);
    }

    /// Finds out when the frame of this packet was pushed.
    fn learn_push(&mut self, packet: &RtpPacket, figures: &mut Figures, now: Arrival) {
        let rtp_time = packet.header.timestamp;
        if let Some(time) = packet.header.ext_vals.abs_capture_time {
            let captured = time.capture_time.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.captured = Some(captured);
            if let Some(frames) = &mut figures.frames {
                frames.captured(rtp_time, captured);
            }
        }
        let Some(frames) = figures.frames.as_mut().filter(|frames| frames.wants_marks()) else {
            self.timed = Some(rtp_time);
            return;
        };
        if !self.role.decrypts {
            self.timed = Some(rtp_time);
        } else if let Some(counter) = find_mark(&packet.payload) {
            let known_as = match &mut self.counters {
                Some(counters) => {
                    counters.truncate(OPEN_FRAMES - 1);
                    counters.push_front((rtp_time, counter));
                    counter
                }
                None => rtp_time,
            };
            frames.marked(known_as, counter, now.at);
            self.timed = Some(rtp_time);
        }
    }

    fn note_video(&mut self, progress: &Progress, figures: &mut Figures, now: Arrival) {
        self.keyframe_wanted |= progress.needs_keyframe;
        if progress.first_picture {
            let took = now.at.duration_since(self.started);
            self.first_picture = Some(took);
            figures.first_picture.record(took);
            self.keyframe_wanted = false;
        }
        if progress.frames.is_empty() || !self.role.watcher {
            return;
        }
        if let Some(gap) = progress.gap {
            figures.gap(gap, now);
        }
        if let Some(captured) = self.captured.take() {
            figures.latency(now.unix.saturating_sub(captured), now);
        }
        if let Some(frames) = &mut figures.frames {
            for &time in &progress.frames {
                let time = time as u32;
                let known_as = match &self.counters {
                    Some(counters) => {
                        let found = counters.iter().find(|(known, _)| *known == time);
                        found.map(|&(_, counter)| counter)
                    }
                    None => Some(time),
                };
                if let Some(known_as) = known_as {
                    frames.arrived(known_as, now);
                }
            }
        }
    }

    fn lost(&self) -> u64 {
        self.video.counts().lost + self.audio.counts().lost
    }

    fn ask_for_keyframe(&mut self, now: Instant) {
        let recently = self
            .keyframe_asked
            .is_some_and(|asked| now.duration_since(asked) < KEYFRAME_REQUEST_INTERVAL);
        let Some(mid) = self.video_mid.filter(|_| self.keyframe_wanted && !recently) else {
            return;
        };
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.keyframe_wanted = false;
            self.keyframe_asked = Some(now);
            self.keyframe_requests += 1;
        }
    }

    fn keep(&mut self, outcome: Result<(), String>) {
        if let Err(error) = outcome {
            self.error.get_or_insert(error);
        }
    }
}

impl ViewerSetup {
    /// A viewer's configuration, but for what its role adds.
    pub(super) fn config(&self) -> RtcConfig {
        let config = RtcConfig::new()
            .set_dtls_cert(self.certificate.clone())
            .set_rtp_mode(true)
            .set_extension(ABS_CAPTURE_TIME_ID, Extension::AbsoluteCaptureTime)
            .clear_codecs()
            .enable_opus(true, false);
        match self.codec {
            Some(VideoCodec::H264) => config.enable_h264(true),
            Some(VideoCodec::Vp8) => config.enable_vp8(true),
            None => config.enable_h264(true).enable_vp8(true),
        }
    }
}
