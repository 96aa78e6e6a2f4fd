//! Goodbyes are heard, whatever strangers send meanwhile, and each by whom it is meant for.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use viewer::Viewer;
use visavis::session::SessionId;
use visavis::status::Refusal;
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

#[test]
fn sessions_end_and_viewers_join_while_candidates_come_in_a_flood() {
    const CANDIDATE: &str = "candidate:1 1 udp 2113937151 192.0.2.1 4000 typ host";
    let engine = engine();
    let handle = engine.handle();
    let events = handle.subscribe();
    let kept = session(&engine, "kept");
    let mut flooder = Viewer::join(&handle, kept.id());
    flooder.run_until(|viewer| viewer.connected);
    // Bounded in time: where something fails here, the flood must not go on for ever.
    let (over, until) = (AtomicBool::new(false), Instant::now() + PATIENCE * 2);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Relaxed) && Instant::now() < until {
                    let _ = handle.add_candidate(flooder.id, CANDIDATE);
                }
            });
        }
        for _ in 0..20 {
            // The same name each time: a goodbye that came late would end the next one.
            let session = session(&engine, "again");
            let mut viewer = Viewer::join(&handle, session.id());
            viewer.run_until(|viewer| viewer.connected);
            // The viewer knows a moment before the engine has counted it.
            viewer.run_until(|_| session.status().peer_count == 1);
            session.stop();
            assert_eq!(session.status().peer_count, 0, "its viewer has heard the goodbye");
        }
        over.store(true, Relaxed);
    });
    assert!(handle.refusals().get(Refusal::Candidate) > 0, "a flood is refused and counted");
    let left = |event: &Event| matches!(event, Event::PeerLeft { .. });
    assert_eq!(events.try_iter().filter(left).count(), 20);
    flooder.run_for(Duration::from_millis(50));
    assert_eq!(kept.status().peer_count, 1);
}

#[test]
fn a_disconnect_right_after_the_answer_is_not_lost() {
    let engine = engine();
    let handle = engine.handle();
    let events = handle.subscribe();
    let session = session(&engine, "a");
    for _ in 0..50 {
        let viewer = Viewer::join(&handle, session.id());
        // Twice is once.
        handle.disconnect(viewer.id);
        handle.disconnect(viewer.id);
        let left = events.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(left, Event::PeerLeft { peer, .. } if peer == viewer.id), "{left:?}");
    }
    assert!(events.try_iter().next().is_none());
    assert_eq!(session.status().peer_count, 0);
}

#[test]
fn each_offer_has_exactly_one_reply_when_the_engine_stops_under_it() {
    let engine = engine();
    let handle = engine.handle();
    let session = session(&engine, "a");
    let viewer = Viewer::join(&handle, session.id());
    let (replies, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (told, heard) = mpsc::channel();
    let offering = {
        let (handle, replies) = (handle.clone(), Arc::clone(&replies));
        let stopped = Arc::clone(&stopped);
        std::thread::spawn(move || {
            let mut offers = 0;
            while !stopped.load(Relaxed) {
                let (replied, told) = (Arc::clone(&replies), told.clone());
                let asked = handle.renegotiate(viewer.id, OFFER, move |_| {
                    replied.fetch_add(1, Relaxed);
                    let _ = told.send(());
                });
                replies.fetch_add(asked.is_err().into(), Relaxed);
                offers += 1;
            }
            offers
        })
    };
    heard.recv_timeout(PATIENCE).unwrap();
    engine.stop();
    stopped.store(true, Relaxed);
    let offers: usize = offering.join().unwrap();
    assert_eq!(replies.load(Relaxed), offers);
}

#[test]
fn a_stopped_session_lets_go_of_its_callbacks_without_a_sound() {
    struct Held(mpsc::Sender<()>);
    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let engine = engine();
    let session = session(&engine, "a");
    let (gone_in, gone) = mpsc::channel();
    let held = Held(gone_in);
    session.on_microphone(move |_| {
        let _held = &held;
    });
    session.stop();
    gone.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_subscriber_that_reads_late_hears_of_everybody_who_left() {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // Room for one event beside those of the viewers.
    let config = EngineConfig::default().udp(udp).event_capacity(1).max_peers(60);
    let engine = Engine::start(config).unwrap();
    let session = session(&engine, "a");
    let handle = engine.handle();
    let left = handle.subscribe_to(|event| matches!(event, Event::PeerLeft { .. }));
    for _ in 0..60 {
        assert!(handle.connect(session.id(), None, OFFER).is_ok());
    }
    session.stop();
    let heard = (0..60).take_while(|_| left.recv_timeout(PATIENCE).is_ok()).count();
    assert_eq!(heard, 60);
}

#[test]
fn strangers_who_only_send_offers_keep_nobody_from_a_place() {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = EngineConfig::default().udp(udp).max_peers(3);
    let engine = Engine::start(config).unwrap();
    let session = session(&engine, "a");
    let handle = engine.handle();
    let mut stays = Viewer::join(&handle, session.id());
    stays.run_until(|viewer| viewer.connected);
    let left = handle.subscribe_to(|event| matches!(event, Event::PeerLeft { .. }));
    let offer = || handle.connect(session.id(), None, OFFER).is_ok();
    assert_eq!(
        [offer(), offer(), offer()],
        [true, true, false],
        "who was just answered has a moment"
    );
    stays.run_for(Duration::from_millis(1_100));
    let mut comes = Viewer::join(&handle, session.id());
    comes.run_until(|viewer| viewer.connected);
    assert!(matches!(left.recv_timeout(PATIENCE), Ok(Event::PeerLeft { .. })));
    stays.run_until(|_| session.status().peer_count == 2);
}
