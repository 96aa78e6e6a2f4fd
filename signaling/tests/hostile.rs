//! Clients that stall, flood, lie and babble: each is contained, and the server serves on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{OFFER, World, read_response, read_to_close, world, world_with_limits};
use tungstenite::Message;
use visavis::Event;
use visavis::event::LeaveReason;

const SHORT: Duration = Duration::from_millis(300);

/// What an opening handshake has beside its first lines.
const WEBSOCKET: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Whether the server still serves others.
fn assert_alive(world: &World) {
    assert_eq!(world.get("/healthz").1, "ok\n");
    world.client();
}

/// Sends the same again and again, and reads nothing, until the server has had enough.
fn assert_dropped_while_sending(stream: &mut TcpStream, bytes: &[u8]) {
    let start = Instant::now();
    loop {
        match stream.write_all(bytes) {
            Ok(()) => assert!(start.elapsed() < support::PATIENCE, "the server goes on storing"),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("the server stalls"),
            Err(_) => return,
        }
    }
}

/// Opens a WebSocket by hand, to send what no library would, and reads past `config`.
fn raw_websocket(world: &World) -> TcpStream {
    let mut stream = world.tcp();
    stream
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    assert!(read_response(&mut stream).0.starts_with("HTTP/1.1 101 "));
    // A server's frames are unmasked; `config` is long enough for a length of two bytes (RFC 6455 §5.2).
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    assert!(header[0] == 0x81 && header[1] == 126, "{header:?}");
    let mut config = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
    stream.read_exact(&mut config).unwrap();
    stream
}

#[test]
fn dripping_bytes_extend_no_deadline() {
    let world = world_with_limits(|limits| limits.request_deadline = SHORT);
    let mut stream = world.tcp();
    let start = Instant::now();
    let mut reader = stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        for byte in b"GET / HTTP/1.1\r\n".iter().chain(b"x".iter().cycle()) {
            if stream.write_all(&[*byte]).is_err() || start.elapsed() > support::PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let answer = String::from_utf8(read_to_close(&mut reader)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(start.elapsed() >= SHORT);
    drip.join().unwrap();
    assert_alive(&world);
}

#[test]
fn a_silent_connection_is_closed() {
    let world = world_with_limits(|limits| {
        limits.request_deadline = SHORT;
        limits.idle_deadline = SHORT;
        limits.linger = SHORT;
    });
    assert_eq!(read_to_close(&mut world.tcp()), b"");
    let mut kept_alive = world.tcp();
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    read_response(&mut kept_alive);
    assert_eq!(read_to_close(&mut kept_alive), b"");
}

#[test]
fn a_body_that_never_ends_is_given_up() {
    let world = world_with_limits(|limits| limits.request_deadline = SHORT);
    let (head, _) =
        world.http("POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nsome");
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
}

#[test]
fn an_endless_head_is_cut_off() {
    let world = world_with_limits(|_| {});
    let mut stream = world.tcp();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
    let filler = [b'x'; 4_096];
    // The server answers and closes while this is still being sent.
    for _ in 0..1_000 {
        if stream.write_all(&filler).is_err() {
            break;
        }
    }
    let answer = String::from_utf8(read_to_close(&mut stream)).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_alive(&world);
}

#[test]
fn garbage_is_refused() {
    let world = world_with_limits(|_| {});
    let mut state = 1_u32;
    for round in 0..50 {
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(64 + round * 7)
        .chain(*b"\r\n\r\n")
        .collect();
        let mut stream = world.tcp();
        stream.write_all(&garbage).unwrap();
        let answer = String::from_utf8(read_to_close(&mut stream)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{garbage:?}: {answer}");
    }
    assert_alive(&world);
}

#[test]
fn garbage_on_a_websocket_closes_it() {
    let world = world_with_limits(|_| {});
    for frame in [
        // Unmasked.
        &b"\x81\x02hi"[..],
        // Reserved bits.
        b"\xf1\x80\0\0\0\0",
        // A reserved opcode.
        b"\x83\x80\0\0\0\0",
        // A control frame in fragments.
        b"\x09\x80\0\0\0\0",
        // A continuation of nothing.
        b"\x80\x80\0\0\0\0",
        // Not UTF-8.
        b"\x81\x81\0\0\0\0\xff",
    ] {
        let mut stream = raw_websocket(&world);
        stream.write_all(frame).unwrap();
        let answer = read_to_close(&mut stream);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("\"code\":\"bad-message\""), "{frame:x?}: {text}");
    }
    assert_alive(&world);
}

#[test]
fn a_message_of_ten_megabytes_is_refused_by_its_header() {
    let world = world_with_limits(|_| {});
    let mut stream = raw_websocket(&world);
    // The length alone is enough: nothing of the message has been sent, or stored, yet.
    stream.write_all(b"\x81\xff\0\0\0\0\0\xa0\0\0\0\0\0\0").unwrap();
    let mut header = [0; 2];
    stream.read_exact(&mut header).unwrap();
    let mut error = vec![0; usize::from(header[1])];
    stream.read_exact(&mut error).unwrap();
    assert!(String::from_utf8_lossy(&error).contains("\"code\":\"too-large\""));

    // A client that sends it all nevertheless gets to read the answer.
    let (mut client, _) = world.client();
    let _ = client.0.send(Message::text("x".repeat(10 << 20)));
    assert_eq!(client.receive_error(), "too-large");
    assert_eq!(client.receive_close(), 1009);
    assert_alive(&world);
}

#[test]
fn fragments_add_up_to_one_limit() {
    let world = world_with_limits(|limits| limits.message_bytes = 10_000);
    let mut stream = raw_websocket(&world);
    for opcode in [0x01, 0x00, 0x00, 0x00] {
        // 4,000 bytes each, masked with zeros, not final.
        let mut frame = vec![opcode, 0x80 | 126, 0x0f, 0xa0, 0, 0, 0, 0];
        frame.resize(frame.len() + 4_000, b'x');
        stream.write_all(&frame).unwrap();
    }
    let answer = read_to_close(&mut stream);
    assert!(String::from_utf8_lossy(&answer).contains("too-large"));
}

#[test]
fn where_places_are_short_those_who_watch_over_the_server_are_answered() {
    let world = world_with_limits(|limits| limits.connections = 2);
    let held: Vec<_> = (0..2).map(|_| world.joined().0).collect();
    let (answer, body) = world.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 ") && body.contains("\"full\""), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("retry-after"), "{answer}");
    for path in ["/healthz", "/readyz", "/metrics", "/status", "/webrtc/sessions/default"] {
        let (head, _) = world.get(path);
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    }
    drop(held);
    // The places come back.
    let deadline = Instant::now() + support::PATIENCE;
    while !world.get("/").0.starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn idle_connections_make_room_for_those_with_something_to_ask() {
    let world = world_with_limits(|limits| limits.connections = 20);
    let mut idle: Vec<_> = (0..100).map(|_| world.tcp()).collect();
    for half in idle.iter_mut().skip(50) {
        // Slow heads are no better than none.
        let _ = half.write_all(b"GET / HTTP/1.1\r\nHost: ");
    }
    assert!(world.get("/").0.starts_with("HTTP/1.1 200 "));
    let (_watching, _) = world.joined();
    for _ in 0..30 {
        // WebSockets that never offer are idle too.
        idle.push(world.client().0.0.into_inner());
    }
    assert!(world.get("/player.js").0.starts_with("HTTP/1.1 200 "));
    // The first ones were closed for them.
    assert_eq!(read_to_close(&mut idle[0]), b"");
}

#[test]
fn one_address_takes_no_more_than_its_share_of_connections() {
    let world = world(|config| {
        config.trusted_proxies = Vec::new();
        config.limits.connections_per_address = 3;
    });
    let held: Vec<_> = (0..3).map(|_| world.tcp()).collect();
    let answer = String::from_utf8(read_to_close(&mut world.tcp())).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("rate-limited"), "{answer}");
    // Another address of this machine.
    let mut other = support::tcp_from("127.0.0.2", world.server.local_addr());
    other.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (head, _) = read_response(&mut other);
    assert!(head.starts_with("HTTP/1.1 200 "), "others are not its business: {head}");
    drop(held);
}

#[test]
fn connections_that_browsers_keep_in_reserve_keep_no_visitor_behind_the_same_address_out() {
    let world = world(|config| {
        config.trusted_proxies = Vec::new();
        config.limits.connections_per_address = 3;
    });
    let _watching = world.joined();
    let mut kept: Vec<_> = (0..10)
        .map(|number| {
            let mut stream = world.tcp();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let (head, _) = read_response(&mut stream);
            assert!(head.starts_with("HTTP/1.1 200 "), "{number}: {head}");
            stream
        })
        .collect();
    // The longest idle ones were closed, and of the last ones each is as good as before.
    assert_eq!(read_to_close(&mut kept[0]), b"");
    kept[9].write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut kept[9]).1, "ok\n");
    // Viewers, and connections with a request, are not closed for others.
    let _others = [world.joined(), world.joined()];
    let answer = String::from_utf8(read_to_close(&mut world.tcp())).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}

#[test]
fn a_proxy_is_not_one_client_and_its_clients_are_told_apart() {
    let world = world_with_limits(|limits| limits.connections_per_address = 2);
    let ask = |request: &str, client: &str| {
        let mut stream = world.tcp();
        let head = format!(
            "GET {request} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\n{WEBSOCKET}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (head, _) = read_response(&mut stream);
        (stream, head)
    };
    let open = |client: &str| ask("/healthz", client);
    // Idle connections of the proxy count for no client.
    let _kept: Vec<_> = (0..5).map(|_| open("192.0.2.1")).collect();
    let held: Vec<_> = (0..2).map(|_| ask("/ws", "192.0.2.1")).collect();
    assert!(held.iter().all(|(_, head)| head.starts_with("HTTP/1.1 101 ")));
    let (_, refused) = open("192.0.2.1");
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    for number in 2..20 {
        assert!(open(&format!("192.0.2.{number}")).1.starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn empty_fragments_are_abuse() {
    let world = world_with_limits(|limits| {
        limits.abuse_window = Duration::from_secs(3_600);
        limits.messages = 50;
    });
    // A first fragment, and then others without a byte: no message ever comes of them.
    let mut fragments = vec![0x01, 0x80, 0, 0, 0, 0];
    fragments.extend_from_slice(&[0x00, 0x80, 0, 0, 0, 0].repeat(50));
    for flood in [fragments, [0x89, 0x80, 0, 0, 0, 0].repeat(51)] {
        let mut stream = raw_websocket(&world);
        stream.write_all(&flood).unwrap();
        let answer = read_to_close(&mut stream);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("\"code\":\"abuse\""), "{text}");
    }
    assert_alive(&world);
}

#[test]
fn offers_and_candidates_of_a_viewer_are_limited_on_every_route() {
    let world = world_with_limits(|limits| {
        limits.abuse_window = Duration::from_secs(3_600);
        limits.offers = 3;
        limits.candidates = 5;
    });
    let candidate = "candidate:1 1 udp 2122260223 127.0.0.1 49203 typ host";
    let (mut client, config) = world.joined();
    for _ in 0..2 {
        client.send(json!({"type": "offer", "sdp": OFFER}));
        assert_eq!(client.receive()["type"], "answer");
    }
    client.send(json!({"type": "offer", "sdp": OFFER}));
    let refused = client.receive();
    assert_eq!((&refused["code"], &refused["retryAfter"]), (&json!("rate-limited"), &json!(10)));
    // Over HTTP it is the same viewer.
    let peer = config["peerId"].as_str().unwrap();
    let offer = json!({"peerId": peer, "sdp": OFFER}).to_string();
    let (head, body) = world.send("POST", "/webrtc/sessions/default/offer", "", &offer);
    assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: "), "{head}");
    assert!(body.contains("\"rate-limited\""), "{body}");
    for _ in 0..5 {
        client.send(json!({"type": "ice-candidate", "candidate": candidate}));
    }
    client.send(json!({"type": "ice-candidate", "candidate": candidate}));
    assert_eq!(client.receive_error(), "rate-limited");
    let one = json!({"peerId": peer, "candidate": candidate}).to_string();
    let (head, _) = world.send("POST", "/webrtc/sessions/default/ice", "", &one);
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    // By WHEP each offer makes a viewer of its own, and has a PATCH for more.
    let mut location = String::new();
    for _ in 0..4 {
        let (head, _) =
            world.send("POST", "/whep/default", "Content-Type: application/sdp\r\n", OFFER);
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
        let field = head.lines().find_map(|line| line.strip_prefix("location: "));
        location = field.unwrap().to_owned();
    }
    let restart = |number: usize| {
        let fragment = format!("a=ice-ufrag:abc{number}\r\na=ice-pwd:nB7dJ0wqv5m2s8LrT4kYhG6c\r\n");
        let headers = "Content-Type: application/trickle-ice-sdpfrag\r\nIf-Match: *\r\n";
        world.send("PATCH", &location, headers, &fragment).0
    };
    let answers: Vec<_> = (0..5).map(restart).collect();
    let refused = answers.iter().filter(|head| head.starts_with("HTTP/1.1 429 ")).count();
    assert_eq!(refused, 2, "{answers:?}");
}

#[test]
fn one_address_does_not_send_viewers_without_end() {
    let world = world(|config| {
        config.trusted_proxies = Vec::new();
        config.limits.abuse_window = Duration::from_secs(3_600);
        config.limits.joins_per_address = 2;
    });
    let sdp = "Content-Type: application/sdp\r\n";
    assert!(world.send("POST", "/whep/default", sdp, OFFER).0.starts_with("HTTP/1.1 201 "));
    let (_client, _) = world.joined();
    assert!(world.send("POST", "/whep/default", sdp, OFFER).0.starts_with("HTTP/1.1 429 "));
    let (mut client, _) = world.client();
    client.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(client.receive_error(), "rate-limited");
}

#[test]
fn a_websocket_client_that_never_reads_is_dropped() {
    let world = world_with_limits(|limits| {
        *limits = limits.backlog_bytes(0).bad_messages(u32::MAX).messages(u32::MAX);
    });
    let mut stream = raw_websocket(&world);
    // Each empty message is answered with an error many times its size.
    let flood = [0x81, 0x80, 0, 0, 0, 0].repeat(1_000);
    assert_dropped_while_sending(&mut stream, &flood);
    assert_alive(&world);
}

#[test]
fn a_viewer_that_does_not_read_its_answers_keeps_no_place() {
    let world = world(|config| {
        config.max_clients = 1;
        config.limits.backlog_bytes = 0;
        (config.limits.bad_messages, config.limits.messages) = (u32::MAX, u32::MAX);
    });
    let events = world.engine.handle().subscribe();
    let (mut viewer, config) = world.joined();
    let flood = [0x81, 0x80, 0, 0, 0, 0].repeat(1_000);
    assert_dropped_while_sending(viewer.0.get_mut(), &flood);
    // The engine's place goes with the one among the clients: no answer would reach this peer any more.
    match events.recv_timeout(support::PATIENCE).unwrap() {
        Event::PeerLeft { peer, reason, .. } => {
            assert_eq!(peer.to_string(), config["peerId"]);
            assert_eq!(reason, LeaveReason::Closed);
        }
        other => panic!("{other:?}"),
    }
    world.joined();
}

#[test]
fn a_pipeline_that_is_never_read_stops_and_is_dropped() {
    let world = world_with_limits(|limits| {
        limits.backlog_bytes = 64 << 10;
        limits.write_deadline = SHORT;
    });
    let mut stream = world.tcp();
    let flood = b"GET /player.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    assert_dropped_while_sending(&mut stream, &flood);
    assert_alive(&world);
}

#[test]
fn a_flood_leaves_others_their_turn() {
    let world = world_with_limits(|limits| {
        limits.bad_messages = u32::MAX;
        limits.messages = u32::MAX;
    });
    let mut flooder = raw_websocket(&world);
    let mut reader = flooder.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        // Unsolicited pongs: sound, and never answered.
        let mut frame = vec![0x81, 0x80 | 15, 0, 0, 0, 0];
        frame.extend_from_slice(br#"{"type":"pong"}"#);
        let frames = frame.repeat(1_000);
        while flooder.write_all(&frames).is_ok() {}
    });
    for _ in 0..20 {
        assert_alive(&world);
    }
    drop(world);
    read_to_close(&mut reader);
    drop(reader);
    flood.join().unwrap();
}
