//! The signaling protocol, between a well-meaning client and the real engine.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use support::{OFFER, PATIENCE, world, world_with_limits};
use tungstenite::Message;
use visavis::Event;
use visavis::audio::AudioChunk;
use visavis::event::LeaveReason;
use visavis::peer::PeerId;
use visavis::session::SessionId;
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoFrame};
use visavis_signaling::{IceServer, NegotiationObserver};

#[test]
fn config_comes_first_on_both_paths() {
    let world = world(|config| {
        let turn = IceServer::new(["turn:turn.example.org:3478"]);
        config.ice_servers = vec![turn.username("u".to_owned()).credential("p".to_owned())];
    });
    let mut ids = Vec::new();
    for path in ["/", "/ws", "/?session=default"] {
        let config = world.websocket(path).receive();
        assert_eq!(config["type"], "config");
        assert_eq!(config["videoCodec"], "H264");
        assert_eq!(config["audioCodec"], "opus");
        assert_eq!(
            config["iceServers"],
            json!([{"urls": ["turn:turn.example.org:3478"], "username": "u", "credential": "p"}])
        );
        let id = config["peerId"].as_str().unwrap().to_owned();
        assert!(id.len() == 16 && !ids.contains(&id), "{id}");
        ids.push(id);
    }
}

#[test]
fn both_forms_of_an_offer_are_answered() {
    let world = world(|_| {});
    for offer in [
        json!({"type": "offer", "data": {"type": "offer", "sdp": OFFER}}),
        json!({"type": "offer", "sdp": OFFER}),
    ] {
        let (mut client, config) = world.client();
        client.send(offer);
        let answer = client.receive();
        assert_eq!(answer["type"], "answer", "{answer}");
        assert_eq!(answer["peerId"], config["peerId"]);
        assert_eq!(answer["data"]["type"], "answer");
        let sdp = answer["data"]["sdp"].as_str().unwrap();
        assert!(sdp.starts_with("v=0\r\n") && sdp.contains("m=video"), "{sdp}");

        let candidate = "candidate:1 1 udp 2122260223 127.0.0.1 49203 typ host";
        let init = json!({"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0});
        client.send(json!({"type": "ice-candidate", "data": init}));
        client.send(json!({"type": "ice-candidate", "candidate": candidate}));
        client.send(json!({"type": "ice-candidate", "candidate": ""}));
        // All of them were accepted: the next error is about the message after them.
        client.send("{}");
        assert_eq!(client.receive_error(), "bad-message");
    }
}

#[test]
fn what_is_wrong_is_named_and_the_connection_stays_usable() {
    let world = world(|_| {});
    let (mut client, _) = world.client();
    client.send("hello");
    assert_eq!(client.receive_error(), "bad-json");
    client.send(json!({"type": "dance"}));
    assert_eq!(client.receive_error(), "bad-message");
    client.0.send(Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(client.receive_error(), "bad-message");
    client.send(json!({"type": "offer", "sdp": "this is no SDP"}));
    assert_eq!(client.receive_error(), "bad-sdp");
    let none = OFFER.replace("H264/", "H261/").replace("VP8/", "MPV/").replace("opus/", "L16/");
    client.send(json!({"type": "offer", "sdp": none}));
    assert_eq!(client.receive_error(), "no-common-codec");
    client.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(client.receive()["type"], "answer");
    client.send(json!({"type": "ice-candidate", "candidate": "nonsense"}));
    assert_eq!(client.receive_error(), "bad-candidate");

    client.0.send(Message::Ping(vec![7].into())).unwrap();
    assert_eq!(client.0.read().unwrap(), Message::Pong(vec![7].into()));
}

#[test]
fn an_unknown_session_is_named_at_the_offer() {
    let world = world(|_| {});
    let mut client = world.websocket("/?session=nobody");
    assert_eq!(client.receive()["type"], "config");
    client.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(client.receive_error(), "no-session");
}

#[test]
fn repeated_abuse_closes() {
    let world = world_with_limits(|limits| limits.abuse_window = Duration::from_secs(3_600));
    let (mut client, _) = world.client();
    for _ in 0..20 {
        client.send("{}");
        assert_eq!(client.receive_error(), "bad-message");
    }
    client.send("{}");
    assert_eq!(client.receive_error(), "abuse");
    assert_eq!(client.receive_close(), 1008);
}

#[test]
fn a_flood_of_sound_messages_is_abuse_too() {
    let world = world_with_limits(|limits| {
        limits.abuse_window = Duration::from_secs(3_600);
        limits.messages = 50;
    });
    let (mut client, _) = world.client();
    for _ in 0..51 {
        client.send(json!({"type": "pong"}));
    }
    assert_eq!(client.receive_error(), "abuse");
    assert_eq!(client.receive_close(), 1008);
}

#[test]
fn one_client_too_many_is_told_so_and_leaving_makes_room() {
    let world = world(|config| config.max_clients = 1);
    // Places are for viewers: who only connects takes none.
    let (mut early, _) = world.client();
    let (mut first, _) = world.joined();
    let (mut second, _) = world.client();
    let refused = second.receive();
    assert_eq!((&refused["code"], &refused["retryAfter"]), (&json!("full"), &json!(5)));
    assert_eq!(second.receive_close(), 1013);
    early.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(early.receive_error(), "full");
    assert_eq!(early.receive_close(), 1013);

    first.0.close(None).unwrap();
    while first.0.read().is_ok() {}
    let (mut third, _) = world.client();
    third.send("{}");
    assert_eq!(third.receive_error(), "bad-message");
}

#[test]
fn who_never_offers_is_told_and_closed() {
    let world = world_with_limits(|limits| limits.offer_deadline = Duration::from_millis(200));
    let (mut silent, _) = world.client();
    let (mut watching, _) = world.joined();
    assert_eq!(silent.receive_error(), "offer-timeout");
    assert_eq!(silent.receive_close(), 1008);
    // An offer that cannot be answered is none.
    let (mut broken, _) = world.client();
    broken.send(json!({"type": "offer", "sdp": "this is no SDP"}));
    assert_eq!(broken.receive_error(), "bad-sdp");
    assert_eq!(broken.receive_error(), "offer-timeout");
    // There is no deadline with a viewer, and a new one after its end.
    watching.send(json!({"type": "ping"}));
    assert_eq!(watching.receive(), json!({"type": "pong"}));
    world.session.stop();
    assert_eq!(watching.receive_error(), "stopped");
    assert_eq!(watching.receive_error(), "offer-timeout");
}

#[test]
fn a_page_of_another_origin_opens_no_websocket() {
    let world = world(|_| {});
    let open = |headers: &str| {
        let request = format!(
            "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
        );
        let mut stream = world.tcp();
        stream.write_all(request.as_bytes()).unwrap();
        support::read_response(&mut stream)
    };
    let own = world.server.local_addr();
    let (head, _) = open(&format!("Host: {own}\r\nOrigin: http://{own}\r\n"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (head, body) = open(&format!("Host: {own}\r\nOrigin: https://evil.example\r\n"));
    assert!(head.starts_with("HTTP/1.1 403 ") && body.contains("cross-origin"), "{head}{body}");
    let (head, body) = open("Host: evil.example\r\nOrigin: http://evil.example\r\n");
    assert!(head.starts_with("HTTP/1.1 421 ") && body.contains("wrong-host"), "{head}{body}");
}

#[test]
fn pings_want_pongs() {
    let world = world_with_limits(|limits| {
        limits.ping_interval = Duration::from_millis(30);
        limits.pong_deadline = Duration::from_secs(1);
    });
    let (mut client, _) = world.client();
    for _ in 0..5 {
        assert_eq!(client.receive(), json!({"type": "ping"}));
        client.send(json!({"type": "pong"}));
    }
    // No pong to the next one.
    assert_eq!(client.receive(), json!({"type": "ping"}));
    assert_eq!(client.receive_close(), 1008);
}

#[test]
fn an_orderly_close_takes_the_peer_along_and_a_broken_connection_does_not() {
    let world = world(|_| {});
    let events = world.engine.handle().subscribe();
    let join = || {
        let (mut client, config) = world.client();
        client.send(json!({"type": "offer", "sdp": OFFER}));
        assert_eq!(client.receive()["type"], "answer");
        (client, config["peerId"].as_str().unwrap().to_owned())
    };
    let (broken, _) = join();
    drop(broken);
    let (mut orderly, id) = join();
    orderly.0.close(None).unwrap();
    while orderly.0.read().is_ok() {}

    // The broken one came first, so its end would be reported first.
    match events.recv_timeout(PATIENCE).unwrap() {
        Event::PeerLeft { peer, reason, .. } => {
            assert_eq!(peer.to_string(), id);
            assert_eq!(reason, LeaveReason::Closed);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_media_connection_is_told() {
    let world = world(|_| {});
    let (mut client, _) = world.client();
    client.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(client.receive()["type"], "answer");
    world.session.stop();
    assert_eq!(client.receive_error(), "stopped");
}

#[test]
fn stopping_says_goodbye() {
    let world = world(|_| {});
    let (mut client, _) = world.client();
    // A client in the middle of its request does not hold the end up.
    let mut halfway = world.tcp();
    halfway.write_all(b"GET / HT").unwrap();
    world.server.stop();
    assert_eq!(client.receive_close(), 1001);
}

/// A client that has offered: its connection, its `config`, and the ICE password of the answer.
fn joined(
    (mut client, config): (support::Client<std::net::TcpStream>, serde_json::Value),
) -> (support::Client<std::net::TcpStream>, serde_json::Value, String) {
    client.send(json!({"type": "offer", "sdp": OFFER}));
    let answer = client.receive();
    assert_eq!(answer["type"], "answer", "{answer}");
    assert_eq!(answer["peerId"], config["peerId"]);
    let sdp = answer["data"]["sdp"].as_str().unwrap();
    let password = sdp.lines().find(|line| line.starts_with("a=ice-pwd:")).unwrap().to_owned();
    (client, config, password)
}

fn resume(
    world: &support::World,
    token: &serde_json::Value,
) -> (support::Client<std::net::TcpStream>, serde_json::Value) {
    let mut client = world.websocket(&format!("/ws?resume={}", token.as_str().unwrap()));
    let config = client.receive();
    assert_eq!(config["type"], "config", "{config}");
    (client, config)
}

#[test]
fn a_new_websocket_takes_the_peer_of_a_broken_one_over() {
    let world = world(|_| {});
    let events = world.engine.handle().subscribe();
    let (broken, config, password) = joined(world.client());
    let token = config["resume"].clone();
    drop(broken);

    let (mut client, resumed) = resume(&world, &token);
    assert_eq!(resumed["peerId"], config["peerId"]);
    assert_eq!(resumed["resume"], token);
    // The peer is the old one: an offer with new ICE credentials is an ICE restart.
    client.send(json!({"type": "offer", "sdp": OFFER.replace("Yx3k", "Zz4l")}));
    let answer = client.receive();
    assert_eq!((&answer["type"], &answer["peerId"]), (&json!("answer"), &config["peerId"]));
    let sdp = answer["data"]["sdp"].as_str().unwrap();
    assert!(sdp.contains("a=ice-pwd:") && !sdp.contains(&password), "{sdp}");

    client.0.close(None).unwrap();
    while client.0.read().is_ok() {}
    match events.recv_timeout(PATIENCE).unwrap() {
        Event::PeerLeft { peer, reason, .. } => {
            assert_eq!(peer.to_string(), config["peerId"].as_str().unwrap());
            assert_eq!(reason, LeaveReason::Closed);
        }
        other => panic!("{other:?}"),
    }
    // It is gone, and its token with it.
    let (_, anew) = resume(&world, &token);
    assert_ne!(anew["peerId"], config["peerId"]);
    assert_ne!(anew["resume"], token);
}

#[test]
fn a_resumed_peer_leaves_its_old_connection() {
    let world = world(|config| config.max_clients = 1);
    let events = world.engine.handle().subscribe();
    let (mut old, config, _) = joined(world.client());
    // One place is enough: it is the same client.
    let (mut new, resumed) = resume(&world, &config["resume"]);
    assert_eq!(resumed["peerId"], config["peerId"]);
    assert_eq!(old.receive_close(), 4001);
    // However the old connection ends, the peer stays.
    let _ = old.0.close(None);
    while old.0.read().is_ok() {}
    drop(old);
    new.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(new.receive()["peerId"], config["peerId"]);
    assert!(events.try_recv().is_err(), "the peer left with its old connection");
}

#[test]
fn a_token_that_stands_for_nobody_makes_an_ordinary_peer() {
    let world = world(|_| {});
    let (mut closed, config, _) = joined(world.client());
    closed.0.close(None).unwrap();
    while closed.0.read().is_ok() {}
    let long = json!("x".repeat(2_000));
    for token in [&config["resume"], &json!(""), &json!("%00"), &long] {
        let (mut client, other) = resume(&world, token);
        assert_ne!(other["peerId"], config["peerId"]);
        client.send(json!({"type": "offer", "sdp": OFFER}));
        assert_eq!(client.receive()["peerId"], other["peerId"]);
    }
}

#[test]
fn a_token_is_good_for_its_own_session_alone() {
    let world = world(|_| {});
    let (broken, config, _) = joined(world.client());
    drop(broken);
    let token = config["resume"].as_str().unwrap();
    let other = world.websocket(&format!("/ws?session=other&resume={token}")).receive();
    assert_ne!(other["peerId"], config["peerId"]);
}

#[test]
fn a_client_may_ask_whether_somebody_is_there() {
    let world = world(|_| {});
    let (mut client, _) = world.client();
    client.send(json!({"type": "ping"}));
    assert_eq!(client.receive(), json!({"type": "pong"}));
}

#[test]
fn each_visitor_gets_a_session_of_its_own_and_comes_back_to_it() {
    let world = world(|config| {
        config.api.per_visitor = true;
        config.api.max_sessions = 2;
    });
    let engine = world.engine.handle();
    let before = engine.session_ids().len();
    let sessions = || engine.session_ids().len() - before;
    let (anna, config, _) = joined(world.client());
    let (_bert, ..) = joined(world.client());
    assert_eq!(sessions(), 2);
    drop(anna);
    // Whoever comes back has a session already, and is still the same peer.
    let (mut back, resumed) = resume(&world, &config["resume"]);
    assert_eq!(resumed["peerId"], config["peerId"]);
    back.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(back.receive()["peerId"], config["peerId"]);
    assert_eq!(sessions(), 2);
    // There is room for two, and who names a session needs none of his own. A session is made for an offer, and
    // not for clients that only connect.
    let (mut third, _) = world.client();
    assert_eq!(sessions(), 2);
    third.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(third.receive_error(), "full");
    let named = world.websocket("/ws?session=default").receive();
    assert_eq!(named["type"], "config");
    assert_eq!(sessions(), 2);
    // They are private: no other viewer gets in.
    let ids = engine.session_ids();
    let visitor = ids.iter().find(|id| id.as_str() != "default").unwrap();
    let mut stranger = world.websocket(&format!("/ws?session={}", visitor.as_str()));
    stranger.receive();
    stranger.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(stranger.receive_error(), "full");
}

#[test]
fn who_asks_is_told_when_the_face_is_live_and_what_it_says_and_nobody_else_is() {
    let world = world(|_| {});
    let (mut silent, _) = world.client();
    let mut told = world.websocket("/ws?events=1");
    assert_eq!(told.receive()["type"], "config");
    assert_eq!(told.receive(), json!({"type": "session", "live": false}));

    let data = vec![128; 64 * 64 * 3 / 2];
    let frame = VideoFrame::new(&data, 64, 64).format(PixelFormat::I420);
    world.session.video().push(&frame).unwrap();
    assert_eq!(told.receive(), json!({"type": "session", "live": true}));
    assert_eq!(told.receive(), json!({"type": "session", "live": false}));

    let utterance = world.session.begin_utterance(UnixMillis(0)).unwrap();
    let id = utterance.id().as_raw();
    let data = [0; 3_200];
    let sound = AudioChunk::new(&data, 16_000, 1).timestamp(UnixMillis(0));
    utterance.push_audio(&sound).unwrap();
    utterance.end();
    let started = json!({"type": "utterance", "utterance": id, "state": "started"});
    assert_eq!(told.receive(), started);
    let ended = json!({"type": "utterance", "utterance": id, "state": "ended", "sentMs": 100});
    assert_eq!(told.receive(), ended);

    silent.send(json!({"type": "ping"}));
    assert_eq!(silent.receive()["type"], "pong");
}

/// Notes what it is told, and fails at each end of candidates.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl NegotiationObserver for Notes {
    fn offer(&self, session: &SessionId, peer: PeerId, sdp: &str) {
        self.0.lock().unwrap().push(format!("{peer} offers {session} {} bytes", sdp.len()));
    }

    fn answer(&self, peer: PeerId, sdp: &str) {
        let is_answer = sdp.starts_with("v=0");
        self.0.lock().unwrap().push(format!("{peer} is answered {is_answer}"));
    }

    fn candidate(&self, peer: PeerId, candidate: &str) {
        assert_ne!(candidate, "", "planted");
        self.0.lock().unwrap().push(format!("{peer} has {candidate}"));
    }
}

#[test]
fn an_observer_sees_what_passes_and_changes_nothing() {
    let notes = Arc::<Notes>::default();
    let world = world(|config| config.observer = Some(notes.clone()));
    let (mut client, config) = world.joined();
    let peer = config["peerId"].as_str().unwrap();
    let candidate = "candidate:1 1 udp 2122260223 127.0.0.1 49203 typ host";
    for sent in ["nonsense", candidate, ""] {
        client.send(json!({"type": "ice-candidate", "candidate": sent}));
    }
    assert_eq!(client.receive_error(), "bad-candidate");
    client.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(client.receive()["type"], "answer");
    let (head, body) = world.send(
        "POST",
        "/webrtc/sessions/default/offer",
        "",
        &json!({"sdp": OFFER}).to_string(),
    );
    assert!(head.starts_with("HTTP/1.1 200"), "{head}{body}");
    let other: serde_json::Value = serde_json::from_str(&body).unwrap();
    let other = other["peerId"].as_str().unwrap();
    let bytes = OFFER.len();
    assert_eq!(
        *notes.0.lock().unwrap(),
        [
            format!("{peer} offers default {bytes} bytes"),
            format!("{peer} is answered true"),
            format!("{peer} has {candidate}"),
            format!("{peer} offers default {bytes} bytes"),
            format!("{peer} is answered true"),
            format!("{other} offers default {bytes} bytes"),
            format!("{other} is answered true"),
        ]
    );
}
