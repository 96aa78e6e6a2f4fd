//! An attacker's own peer, which any client can get.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::attack_run::{AttackRun, Random};
use super::wire::Client;

/// From the answer to a working connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How a peer is unlike an ordinary viewer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerOptions {
    /// It speaks.
    pub(super) speaks: bool,
    /// It loses this many of a hundred packets that come, on purpose.
    pub(super) loses: u8,
}

/// A peer that its owner lets work now and then.
pub(super) struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    client: Client,
    session: String,
    id: String,
    pub(super) local: SocketAddr,
    /// The credentials of the server's half, and the user name of this one.
    pub(super) server_ufrag: String,
    pub(super) server_password: String,
    pub(super) own_ufrag: String,
    audio: Mid,
    video: Mid,
    connected: bool,
    closed: bool,
    /// Sound packets that came.
    sounds: u64,
    options: PeerOptions,
    random: Random,
    sequence: u64,
    buffer: Box<[u8]>,
}

impl Peer {
    /// Offers to watch the default session, from an address of this machine.
    pub(super) fn join(
        run: &AttackRun,
        from: Ipv4Addr,
        options: PeerOptions,
    ) -> Result<Self, String> {
        Self::join_session(run, from, "default", options)
    }

    /// Offers to watch a session.
    pub(super) fn join_session(
        run: &AttackRun,
        from: Ipv4Addr,
        session: &str,
        options: PeerOptions,
    ) -> Result<Self, String> {
        let open = || {
            let socket = UdpSocket::bind((from, 0))?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let (socket, local) = open().map_err(|error: std::io::Error| error.to_string())?;
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .enable_vp8(true)
            .build(Instant::now());
        let candidate = Candidate::host(local, "udp").map_err(|error| error.to_string())?;
        rtc.add_local_candidate(candidate);
        let mut change = rtc.sdp_api();
        let direction = if options.speaks { Direction::SendRecv } else { Direction::RecvOnly };
        let audio = change.add_media(MediaKind::Audio, direction, None, None, None);
        let video = change.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = change.apply().ok_or("nothing to offer")?;
        let own_ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        let mut peer = Self {
            rtc,
            socket,
            client: Client::new(from, run.tcp),
            session: session.to_owned(),
            id: String::new(),
            local,
            server_ufrag: String::new(),
            server_password: String::new(),
            own_ufrag,
            audio,
            video,
            connected: false,
            closed: false,
            sounds: 0,
            options,
            random: Random::new(usize::from(local.port())),
            sequence: 1,
            buffer: vec![0; 65_536].into_boxed_slice(),
        };
        peer.exchange(&offer.to_sdp_string(), pending)?;
        Ok(peer)
    }

    /// The same, until media can flow.
    pub(super) fn connect(
        run: &AttackRun,
        from: Ipv4Addr,
        options: PeerOptions,
    ) -> Result<Self, String> {
        let mut peer = Self::join(run, from, options)?;
        peer.wait_connected(run)?;
        Ok(peer)
    }

    pub(super) fn wait_connected(&mut self, run: &AttackRun) -> Result<(), String> {
        let end = Instant::now() + CONNECT.min(run.left());
        while !self.connected {
            if Instant::now() >= end || self.closed {
                return Err("an attacker's own peer did not connect".to_owned());
            }
            self.work(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sound packets that came so far.
    pub(super) fn sounds(&self) -> u64 {
        self.sounds
    }

    /// A new offer with new credentials (RFC 8445 §9).
    pub(super) fn restart_ice(&mut self) -> Result<(), String> {
        let mut change = self.rtc.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply().ok_or("nothing to offer")?;
        self.exchange(&offer.to_sdp_string(), pending)
    }

    fn exchange(&mut self, offer: &str, pending: SdpPendingOffer) -> Result<(), String> {
        let mut body = json!({"type": "offer", "sdp": offer});
        if !self.id.is_empty() {
            body["peerId"] = Value::from(self.id.clone());
        }
        let path = format!("/webrtc/sessions/{}/offer", self.session);
        let answer = self.client.post_json(&path, &body).map_err(|error| error.to_string())?;
        if !answer.is_success() {
            return Err(format!("its offer was answered {}", answer.status));
        }
        let answer: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let sdp = answer.get("sdp").and_then(Value::as_str).ok_or("an answer without SDP")?;
        let line = |name: &str| {
            let found = sdp.lines().find_map(|line| line.strip_prefix(name));
            found.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        self.server_ufrag = line("a=ice-ufrag:");
        self.server_password = line("a=ice-pwd:");
        if let Some(id) = answer.get("peerId").and_then(Value::as_str) {
            self.id = id.to_owned();
        }
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| error.to_string())?;
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
        accepted.map_err(|error| error.to_string())?;
        self.own_ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        self.drain();
        Ok(())
    }

    /// Takes what came, sends what is due, and waits for `time` at most.
    pub(super) fn work(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            while self.receive() {}
            let _ = self.rtc.handle_input(Input::Timeout(Instant::now()));
            self.drain();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(2)));
        }
    }

    fn receive(&mut self) -> bool {
        let (length, source) = match self.socket.recv_from(&mut self.buffer) {
            Ok(received) => received,
            // An ICMP answer to something sent earlier.
            Err(error) => return error.kind() == ErrorKind::ConnectionRefused,
        };
        let datagram = self.buffer.get(..length).unwrap_or_default();
        let media = matches!(datagram, [128..=191, second, ..] if !(192..=223).contains(second));
        if media && self.random.below(100) < usize::from(self.options.loses) {
            return true;
        }
        if let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, datagram) {
            let _ = self.rtc.handle_input(Input::Receive(Instant::now(), receive));
            self.drain();
        }
        true
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(_)) => return,
                Ok(Output::Transmit(out)) => {
                    let _ = self.socket.send_to(&out.contents, out.destination);
                }
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::Closed)) => self.closed = true,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let kind = packet.header.payload_type;
                    let mut params = self.rtc.codec_config().params().iter();
                    let of = params.find(|params| params.pt() == kind);
                    self.sounds += u64::from(of.is_some_and(|of| of.spec().codec.is_audio()));
                }
                Ok(Output::Event(_)) => {}
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    /// Sends an arbitrary datagram from the peer's socket.
    pub(super) fn send_raw(&self, datagram: &[u8], to: SocketAddr) {
        let _ = self.socket.send_to(datagram, to);
    }

    /// Sends a microphone packet, `ticks` of 48 kHz long.
    pub(super) fn speak(&mut self, packet: &[u8], ticks: u32) {
        let params = self.rtc.codec_config().params().iter();
        let opus = params.map(|params| (params.pt(), params.spec().codec));
        let Some((pt, _)) = opus.into_iter().find(|(_, codec)| codec.is_audio()) else { return };
        let time = (self.sequence as u32).wrapping_mul(ticks);
        let write = RtpWrite::new(pt, self.sequence.into(), time, Instant::now(), packet.to_vec());
        if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(self.audio, None) {
            stream.write_rtp(write);
            self.sequence += 1;
        }
        self.drain();
    }

    /// Asks for a keyframe.
    pub(super) fn ask_for_keyframe(&mut self) {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(self.video, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        let _ = self.rtc.handle_input(Input::Timeout(Instant::now()));
        self.drain();
    }
}
