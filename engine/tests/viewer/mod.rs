//! A viewer over a real socket: str0m as a client.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::channel::{ChannelData, ChannelId};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};
use visavis::EngineHandle;
use visavis::peer::PeerId;
use visavis::session::SessionId;

/// Long enough for any machine; a test that works never waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Viewer {
    pub id: PeerId,
    pub channel: Option<ChannelId>,
    pub messages: Vec<ChannelData>,
    pub connected: bool,
    pub video: Vec<RtpPacket>,
    pub audio: Vec<RtpPacket>,
    /// Access units, of a viewer that puts them together.
    pub units: Vec<Vec<u8>>,
    pub answer: String,
    microphone: Mid,
    /// Microphone packets that it has sent.
    spoken: u16,
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
}

fn local_socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

impl Viewer {
    /// A viewer that takes RTP packets as they come.
    pub(crate) fn join(engine: &EngineHandle, session: &SessionId) -> Self {
        Self::connect(engine, session, true, local_socket())
    }

    /// A viewer that puts access units together.
    pub(crate) fn join_for_units(engine: &EngineHandle, session: &SessionId) -> Self {
        Self::connect(engine, session, false, local_socket())
    }

    /// A viewer that has this socket.
    pub(crate) fn join_with(engine: &EngineHandle, session: &SessionId, socket: UdpSocket) -> Self {
        Self::connect(engine, session, true, socket)
    }

    fn connect(
        engine: &EngineHandle,
        session: &SessionId,
        rtp_mode: bool,
        socket: UdpSocket,
    ) -> Self {
        Self::connect_by(rtp_mode, Direction::RecvOnly, socket, |offer| {
            let answer = engine.connect(session, None, offer).unwrap();
            (answer.peer, answer.sdp)
        })
    }

    /// A viewer that takes RTP packets as they come, whose offer is answered elsewhere.
    pub(crate) fn join_by(answer: impl FnOnce(&str) -> String) -> Self {
        Self::join_with_audio(Direction::RecvOnly, answer)
    }

    /// As [`join_by`](Self::join_by), with a microphone.
    pub(crate) fn join_with_microphone_by(answer: impl FnOnce(&str) -> String) -> Self {
        Self::join_with_audio(Direction::SendRecv, answer)
    }

    fn join_with_audio(audio: Direction, answer: impl FnOnce(&str) -> String) -> Self {
        let answer = |offer: &str| (PeerId::from_raw(0), answer(offer));
        Self::connect_by(true, audio, local_socket(), answer)
    }

    fn connect_by(
        rtp_mode: bool,
        audio: Direction,
        socket: UdpSocket,
        answer: impl FnOnce(&str) -> (PeerId, String),
    ) -> Self {
        let local = socket.local_addr().unwrap();
        let mut rtc = Rtc::builder().set_rtp_mode(rtp_mode).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        let mut api = rtc.sdp_api();
        let microphone = api.add_media(MediaKind::Audio, audio, None, None, None);
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_channel("visavis".to_owned());
        let (offer, pending) = api.apply().unwrap();
        let (id, answer) = answer(&offer.to_sdp_string());
        let parsed = SdpAnswer::from_sdp_string(&answer).unwrap();
        rtc.sdp_api().accept_answer(pending, parsed).unwrap();
        let (video, audio, units) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            id,
            channel: None,
            messages: Vec::new(),
            connected: false,
            video,
            audio,
            units,
            answer,
            microphone,
            spoken: 0,
            rtc,
            socket,
            local,
        }
    }

    /// Lives until something is true of it; fails if that takes forever.
    pub(crate) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        self.push_until(done, || {});
    }

    /// As [`run_until`](Self::run_until), and pushes some media every 20 ms.
    pub(crate) fn push_until(&mut self, done: impl Fn(&Self) -> bool, mut push: impl FnMut()) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "it never came");
            push();
            self.run_for(Duration::from_millis(20));
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut buffer = [0; 2_000];
        loop {
            let next = self.drain().min(end);
            let now = Instant::now();
            if now >= end {
                return;
            }
            let wait = next.saturating_duration_since(now).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            let received = match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => Some((length, source)),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                    None
                }
            };
            let now = Instant::now();
            if let Some((length, source)) = received {
                let contents = Receive::new(Protocol::Udp, source, self.local, &buffer[..length]);
                self.rtc.handle_input(Input::Receive(now, contents.unwrap())).unwrap();
            } else {
                self.rtc.handle_input(Input::Timeout(now)).unwrap();
            }
        }
    }

    /// Sends a packet of Opus from its microphone every 20 ms for so long.
    pub(crate) fn speak_for(&mut self, time: Duration) {
        let codecs = self.rtc.codec_config().params();
        let opus = codecs.iter().find(|params| params.spec().codec == Codec::Opus).unwrap().pt();
        let end = Instant::now() + time;
        while Instant::now() < end {
            let (number, now) = (self.spoken, Instant::now());
            self.spoken += 1;
            // 20 ms of silence.
            let payload: Arc<[u8]> = [0xf8, 0xff, 0xfe].into();
            let time = u32::from(number) * 960;
            let packet = RtpWrite::new(opus, u64::from(number).into(), time, now, payload);
            let mut api = self.rtc.direct_api();
            api.stream_tx_by_mid(self.microphone, None).unwrap().write_rtp(packet);
            self.run_for(Duration::from_millis(20));
        }
    }

    /// Says something on its data channel.
    pub(crate) fn say(&mut self, text: &str) {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        assert!(channel.unwrap().write(false, text.as_bytes()).unwrap());
        self.drain();
    }

    fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(out) => {
                    // Where a network is taken away there is no way for a while.
                    let _ = self.socket.send_to(&out.contents, out.destination);
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => {
                    let audio = self.rtc.codec_config().params().iter().any(|params| {
                        params.pt() == packet.header.payload_type && params.spec().codec.is_audio()
                    });
                    if audio { self.audio.push(packet) } else { self.video.push(packet) }
                }
                Output::Event(Event::MediaData(media)) => self.units.push(media.data.to_vec()),
                Output::Event(Event::ChannelOpen(id, _)) => self.channel = Some(id),
                Output::Event(Event::ChannelData(data)) => self.messages.push(data),
                Output::Event(_) => {}
                Output::Timeout(at) => return at,
            }
        }
    }
}
