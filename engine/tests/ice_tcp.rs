//! Viewers that come by TCP (RFC 6544), and strangers that do.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, Event, Input, Output, Rtc};
use visavis::video::{EncodedFrame, VideoCodec};
use visavis::{Engine, EngineConfig, Session, SessionConfig};

const PATIENCE: Duration = Duration::from_secs(20);

fn engine() -> (Engine, Session) {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(udp)).unwrap();
    let config = SessionConfig::default().encoded(VideoCodec::H264).idle(None);
    let session = engine.create_session(config).unwrap();
    session.start();
    (engine, session)
}

/// A viewer that has a TCP connection and nothing else.
struct Viewer {
    rtc: Rtc,
    stream: TcpStream,
    /// Received, up to the next whole packet.
    bytes: Vec<u8>,
    /// Payload bytes of pictures, and when the last of them came.
    video: usize,
    packets: usize,
    connected: bool,
}

impl Viewer {
    fn join(engine: &Engine, session: &Session) -> Self {
        Self::join_at(engine, session, engine.udp_addr())
    }

    fn join_at(engine: &Engine, session: &Session, to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(Instant::now());
        let local = stream.local_addr().unwrap();
        let own = Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build().unwrap();
        rtc.add_local_candidate(own);
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let answer = engine.handle().connect(session.id(), None, &offer.to_sdp_string()).unwrap();
        let passive = format!(" 127.0.0.1 {} typ host tcptype passive", to.port());
        let is_passive = |line: &str| line.contains(" 1 tcp ") && line.contains(&passive);
        assert!(answer.sdp.lines().any(is_passive), "{}", answer.sdp);
        let answer = SdpAnswer::from_sdp_string(&answer.sdp).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
        Self { rtc, stream, bytes: Vec::new(), video: 0, packets: 0, connected: false }
    }

    fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.drain();
            let mut buffer = [0; 16_384];
            match self.stream.read(&mut buffer) {
                Ok(length) => {
                    assert!(length > 0, "the server has closed the connection");
                    self.bytes.extend_from_slice(&buffer[..length]);
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                }
            }
            while let Some((length, rest)) = self.bytes.split_first_chunk()
                && let Some(packet) = rest.get(..usize::from(u16::from_be_bytes(*length)))
            {
                let (from, to) =
                    (self.stream.peer_addr().unwrap(), self.stream.local_addr().unwrap());
                let received = Receive::new(Protocol::Tcp, from, to, packet).unwrap();
                self.rtc.handle_input(Input::Receive(Instant::now(), received)).unwrap();
                let length = 2 + packet.len();
                self.bytes.drain(..length);
                self.drain();
            }
            self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
        }
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool, mut push: impl FnMut()) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "it never came");
            push();
            self.run_for(Duration::from_millis(20));
        }
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(out) if out.proto == Protocol::Tcp => {
                    let length = u16::try_from(out.contents.len()).unwrap().to_be_bytes();
                    let framed = [&length[..], &out.contents].concat();
                    self.stream.write_all(&framed).unwrap();
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => {
                    self.video += packet.payload.len();
                    self.packets += 1;
                }
                Output::Timeout(_) => return,
                Output::Transmit(_) | Output::Event(_) => {}
            }
        }
    }
}

/// Pushes a picture of so many bytes.
fn push(session: &Session, bytes: usize) {
    let sink = session.encoded_video();
    let mut unit = vec![0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40];
    unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80, 0, 0, 0, 1, 0x65]);
    unit.resize(bytes, 0xff);
    sink.push(&EncodedFrame::new(&unit, VideoCodec::H264)).unwrap();
}

fn refused(engine: &Engine) -> u64 {
    use visavis::status::Refusal;
    engine.handle().refusals().get(Refusal::Connection)
}

#[test]
fn a_viewer_is_connected_and_sees_pictures_over_tcp_alone() {
    let (engine, session) = engine();
    let mut viewer = Viewer::join(&engine, &session);
    viewer.run_until(|viewer| viewer.connected, || {});
    viewer.run_until(|viewer| viewer.video > 100_000, || push(&session, 5_000));
    assert_eq!(session.status().peer_count, 1);
    let by_tcp = |_: &Viewer| session.viewers()[0].network.is_some_and(|network| network.is_by_tcp);
    viewer.run_until(by_tcp, || push(&session, 5_000));
    assert_eq!(session.status().networks.unwrap().by_tcp, 1);
    // It leaves, and its connection is closed.
    let peer = session.viewers()[0].peer;
    engine.handle().disconnect(peer);
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 4_096];
    viewer.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while viewer.stream.read(&mut buffer).unwrap() > 0 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(refused(&engine), 0);
}

#[test]
fn a_viewer_that_reads_nothing_costs_the_others_nothing_and_is_over_after_a_while() {
    let (engine, session) = engine();
    let [mut idler, mut other] = [(), ()].map(|()| Viewer::join(&engine, &session));
    idler.run_until(|viewer| viewer.connected, || {});
    other.run_until(|viewer| viewer.connected, || {});
    // Tens of Mbit/s, which fill what the kernels have for it at once.
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(4) {
        let (packets, pushed) = (other.packets, Instant::now());
        push(&session, 60_000);
        other.run_until(|other| other.packets >= packets + 50, || {});
        longest = longest.max(pushed.elapsed());
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    assert!(session.status().peer_count >= 1);
    // What it finds when it reads again is little of what was sent: the rest was left out.
    let sent = other.video;
    idler.run_for(Duration::from_secs(1));
    assert!(sent > 8_000_000 && idler.video < 3_000_000, "{} of {sent}", idler.video);
}

#[test]
fn strangers_are_sent_away() {
    let (engine, _session) = engine();
    let connect = || {
        let stream = TcpStream::connect(engine.udp_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let ends = |mut stream: TcpStream| {
        let outcome = stream.read(&mut [0; 16]);
        match outcome {
            Ok(length) => assert_eq!(length, 0, "nothing is answered"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    };
    for wrong in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 64], vec![0xff; 64]] {
        let mut stream = connect();
        stream.write_all(&wrong).unwrap();
        ends(stream);
    }
    // Packets that could be, of nobody: a few are refused one by one, many end it.
    let mut stream = connect();
    let packet = [&[0, 100][..], &[0x80; 100]].concat();
    while stream.write_all(&packet).is_ok() {
        thread::sleep(Duration::from_micros(100));
    }
    // As many of one address as may be are not more.
    let many: Vec<TcpStream> = (0..40).map(|_| connect()).collect();
    let deadline = Instant::now() + PATIENCE;
    while refused(&engine) < 24 {
        assert!(Instant::now() < deadline, "{}", refused(&engine));
        thread::sleep(Duration::from_millis(10));
    }
    // Those that say nothing are here for ten seconds.
    many.into_iter().for_each(ends);
}

#[test]
fn a_connection_that_another_has_accepted_is_taken_over() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = EngineConfig::default().udp(udp).ice_tcp(false).ice_tcp_port(port).media_loops(3);
    let engine = Engine::start(config).unwrap();
    let handle = engine.handle();
    assert_eq!(handle.ice_tcp_port(), Some(port));
    let config = SessionConfig::default().encoded(VideoCodec::H264).idle(None);
    let session = engine.create_session(config).unwrap();
    session.start();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut first = [0];
            if stream.peek(&mut first).is_ok() {
                handle.take_connection(stream);
            }
        }
    });
    // Each on another of the media loops.
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut viewers: Vec<Viewer> = (0..3).map(|_| Viewer::join_at(&engine, &session, to)).collect();
    for viewer in &mut viewers {
        viewer.run_until(|viewer| viewer.connected, || {});
    }
    for viewer in &mut viewers {
        viewer.run_until(|viewer| viewer.video > 50_000, || push(&session, 5_000));
    }
    assert_eq!(session.status().peer_count, 3);
    // What is no packet is closed there too.
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(&[0; 64]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(!matches!(stream.read(&mut [0; 16]), Ok(1..)));
}

#[test]
fn without_the_setting_there_is_no_tcp() {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(udp).ice_tcp(false)).unwrap();
    assert!(TcpStream::connect(engine.udp_addr()).is_err());
}
