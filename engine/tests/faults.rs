//! A fault on purpose in each domain costs that domain, and the others go on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, and what it is about"
)]
#![cfg(debug_assertions)]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use viewer::Viewer;
use visavis::audio::AudioChunk;
use visavis::event::LeaveReason;
use visavis::faults::FaultDomain;
use visavis::idle::{IdleLoop, IdlePicture};
use visavis::peer::OfferError;
use visavis::rtp_input::{RtpInput, RtpInputConfig};
use visavis::session::{SessionError, SessionId};
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoCodec, VideoFrame};
use visavis::{Engine, EngineConfig, Event, Session, SessionConfig};

const OFFER: &str = include_str!("../../fixtures/sdp/chromium-156-watch.sdp");

const PATIENCE: Duration = Duration::from_secs(20);

fn engine() -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Engine::start(EngineConfig::default().udp(udp)).unwrap()
}

fn session(engine: &Engine, id: &str) -> Session {
    let id = SessionId::new(id).unwrap();
    let session = engine.create_session(SessionConfig::default().id(id)).unwrap();
    session.start();
    session
}

fn push(session: &Session) {
    let timestamp = UnixMillis::now();
    let (pixels, sound) = (vec![99; 64 * 64 * 4], vec![7; 640]);
    let frame = VideoFrame::new(&pixels, 64, 64).timestamp(timestamp);
    session.video().push(&frame).unwrap();
    let chunk = AudioChunk::new(&sound, 16_000, 1).timestamp(timestamp);
    session.audio().push(&chunk).unwrap();
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Pictures and sound of the session come to the viewer, more than there were.
fn is_well(session: &Session, viewer: &mut Viewer) {
    let (video, audio) = (viewer.video.len() + 3, viewer.audio.len() + 3);
    viewer.push_until(|v| v.video.len() > video && v.audio.len() > audio, || push(session));
}

#[test]
fn a_fault_in_a_session_its_encoder_or_its_sound_passes_and_the_others_never_know() {
    let engine = engine();
    let (handle, faults) = (engine.handle(), engine.handle().faults().clone());
    let sessions = [session(&engine, "a"), session(&engine, "b")];
    let mut viewers = sessions.each_ref().map(|session| Viewer::join(&handle, session.id()));
    for (session, viewer) in sessions.iter().zip(&mut viewers) {
        viewer.run_until(|viewer| viewer.connected);
        is_well(session, viewer);
    }
    for domain in [
        FaultDomain::Session,
        FaultDomain::Encoder,
        FaultDomain::Audio,
        FaultDomain::Datagram,
        FaultDomain::Callback,
    ] {
        let _events = handle.subscribe();
        faults.plant(domain, 5);
        let deadline = Instant::now() + PATIENCE;
        while faults.total(domain) < 5 {
            assert!(Instant::now() < deadline, "{domain}: it never came");
            for (session, viewer) in sessions.iter().zip(&mut viewers) {
                push(session);
                viewer.run_for(Duration::from_millis(10));
            }
            if domain == FaultDomain::Callback {
                // Something to tell of.
                sessions[1].interrupt();
            }
        }
        for (session, viewer) in sessions.iter().zip(&mut viewers) {
            is_well(session, viewer);
        }
    }
    assert!(handle.is_running() && handle.health().is_ready());
    assert_eq!(sessions.each_ref().map(|session| session.status().peer_count), [1, 1]);
}

#[test]
fn a_fault_in_a_peers_turn_drops_that_peer_and_nobody_else() {
    let engine = engine();
    let (handle, faults) = (engine.handle(), engine.handle().faults().clone());
    let events = handle.subscribe();
    let session = session(&engine, "a");
    let mut stays = Viewer::join(&handle, session.id());
    stays.run_until(|viewer| viewer.connected);
    // Two viewers of whom one is dropped, whichever has the next turn.
    let mut other = Viewer::join(&handle, session.id());
    other.run_until(|viewer| viewer.connected);
    faults.plant(FaultDomain::Peer, 1);
    let left = |event: &Event| match event {
        Event::PeerLeft { peer, reason, .. } => Some((*peer, *reason)),
        _ => None,
    };
    let deadline = Instant::now() + PATIENCE;
    let (gone, reason) = loop {
        push(&session);
        stays.run_for(Duration::from_millis(10));
        other.run_for(Duration::from_millis(10));
        if let Some(gone) = events.try_iter().find_map(|event| left(&event)) {
            break gone;
        }
        assert!(Instant::now() < deadline, "it never came");
    };
    assert_eq!(reason, LeaveReason::Failed);
    assert_eq!(faults.total(FaultDomain::Peer), 1);
    let alive = if gone == stays.id { &mut other } else { &mut stays };
    is_well(&session, alive);
    assert_eq!(session.status().peer_count, 1);
}

#[test]
fn an_offer_whose_parser_fails_is_refused_and_the_next_is_answered() {
    let engine = engine();
    let handle = engine.handle();
    let session = session(&engine, "a");
    handle.faults().plant(FaultDomain::Offer, 1);
    let answer = handle.connect(session.id(), None, "v=0");
    assert!(matches!(answer, Err(OfferError::Sdp(_))), "{answer:?}");
    assert_eq!(handle.faults().total(FaultDomain::Offer), 1);
    handle.faults().plant(FaultDomain::Offer, 1);
    let candidate = "candidate:1 1 udp 2113937151 192.0.2.1 4000 typ host";
    assert!(handle.add_candidate(handle.new_peer_id(), candidate).is_err());
    Viewer::join(&handle, session.id()).run_until(|viewer| viewer.connected);
}

#[test]
fn a_command_that_fails_is_lost_and_its_reply_comes() {
    let engine = engine();
    let handle = engine.handle();
    let session = session(&engine, "a");
    let mut viewer = Viewer::join(&handle, session.id());
    viewer.run_until(|viewer| viewer.connected);
    handle.faults().plant(FaultDomain::Command, 1);
    let (told, answer) = mpsc::channel();
    handle.renegotiate(viewer.id, OFFER, move |answer| told.send(answer).unwrap()).unwrap();
    assert_eq!(answer.recv_timeout(PATIENCE).unwrap(), Err(OfferError::Stopped));
    is_well(&session, &mut viewer);
}

#[test]
fn a_viewer_whose_coming_fails_holds_no_place() {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(udp).max_peers(2)).unwrap();
    let handle = engine.handle();
    let session = session(&engine, "a");
    let mut first = Viewer::join(&handle, session.id());
    first.run_until(|viewer| viewer.connected);
    let events = handle.subscribe_to(|event| matches!(event, Event::PeerLeft { .. }));
    // It is a command itself.
    is_well(&session, &mut first);
    handle.faults().plant(FaultDomain::Command, 1);
    let viewer = Viewer::join(&handle, session.id());
    let left = events.recv_timeout(PATIENCE).unwrap();
    let Event::PeerLeft { session: of, peer, reason, .. } = left else { panic!("{left:?}") };
    assert_eq!((&of, peer, reason), (session.id(), viewer.id, LeaveReason::Failed));
    let mut next = Viewer::join(&handle, session.id());
    next.run_until(|viewer| viewer.connected);
    is_well(&session, &mut next);
    is_well(&session, &mut first);
}

#[test]
fn a_film_whose_pictures_fail_ends_there_and_one_without_any_is_the_built_in_face() {
    let picture = || IdlePicture::new(vec![50; 64 * 64 * 3], 64, 64).format(PixelFormat::Rgb);
    let engine = engine();
    let handle = engine.handle();
    // The first look is the caller's own; the second is the engine's.
    for good in [0, 20] {
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let pictures = move || {
            let own = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            let good = if own { 1 } else { good };
            (0..)
                .map(move |n| if n < good { picture() } else { panic!("a bug of the application") })
        };
        let before = handle.faults().total(FaultDomain::Idle);
        let id = SessionId::new(&format!("film{good}")).unwrap();
        let idle = Some(IdleLoop::film(30, pictures).unwrap());
        let config = SessionConfig::default().id(id).idle(idle);
        let session = engine.create_session(config).unwrap();
        session.start();
        let mut viewer = Viewer::join_for_units(&handle, session.id());
        viewer.run_until(|viewer| viewer.units.len() > 30);
        assert_eq!(handle.faults().total(FaultDomain::Idle), before + 1, "{good}");
    }
    assert!(handle.health().is_ready());
}

#[test]
fn a_fault_where_rtp_comes_in_or_addresses_are_followed_passes_and_the_next_is_taken() {
    let engine = engine();
    let (handle, faults) = (engine.handle(), engine.handle().faults().clone());
    let seen = session(&engine, "seen");
    let mut viewer = Viewer::join(&handle, seen.id());
    viewer.run_until(|viewer| viewer.connected);
    let id = SessionId::new("fed").unwrap();
    let encoded = Some(VideoCodec::H264);
    let fed = engine.create_session(SessionConfig::default().id(id).encoded(encoded)).unwrap();
    fed.start();
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = RtpInputConfig::default().video(Some(local));
    let input = RtpInput::start(&fed, config).unwrap();
    let sender = std::net::UdpSocket::bind(local).unwrap();
    let send = |sequence: u8| {
        let slice = [0x41, 0x9A, 1, 2, 3];
        let header = [0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7];
        sender.send_to(&[&header[..], &slice].concat(), input.video_addr().unwrap()).unwrap();
    };
    faults.plant(FaultDomain::RtpInput, 1);
    send(1);
    wait_until("the fault", || faults.total(FaultDomain::RtpInput) == 1);
    (2..20).for_each(send);
    wait_until("RTP", || input.status().video.counters.packets > 0);

    // They are looked for every five seconds.
    faults.plant(FaultDomain::Addresses, 1);
    wait_until("the look", || faults.total(FaultDomain::Addresses) == 1);
    is_well(&seen, &mut viewer);
    assert!(handle.is_running() && handle.health().is_ready());
}

#[test]
fn callbacks_of_the_application_that_fail_cost_no_loop() {
    let engine = engine();
    let handle = engine.handle();
    let session = session(&engine, "a");
    let events = handle.subscribe();
    let _others = handle.subscribe_to(|_| panic!("a bug in a filter"));
    let mut viewer = Viewer::join(&handle, session.id());
    viewer.run_until(|viewer| viewer.connected);
    is_well(&session, &mut viewer);
    let joined = |event: &Event| matches!(event, Event::PeerJoined { .. });
    assert!(events.try_iter().any(|event| joined(&event)), "what is told is there all the same");
    assert!(handle.faults().total(FaultDomain::Callback) >= 2);
    handle.renegotiate(viewer.id, OFFER, |_| panic!("a bug in a reply")).unwrap();
    let before = handle.faults().total(FaultDomain::Callback);
    wait_until("the reply", || handle.faults().total(FaultDomain::Callback) > before);
    is_well(&session, &mut viewer);
    assert!(handle.is_running());
}

#[test]
fn a_loop_that_ends_by_a_fault_stops_the_engine_and_says_so() {
    for domain in [FaultDomain::MediaLoop, FaultDomain::AudioLoop, FaultDomain::IdleLoop] {
        let engine = engine();
        let handle = engine.handle();
        let (told, fatal) = mpsc::channel();
        handle.faults().on_fatal(move |fault| told.send(fault.clone()).unwrap());
        let is_fault =
            |event: &Event| matches!(event, Event::Fault { .. } | Event::EngineFailed { .. });
        let events = handle.subscribe_to(is_fault);
        let session = session(&engine, "a");
        handle.faults().plant(domain, 1);
        push(&session);
        // Something to encode that nobody has encoded before.
        let picture = IdlePicture::new(vec![50; 64 * 64 * 3], 64, 64).format(PixelFormat::Rgb);
        session.set_idle(IdleLoop::film(30, move || std::iter::once(picture.clone())).ok());
        let fault = fatal.recv_timeout(PATIENCE).unwrap();
        assert_eq!(fault.domain, domain);
        assert!(!handle.is_running());
        assert_eq!(handle.health().fatal.map(|fault| fault.domain), Some(domain));
        // Whoever waits for events is told too, also who asks for them only now.
        for events in [&events, &handle.subscribe_to(is_fault)] {
            let event = events.recv_timeout(PATIENCE).unwrap();
            assert!(
                matches!(&event, Event::EngineFailed { domain: ended, why, .. }
                    if *ended == domain && why.contains("on purpose")),
                "{event:?}"
            );
        }
        // And none of this waits for what is not there any more.
        session.stop();
        engine.stop();
        assert_eq!(events.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}

#[test]
fn a_fault_that_is_caught_is_an_event_once_for_its_owner() {
    let engine = engine();
    let (handle, session) = (engine.handle(), session(&engine, "a"));
    let events = handle.subscribe_to(|event| matches!(event, Event::Fault { .. }));
    let mut viewer = Viewer::join(&handle, session.id());
    viewer.run_until(|viewer| viewer.connected);
    handle.faults().plant(FaultDomain::Encoder, 3);
    wait_until("three faults", || {
        push(&session);
        handle.faults().total(FaultDomain::Encoder) >= 3
    });
    let event = events.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(&event, Event::Fault { domain: FaultDomain::Encoder, whose, why, .. }
            if &**whose == "a" && why.contains("on purpose")),
        "{event:?}"
    );
    assert_eq!(events.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    // Those who do not read any more are forgotten.
    drop(events);
    is_well(&session, &mut viewer);
}

#[test]
fn a_session_whose_thread_cannot_start_leaves_nothing_behind() {
    let engine = engine();
    let handle = engine.handle();
    handle.faults().refuse_thread();
    let refused = engine.create_session(SessionConfig::default());
    assert!(matches!(refused, Err(SessionError::Io(_))), "{refused:?}");
    assert_eq!(handle.session_ids(), []);
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    Viewer::join(&handle, session.id()).run_until(|viewer| viewer.connected);
}
