//! What a viewer gets goes by what its network takes, and the application is told.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::cell::Cell;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use viewer::Viewer;
use visavis::address::AnnouncedAddress;
use visavis::peer::PeerId;
use visavis::status::PictureStatus;
use visavis::units::Bitrate;
use visavis::video::{EncodedFrame, PixelFormat, Rung, VideoCodec, VideoFrame};
use visavis::{Engine, EngineConfig, Event, Session, SessionConfig};
use visavis_weather::{Bandwidth, Conditions, Relay};

fn path(mbps: f64) -> Conditions {
    let bandwidth = Bandwidth::from_mbps(mbps);
    Conditions { bandwidth, delay: Duration::from_millis(20), ..Conditions::default() }
}

/// Pictures that take all of the bitrate.
struct Noise {
    random: Cell<u32>,
}

impl Noise {
    const WIDTH: u32 = 320;
    const HEIGHT: u32 = 320;

    fn push(&self, session: &Session) {
        let bytes = (Self::WIDTH * Self::HEIGHT * 3 / 2) as usize;
        let byte = |_| {
            self.random.set(self.random.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            // Some of it, so that the bitrate can be kept to.
            120 + (self.random.get() >> 28) as u8
        };
        let data: Vec<u8> = (0..bytes).map(byte).collect();
        let frame = VideoFrame::new(&data, Self::WIDTH, Self::HEIGHT);
        session.video().push(&frame.format(PixelFormat::I420)).unwrap();
    }
}

fn gets(session: &Session) -> Option<PictureStatus> {
    session.viewers().first()?.picture
}

/// An H264 encoder that makes what it is told to, at 50 pictures a second.
struct Obedient {
    number: Cell<u32>,
}

impl Obedient {
    fn push(&self, session: &Session) {
        let sink = session.encoded_video();
        let mut unit = Vec::new();
        if self.number.replace(self.number.get() + 1) == 0 || sink.take_keyframe_request() {
            unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40]);
            unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80, 0, 0, 0, 1, 0x65]);
        } else {
            unit.extend([0, 0, 0, 1, 0x41]);
        }
        unit.resize((sink.wanted_bitrate().bps() / 8 / 50) as usize, 0xff);
        sink.push(&EncodedFrame::new(&unit, VideoCodec::H264)).unwrap();
    }
}

#[test]
fn the_applications_encoder_is_told_what_its_viewers_network_takes() {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let relay = Relay::start(udp, path(100.0), path(10.0), 1).unwrap();
    let announced: AnnouncedAddress = relay.addr().to_string().parse().unwrap();
    let engine = Engine::start(EngineConfig::default().udp(udp).announce(vec![announced])).unwrap();
    let config = SessionConfig::default().encoded(VideoCodec::H264).max_peers(1);
    let session = engine.create_session(config.adaptive_encoder(true)).unwrap();
    session.start();
    let events = engine.handle().subscribe_to(|event| matches!(event, Event::BitrateWanted { .. }));
    let join = || {
        Viewer::join_by(|offer| {
            let lines = offer.lines().filter(|line| !line.starts_with("a=candidate"));
            let offer: String = lines.flat_map(|line| [line, "\r\n"]).collect();
            engine.handle().connect(session.id(), None, &offer).unwrap().sdp
        })
    };
    let told: Cell<Option<Bitrate>> = Cell::new(None);
    let is_told = |wanted: fn(u64) -> bool| {
        let (told, events, sink) = (&told, &events, session.encoded_video());
        move |_: &Viewer| {
            while let Ok(event) = events.try_recv() {
                let Event::BitrateWanted { codec, bitrate, .. } = event else { continue };
                assert_eq!(codec, VideoCodec::H264);
                told.set(Some(bitrate));
            }
            let is_so = told.get().is_some_and(|told| wanted(told.bps() / 1_000));
            is_so && Some(sink.wanted_bitrate()) == told.get()
        }
    };
    let encoder = Obedient { number: Cell::new(0) };
    let mut viewer = join();
    viewer.push_until(|viewer| viewer.video.len() > 500, || encoder.push(&session));
    assert!(events.try_recv().is_err(), "its network takes all there is");

    relay.set_down(path(0.6));
    viewer.push_until(is_told(|kbps| (100..600).contains(&kbps)), || encoder.push(&session));
    relay.set_down(path(10.0));
    // It grows by some percent a second.
    let low = told.get().unwrap();
    let grows = is_told(|_| true);
    let grows = |viewer: &Viewer| grows(viewer) && told.get().unwrap().bps() > low.bps() / 10 * 12;
    viewer.push_until(grows, || encoder.push(&session));

    // Who comes next gets all of it to begin with.
    let peer = session.viewers()[0].peer;
    engine.handle().disconnect(peer);
    viewer.run_until(|_| session.status().peer_count == 0);
    let mut viewer = join();
    viewer.push_until(is_told(|kbps| kbps == 1_500), || encoder.push(&session));
    engine.stop();
}

#[test]
fn the_application_is_told_what_each_viewer_gets() {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let relay = Relay::start(udp, path(100.0), path(10.0), 1).unwrap();
    let announced: AnnouncedAddress = relay.addr().to_string().parse().unwrap();
    let config = EngineConfig::default().udp(udp).announce(vec![announced]);
    let engine = Engine::start(config).unwrap();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let events =
        engine.handle().subscribe_to(|event| matches!(event, Event::PictureChanged { .. }));
    assert_eq!((session.viewers().len(), session.status().rungs.len()), (0, 0));

    let noise = Noise { random: Cell::new(1) };
    // Without its addresses: there is a shorter way to them than through the relay.
    let without_candidates = |offer: &str| {
        let lines = offer.lines().filter(|line| !line.starts_with("a=candidate"));
        let offer: String = lines.flat_map(|line| [line, "\r\n"]).collect();
        engine.handle().connect(session.id(), None, &offer).unwrap().sdp
    };
    let mut viewer = Viewer::join_by(without_candidates);
    let sees_the_best = |_: &Viewer| {
        let viewers = session.viewers();
        viewers.first().is_some_and(|viewer| viewer.network.is_some())
    };
    viewer.push_until(sees_the_best, || noise.push(&session));
    assert_eq!(gets(&session).unwrap().rung, Rung::HIGHEST);
    assert!(events.try_recv().is_err(), "what it begins with is told by its joining");

    relay.set_down(path(0.5));
    let told: Cell<Option<(PeerId, Rung, bool)>> = Cell::new(None);
    let is_told = |wanted: fn(Rung) -> bool| {
        let told = &told;
        let events = &events;
        move |_: &Viewer| {
            while let Ok(event) = events.try_recv() {
                if let Event::PictureChanged { peer, rung, limited, .. } = event {
                    told.set(Some((peer, rung, limited)));
                }
            }
            told.get().is_some_and(|(_, rung, _)| wanted(rung))
        }
    };
    viewer.push_until(is_told(|rung| rung < Rung::HIGHEST), || noise.push(&session));
    let (peer, rung, limited) = told.get().unwrap();
    let viewers = session.viewers();
    assert_eq!((viewers.len(), viewers[0].peer, limited), (1, peer, true));
    let status = session.status();
    assert!(rung < Rung::HIGHEST && status.networks.unwrap().limited == 1);
    let gets_now = gets(&session).unwrap();
    let [summary] = status.rungs[..] else { panic!("{:?}", status.rungs) };
    assert_eq!((summary.rung, summary.viewers), (gets_now.rung, 1));
    assert!(gets_now.bitrate.unwrap() < SessionConfig::default().video_bitrate);

    relay.set_down(path(10.0));
    viewer.push_until(is_told(|rung| rung == Rung::HIGHEST), || noise.push(&session));
    assert_eq!(told.get(), Some((peer, Rung::HIGHEST, false)));
    assert_eq!(gets(&session).unwrap().bitrate, Some(SessionConfig::default().video_bitrate));
    relay.set_down(Conditions { loss: 0.1, ..path(10.0) });
    let is_repaired = |_: &Viewer| gets(&session).is_some_and(|gets| gets.packets_resent > 0);
    viewer.push_until(is_repaired, || noise.push(&session));
    engine.stop();
}
