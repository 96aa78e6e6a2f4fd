//! One viewer: signaling, ICE, DTLS, SRTP, and what it received.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpPacket};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::report::{StreamReport, ViewerReport};
use super::signal::Signal;
use super::stream::{Packet, Progress, StreamMeter, h264_keyframe, vp8_keyframe};
use super::{Figures, VideoCodec};

/// A browser asks again about this often while it cannot decode.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// Room for a keyframe to one viewer while the loop serves the others.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Larger than any datagram that media comes in.
const DATAGRAM: usize = 2_048;

/// Extension ids beyond the standard map's.
const ABS_CAPTURE_TIME_ID: u8 = 12;

pub(super) struct Viewer {
    signal: Signal,
    token: Token,
    rtc: Rtc,
    offer: Option<SdpPendingOffer>,
    socket: Option<(UdpSocket, SocketAddr)>,
    video_mid: Option<Mid>,
    started: Instant,
    connected: Option<Duration>,
    first_picture: Option<Duration>,
    video_codec: Option<Codec>,
    video: StreamMeter,
    audio: StreamMeter,
    keyframe_wanted: bool,
    keyframe_asked: Option<Instant>,
    keyframe_requests: u32,
    /// Capture time of the video frame that is coming in.
    captured: Option<SystemTime>,
    error: Option<String>,
}

impl Viewer {
    /// Makes a viewer whose signaling has begun to connect. `token` is its media socket's.
    pub(super) fn new(
        signal: Signal,
        token: Token,
        codec: Option<VideoCodec>,
        certificate: DtlsCert,
        now: Instant,
    ) -> Self {
        let mut config = RtcConfig::new()
            .set_dtls_cert(certificate)
            .set_rtp_mode(true)
            .set_extension(ABS_CAPTURE_TIME_ID, Extension::AbsoluteCaptureTime)
            .clear_codecs()
            .enable_opus(true, false);
        config = match codec {
            Some(VideoCodec::H264) => config.enable_h264(true),
            Some(VideoCodec::Vp8) => config.enable_vp8(true),
            None => config.enable_h264(true).enable_vp8(true),
        };
        Self {
            signal,
            token,
            rtc: config.build(now),
            offer: None,
            socket: None,
            video_mid: None,
            started: now,
            connected: None,
            first_picture: None,
            video_codec: None,
            video: StreamMeter::new(true),
            audio: StreamMeter::new(false),
            keyframe_wanted: false,
            keyframe_asked: None,
            keyframe_requests: 0,
            captured: None,
            error: None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.is_some() && self.error.is_none()
    }

    pub(super) fn has_picture(&self) -> bool {
        self.first_picture.is_some()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// The signaling socket is ready. Returns when to call [`time`](Self::time).
    pub(super) fn signal_ready(
        &mut self,
        registry: &Registry,
        figures: &mut Figures,
        now: Instant,
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

    /// The media socket is readable.
    pub(super) fn media_ready(&mut self, figures: &mut Figures, now: Instant) -> Instant {
        let mut next = now;
        let mut datagram = [0; DATAGRAM];
        loop {
            let Some((socket, local)) = &self.socket else { return next };
            let (length, source) = match socket.recv_from(&mut datagram) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP answer to something sent earlier; the socket goes on.
                Err(_) => continue,
            };
            // Arrival is when this datagram is read, not when the loop woke up.
            let now = Instant::now();
            let bytes = datagram.get(..length).unwrap_or_default();
            let Ok(receive) = Receive::new(Protocol::Udp, source, *local, bytes) else { continue };
            let outcome = self.rtc.handle_input(Input::Receive(now, receive));
            self.keep(outcome.map_err(|error| error.to_string()));
            next = self.drain(figures, now);
        }
        next
    }

    /// A deadline has come.
    pub(super) fn time(&mut self, figures: &mut Figures, now: Instant) -> Instant {
        let outcome = self.rtc.handle_input(Input::Timeout(now));
        self.keep(outcome.map_err(|error| error.to_string()));
        let progress = self.video.tick(now);
        self.note_video(progress, figures, now);
        self.audio.tick(now);
        self.drain(figures, now)
    }

    /// Says goodbye on both connections.
    pub(super) fn leave(&mut self, figures: &mut Figures, now: Instant) {
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

    fn message(&mut self, message: &Value, registry: &Registry) -> Result<(), String> {
        match message.get("type").and_then(Value::as_str) {
            Some("config") => self.send_offer(),
            Some("answer") => {
                let sdp = message.pointer("/data/sdp").and_then(Value::as_str);
                self.answer(sdp.ok_or("an answer without data.sdp")?, registry)
            }
            Some("ice-candidate") => {
                let text = message.pointer("/data/candidate").and_then(Value::as_str);
                self.candidate(text.unwrap_or_default(), registry)
            }
            Some("ping") => self.signal.send(&json!({"type": "pong"})),
            Some("error") => Err(format!("the server said {message}")),
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
        let pending = self.offer.take().ok_or("an answer that nobody asked for")?;
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
        accepted.map_err(|error| error.to_string())?;
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
        let (socket, local) =
            bind_towards(remote, registry, self.token).map_err(|error| error.to_string())?;
        let candidate = Candidate::host(local, "udp").map_err(|error| error.to_string())?;
        let text = candidate.to_sdp_string();
        self.rtc.add_local_candidate(candidate);
        self.socket = Some((socket, local));
        let data = json!({"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0});
        self.signal.send(&json!({"type": "ice-candidate", "data": data}))
    }

    /// Takes everything out of the peer, as it demands after each input.
    fn drain(&mut self, figures: &mut Figures, now: Instant) -> Instant {
        loop {
            self.ask_for_keyframe(now);
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => return at,
                Ok(Output::Transmit(out)) => {
                    if let Some((socket, _)) = &self.socket {
                        // A full socket loses a datagram, which is what networks do.
                        let _ = socket.send_to(&out.contents, out.destination);
                    }
                }
                Ok(Output::Event(event)) => self.event(event, figures, now),
                Err(error) => {
                    self.keep(Err(error.to_string()));
                    return now + Duration::from_secs(3_600);
                }
            }
        }
    }

    fn event(&mut self, event: Event, figures: &mut Figures, now: Instant) {
        match event {
            Event::Connected => {
                let took = now.duration_since(self.started);
                self.connected = Some(took);
                figures.connect.record(took);
            }
            Event::RtpPacket(packet) => self.rtp(&packet, figures, now),
            Event::Closed => self.keep(Err("the server closed the peer".to_owned())),
            _ => {}
        }
    }

    fn rtp(&mut self, packet: &RtpPacket, figures: &mut Figures, now: Instant) {
        let params = self.rtc.codec_config().params().iter();
        let codec = params
            .filter(|params| params.pt() == packet.header.payload_type)
            .map(|params| params.spec().codec)
            .next();
        let Some(codec) = codec else { return };
        let mut received = Packet {
            sequence: *packet.seq_no,
            time: packet.time.numer(),
            marker: packet.header.marker,
            bytes: packet.payload.len(),
            keyframe: false,
        };
        if codec.is_audio() {
            self.audio.packet(received, now);
            return;
        }
        self.video_codec = Some(codec);
        received.keyframe = match codec {
            Codec::H264 => h264_keyframe(&packet.payload),
            _ => vp8_keyframe(&packet.payload),
        };
        if let Some(time) = packet.header.ext_vals.abs_capture_time {
            self.captured = Some(time.capture_time);
        }
        let progress = self.video.packet(received, now);
        // A frame ended without being decodable: nothing to show yet.
        self.keyframe_wanted |= received.marker && !self.video.has_picture();
        self.note_video(progress, figures, now);
    }

    fn note_video(&mut self, progress: Progress, figures: &mut Figures, now: Instant) {
        self.keyframe_wanted |= progress.needs_keyframe;
        if progress.first_picture {
            let took = now.duration_since(self.started);
            self.first_picture = Some(took);
            figures.first_picture.record(took);
            self.keyframe_wanted = false;
        }
        if let Some(gap) = progress.gap {
            figures.gap.record(gap);
        }
        if progress.frames > 0
            && let Some(captured) = self.captured.take()
            && let Ok(age) = SystemTime::now().duration_since(captured)
        {
            figures.latency.record(age);
        }
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

fn bind_towards(
    remote: IpAddr,
    registry: &Registry,
    token: Token,
) -> io::Result<(UdpSocket, SocketAddr)> {
    // Connecting a socket sends nothing; it makes the kernel choose the local address.
    let any: IpAddr = match remote {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect((remote, 9))?;
    let socket = std::net::UdpSocket::bind((probe.local_addr()?.ip(), 0))?;
    socket.set_nonblocking(true)?;
    // The kernel gives less where its limit is lower, which is no failure.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    let local = socket.local_addr()?;
    let mut socket = UdpSocket::from_std(socket);
    registry.register(&mut socket, token, Interest::READABLE)?;
    Ok((socket, local))
}
