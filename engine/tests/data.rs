//! Messages between an application and viewers over real sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

use viewer::Viewer;
use visavis::data::{Broadcast, DataError, DataMessage, PeerMessage, SendOutcome};
use visavis::session::SessionId;
use visavis::{Engine, EngineConfig, Event, Session, SessionConfig};

fn engine(media_loops: usize) -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Engine::start(EngineConfig::default().udp(udp).media_loops(media_loops)).unwrap()
}

fn session(engine: &Engine, name: &str) -> Session {
    let id = SessionId::new(name).unwrap();
    engine.create_session(SessionConfig::default().id(id)).unwrap()
}

fn join(engine: &Engine, session: &Session) -> Viewer {
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.channel.is_some());
    viewer
}

#[test]
fn messages_reach_the_viewers_of_their_session_and_no_others() {
    let engine = engine(2);
    let (first, second) = (session(&engine, "first"), session(&engine, "second"));
    let data = first.data();
    let events = engine.handle().subscribe();
    let mut viewers: Vec<Viewer> = (0..3).map(|_| join(&engine, &first)).collect();
    let mut stranger = join(&engine, &second);

    let all = data.broadcast(&"to all".into()).unwrap();
    assert_eq!((all.accepted, all.full), (3, vec![]));
    let one = viewers[1].id;
    assert_eq!(data.send(one, &vec![1, 2, 3].into()), Ok(SendOutcome::Accepted));
    for (index, viewer) in viewers.iter_mut().enumerate() {
        let expected = if index == 1 { 2 } else { 1 };
        viewer.run_until(|viewer| viewer.messages.len() == expected);
        assert_eq!((viewer.messages[0].binary, &*viewer.messages[0].data), (false, &b"to all"[..]));
    }
    assert!(viewers[1].messages[1].binary);
    stranger.run_for(Duration::from_millis(50));
    assert!(stranger.messages.is_empty());
    assert_eq!(data.send(stranger.id, &"x".into()), Err(DataError::NoPeer(stranger.id)));
    assert_eq!(data.labels(one), ["visavis".into()]);
    let nowhere = data.labelled("captions");
    assert_eq!(nowhere.send(one, &"x".into()), Err(DataError::NoChannel(one)));
    assert_eq!(nowhere.broadcast(&"x".into()), Ok(Broadcast::default()));

    for viewer in &mut viewers {
        viewer.say("hello");
        viewer.run_for(Duration::from_millis(20));
    }
    let mut said: Vec<PeerMessage> =
        (0..3).map(|_| data.incoming().recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    let ids = viewers.iter().map(|viewer| viewer.id);
    for id in ids {
        let place = said.iter().position(|message| message.peer == id).unwrap();
        let PeerMessage { label, message, .. } = said.remove(place);
        assert_eq!((&*label, message), ("visavis", DataMessage::from("hello")));
    }
    assert_eq!(data.incoming().try_recv(), Err(TryRecvError::Empty));
    let metrics = first.status().metrics;
    assert_eq!((metrics.data_sent, metrics.data_received), (4, 3));
    assert_eq!((metrics.data_undelivered, metrics.data_dropped), (0, 0));
    let opened = events.try_iter().filter(|event| match event {
        Event::DataChannelOpened { label, .. } => &**label == "visavis",
        _ => false,
    });
    assert_eq!(opened.count(), 4);
}

#[test]
fn a_viewer_that_does_not_keep_up_is_named_and_the_others_get_everything() {
    const MESSAGES: u32 = 200;
    let engine = engine(1);
    let session = session(&engine, "default");
    let data = session.data();
    let mut well = join(&engine, &session);
    let mut stalled = join(&engine, &session);
    let message = |n: u32| DataMessage::Binary(n.to_be_bytes().repeat(4_096));
    let mut missed = Vec::new();
    for n in 0..MESSAGES {
        let outcome = data.broadcast(&message(n)).unwrap();
        if !outcome.full.is_empty() {
            assert_eq!(outcome.full, [stalled.id]);
            missed.push(n);
        }
        well.run_until(|well| well.messages.len() == n as usize + 1);
    }
    assert!(!missed.is_empty(), "a stalled viewer took everything");
    assert!(data.waiting_bytes(stalled.id).unwrap() > 900_000);

    // It wakes up, and what it missed is sent to it again.
    for n in missed {
        let mut tries = 0;
        while data.send(stalled.id, &message(n)).unwrap() == SendOutcome::Full {
            tries += 1;
            assert!(tries < 2_000, "no room was ever made");
            stalled.run_for(Duration::from_millis(10));
        }
    }
    stalled.run_until(|stalled| stalled.messages.len() == MESSAGES as usize);
    for viewer in [&well, &stalled] {
        let expected = (0..MESSAGES).map(|n| n.to_be_bytes().repeat(4_096));
        assert!(
            viewer
                .messages
                .iter()
                .map(|message| &message.data)
                .eq(expected.collect::<Vec<_>>().iter())
        );
    }
    assert_eq!(session.status().metrics.data_undelivered, 0);
}

#[test]
fn unusable_messages_are_refused_at_the_call() {
    let engine = engine(1);
    let session = session(&engine, "default");
    let data = session.data();
    let viewer = join(&engine, &session);
    let large = DataMessage::Binary(vec![0; 64 * 1024 + 1]);
    let too_large = DataError::TooLarge { len: 65_537, most: 65_536 };
    assert_eq!(data.send(viewer.id, &large), Err(too_large));
    assert_eq!(data.broadcast(&large), Err(too_large));
    assert_eq!(data.send(viewer.id, &"".into()), Err(DataError::Empty));
    assert_eq!(data.broadcast(&"".into()), Err(DataError::Empty));
    session.stop();
    assert!(data.send(viewer.id, &"x".into()).is_err());
    assert_eq!(data.broadcast(&"x".into()).map(|outcome| outcome.accepted), Ok(0));
    let waited = data.incoming().recv_timeout(Duration::from_secs(60));
    assert_eq!(waited, Err(RecvTimeoutError::Disconnected), "not waited for");
}

#[test]
fn what_nobody_reads_is_dropped_and_counted() {
    let engine = engine(1);
    let session = session(&engine, "default");
    let mut viewer = join(&engine, &session);
    viewer.say("is anybody there?");
    let metrics = || session.status().metrics;
    viewer.push_until(|_| metrics().data_dropped == 1, || {});
    assert_eq!(metrics().data_received, 1);
    let data = session.data();
    viewer.say("now?");
    viewer.run_for(Duration::from_millis(20));
    let heard = data.incoming().recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(heard.message, "now?".into());
}
