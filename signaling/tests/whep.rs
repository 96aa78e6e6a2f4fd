//! WHEP, request by request (draft-ietf-wish-whep-03).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{OFFER, PATIENCE, World, world};
use visavis::session::SessionId;
use visavis::{Engine, EngineConfig, Event, SessionConfig};
use visavis_signaling::{IceServer, SignalingConfig, SignalingServer};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// What the offer has.
const UFRAG: &str = "Yx3k";
const PWD: &str = "nB7dJ0wqv5m2s8LrT4kYhG6c";
/// What a restart has instead.
const NEW_UFRAG: &str = "ysXw";
const NEW_PWD: &str = "vw5LmwG4y/e6dPP/zAP9Gp5k";

const CANDIDATE: &str =
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let field = |line: &'_ str| -> Option<usize> {
            line.split_once(": ")
                .filter(|(own, _)| own.eq_ignore_ascii_case(name))
                .map(|(own, _)| own.len())
        };
        self.head.lines().find_map(|line| field(line).map(|at| &line[at + 2..]))
    }

    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }
}

fn ask(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (head, body) = world.http(&format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body }
}

fn post(world: &World, body: &str) -> Answer {
    ask(world, "POST", "/whep/default", &[("Content-Type", SDP)], body)
}

fn patch(world: &World, resource: &str, tag: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("Content-Type", FRAGMENT)];
    headers.extend(tag.map(|tag| ("If-Match", tag)));
    ask(world, "PATCH", resource, &headers, body)
}

/// Somebody who watches: the address of the resource, and the entity tag.
fn watch(world: &World) -> (String, String) {
    let answer = post(world, OFFER);
    assert_eq!(answer.status, 201, "{}{}", answer.head, answer.body);
    let (location, tag) = (answer.header("location").unwrap(), answer.header("etag").unwrap());
    (location.to_owned(), tag.to_owned())
}

fn fragment(ufrag: &str, pwd: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         {CANDIDATE}\r\na=end-of-candidates\r\n"
    )
}

fn value<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default()
}

#[test]
fn an_offer_is_answered_with_a_resource_of_its_own() {
    let turn = IceServer::new(["turn:turn.example.net?transport=udp"])
        .username("user".to_owned())
        .credential("pass".to_owned());
    let stun = IceServer::new(["stun:stun.example.net"]);
    let world = world(|config| config.ice_servers = vec![stun, turn]);
    let answer = post(&world, OFFER);
    assert_eq!(answer.status, 201, "{}{}", answer.head, answer.body);
    assert_eq!(answer.header("content-type"), Some(SDP));
    let links: Vec<_> = answer.head.lines().filter_map(|l| l.strip_prefix("link: ")).collect();
    let expected = [
        "<stun:stun.example.net>; rel=\"ice-server\"",
        "<turn:turn.example.net?transport=udp>; rel=\"ice-server\"; username=\"user\"; \
         credential=\"pass\"; credential-type=\"password\"",
    ];
    assert_eq!(links, expected);
    let tag = answer.header("etag").unwrap();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    // The server receives no media from viewers, also from those who offer to send.
    assert_eq!(answer.body.matches("a=sendonly").count(), 2, "{}", answer.body);
    let both_ways = post(&world, &OFFER.replace("a=recvonly", "a=sendrecv"));
    assert_eq!(both_ways.body.matches("a=sendonly").count(), 2, "{}", both_ways.body);

    let resource = answer.header("location").unwrap();
    let secret = resource.strip_prefix("/whep/default/").unwrap();
    assert!(secret.len() >= 22 && secret.bytes().all(|b| b.is_ascii_alphanumeric()), "{secret}");
    let other = both_ways.header("location").unwrap();
    let alike = resource.bytes().zip(other.bytes()).filter(|(a, b)| a == b).count();
    assert!(alike < "/whep/default/".len() + 16, "{resource} and {other} are too alike");
}

#[test]
fn what_cannot_be_watched_is_said() {
    let world = world(|_| {});
    let ask = |path: &str, kind: &str, body: &str| {
        let answer = ask(&world, "POST", path, &[("Content-Type", kind)], body);
        (answer.status, answer.code())
    };
    let no_codec = OFFER.replace("VP8/90000", "X8/90000").replace("H264/90000", "X4/90000");
    let no_codec = no_codec.replace("opus/48000/2", "speex/48000/2");
    let anonymous = OFFER.replace("a=ice-ufrag", "a=x");
    for (path, kind, body, status, code) in [
        ("/whep/nobody", SDP, OFFER, 404, "no-session"),
        ("/whep/a%20b", SDP, OFFER, 400, "bad-session"),
        ("/whep/default", "application/json", OFFER, 415, "media-type"),
        ("/whep/default", SDP, "", 422, "bad-sdp"),
        ("/whep/default", SDP, "hello", 422, "bad-sdp"),
        ("/whep/default", SDP, &anonymous, 422, "bad-sdp"),
        ("/whep/default", SDP, &no_codec, 422, "no-common-codec"),
    ] {
        assert_eq!(ask(path, kind, body), (status, code.to_owned()), "{path} {kind} {body:.20}");
    }
    assert_eq!(world.session.status().peer_count, 0);
}

/// It is a legal offer (RFC 3264 §6.1), of a viewer that may want something later.
#[test]
fn who_wants_nothing_yet_is_answered_so() {
    let world = world(|_| {});
    let answer = post(&world, &OFFER.replace("a=recvonly", "a=inactive"));
    assert_eq!(answer.status, 201, "{}{}", answer.head, answer.body);
    assert!(!answer.body.contains("a=sendonly"), "{}", answer.body);
    assert!(answer.body.contains("a=inactive"), "{}", answer.body);
}

#[test]
fn a_full_house_says_when_to_try_again() {
    let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = EngineConfig::default().udp(localhost).max_peers(1);
    let engine = Engine::start(config).unwrap();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let config = SignalingConfig::default().listen(localhost);
    let server = SignalingServer::start(config, engine.handle()).unwrap();
    let world = World { server, session, engine };
    let (resource, _) = watch(&world);
    let refused = post(&world, OFFER);
    assert_eq!((refused.status, refused.code().as_str()), (503, "full"));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // Whoever leaves makes room.
    assert_eq!(ask(&world, "DELETE", &resource, &[], "").status, 200);
    let end = Instant::now() + PATIENCE;
    while post(&world, OFFER).status != 201 {
        assert!(Instant::now() < end, "the place stays taken");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn candidates_come_one_by_one() {
    let world = world(|_| {});
    let (resource, tag) = watch(&world);
    let own = fragment(UFRAG, PWD);
    let added = patch(&world, &resource, Some(&tag), &own);
    assert_eq!(added.status, 204, "{}{}", added.head, added.body);
    assert_eq!((added.header("etag"), added.header("content-length")), (None, None));
    // Transports that are not spoken here, and names that only the viewer's network knows.
    let foreign = "a=candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
                   a=candidate:2 1 udp 1 0d7b4a4e-77c6-4a2c-8d35-6d1e6e0f6f52.local 9 typ host\r\n";
    assert_eq!(patch(&world, &resource, Some(&tag), foreign).status, 204);
    assert_eq!(patch(&world, &resource, Some("*"), &own).status, 204);
    assert_eq!(patch(&world, &resource, None, &own).status, 204, "the credentials say which");

    let ice = |tag: Option<&str>, body: &str| {
        let answer = patch(&world, &resource, tag, body);
        (answer.status, answer.code())
    };
    assert_eq!(ice(None, foreign), (428, "precondition-required".to_owned()));
    let other = fragment(NEW_UFRAG, NEW_PWD);
    assert_eq!(ice(None, &other), (428, "precondition-required".to_owned()));
    assert_eq!(ice(Some("\"xyzzy\""), &own), (412, "precondition-failed".to_owned()));
    assert_eq!(ice(Some(&tag), "hello"), (400, "bad-fragment".to_owned()));
    assert_eq!(ice(Some(&tag), "a=ice-ufrag:abcd\r\n"), (400, "bad-fragment".to_owned()));
    assert_eq!(ice(Some(&tag), "a=candidate:x\r\n"), (422, "bad-candidate".to_owned()));
    let json = [("Content-Type", "application/json"), ("If-Match", tag.as_str())];
    let refused = ask(&world, "PATCH", &resource, &json, &own);
    assert_eq!((refused.status, refused.code().as_str()), (415, "media-type"));
    assert_eq!(refused.header("accept-patch"), Some(FRAGMENT));
}

#[test]
fn ice_restarts_and_nothing_else_changes() {
    let world = world(|_| {});
    let first = post(&world, OFFER);
    let (resource, tag) = (first.header("location").unwrap(), first.header("etag").unwrap());
    let restarted = patch(&world, resource, Some("*"), &fragment(NEW_UFRAG, NEW_PWD));
    assert_eq!(restarted.status, 200, "{}{}", restarted.head, restarted.body);
    assert_eq!(restarted.header("content-type"), Some(FRAGMENT));
    let new_tag = restarted.header("etag").unwrap();
    assert_ne!(new_tag, tag);
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        let (old, new) = (value(&first.body, name), value(&restarted.body, name));
        assert!(new.len() >= 4 && old != new, "{name} {old} {new}");
    }
    for name in ["a=mid:", "a=candidate:", "a=group:BUNDLE"] {
        // A candidate names its ICE session at its end.
        let of = |text| value(text, name).split(" ufrag ").next().unwrap_or_default().to_owned();
        assert!(!of(&first.body).is_empty(), "{name}: {}", first.body);
        assert_eq!(of(&first.body), of(&restarted.body), "{}", restarted.body);
    }
    assert!(!restarted.body.contains("a=fingerprint"), "{}", restarted.body);

    // What belonged to the ICE session before is late.
    let late = patch(&world, resource, Some(tag), &fragment(UFRAG, PWD));
    assert_eq!((late.status, late.code().as_str()), (412, "precondition-failed"));
    let new = fragment(NEW_UFRAG, NEW_PWD);
    assert_eq!(patch(&world, resource, Some(new_tag), &new).status, 204);
    // Again, now with the tag that it had.
    let again = patch(&world, resource, Some(new_tag), &fragment("abcd", PWD));
    assert_eq!(again.status, 200, "{}{}", again.head, again.body);
    assert_ne!(again.header("etag"), Some(new_tag));
}

#[test]
fn a_resource_is_gone_when_its_viewer_is() {
    let world = world(|_| {});
    let (resource, _) = watch(&world);
    let method = |method: &str, path: &str| ask(&world, method, path, &[], "");
    assert_eq!(method("GET", &resource).status, 204);
    let stranger = resource.replace("/whep/default/", "/whep/other/");
    assert_eq!(method("DELETE", &stranger).code(), "no-peer", "of another session");
    // DELETE ignores tags (§4.4.1).
    let deleted = ask(&world, "DELETE", &resource, &[("If-Match", "\"xyzzy\"")], "");
    assert_eq!(deleted.status, 200, "{}", deleted.head);
    for verb in ["DELETE", "GET"] {
        assert_eq!(method(verb, &resource).status, 404, "{verb}");
    }
    assert_eq!(patch(&world, &resource, Some("*"), "").status, 404);

    // One that is disconnected otherwise takes its resource with it.
    let (resource, _) = watch(&world);
    world.session.stop();
    let end = Instant::now() + PATIENCE;
    while method("GET", &resource).status != 404 {
        assert!(Instant::now() < end, "the resource stays");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn pages_of_other_origins_may_watch_where_they_are_allowed() {
    let world = world(|config| config.cors = vec!["https://app.example".to_owned()]);
    let origin = ("Origin", "https://app.example");
    let preflight = [origin, ("Access-Control-Request-Method", "POST")];
    let options = ask(&world, "OPTIONS", "/whep/default", &preflight, "");
    assert_eq!(options.status, 204, "{}", options.head);
    assert_eq!(options.header("accept-post"), Some(SDP));
    assert!(options.header("access-control-allow-methods").unwrap().contains("POST"));
    let answer = ask(&world, "POST", "/whep/default", &[origin, ("Content-Type", SDP)], OFFER);
    assert_eq!(answer.status, 201, "{}{}", answer.head, answer.body);
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["Location", "Link", "ETag"] {
        assert!(exposed.split(", ").any(|own| own == name), "{name}: {exposed}");
    }
    let preflight = [origin, ("Access-Control-Request-Method", "PATCH")];
    let options = ask(&world, "OPTIONS", answer.header("location").unwrap(), &preflight, "");
    assert!(options.header("access-control-allow-methods").unwrap().contains("PATCH, DELETE"));
    assert!(options.header("access-control-allow-headers").unwrap().contains("If-Match"));
    for (method, path) in [("PUT", "/whep/default"), ("POST", answer.header("location").unwrap())] {
        let refused = ask(&world, method, path, &[origin], "");
        assert_eq!((refused.status, refused.code().as_str()), (405, "method-not-allowed"));
    }
}

#[test]
fn every_offer_that_we_know_is_answered_over_http() {
    let world = world(|config| config.limits.joins_per_address = 1_000);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/sdp");
    let mut posted = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let offer = std::fs::read_to_string(&path).unwrap();
        let answer = post(&world, &offer);
        assert_eq!(answer.status, 201, "{path:?}: {}{}", answer.head, answer.body);
        let sections = |sdp: &str| sdp.lines().filter(|line| line.starts_with("m=")).count();
        assert_eq!(sections(&answer.body), sections(&offer), "{path:?}: {}", answer.body);
        posted += 1;
    }
    assert!(posted >= 35, "{posted}");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&world, "GET", path, &[], "").status, 200, "{path}");
    }
}

#[test]
fn a_private_place_whose_holder_is_silent_goes_to_a_newcomer() {
    let world = world(|_| {});
    let (id, max_peers) = (SessionId::new("private").unwrap(), Some(1));
    let config = SessionConfig::default().id(id).max_peers(max_peers);
    let private = world.engine.create_session(config).unwrap();
    private.start();
    let events = world.engine.handle().subscribe();
    let join = || ask(&world, "POST", "/whep/private", &[("Content-Type", SDP)], OFFER);
    let first = join();
    assert_eq!(first.status, 201);
    let resource = first.header("location").unwrap().to_owned();
    let start = Instant::now();
    // The first one never sends anything. Requests for its place do not keep it alive.
    loop {
        let next = join();
        if next.status == 201 {
            break;
        }
        assert_eq!((next.status, next.code()), (409, "session-full".to_owned()));
        let rest = Duration::from_secs(5).saturating_sub(start.elapsed()).as_secs();
        let told: u64 = next.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&told) && told.abs_diff(rest) <= 1, "{told} s, {rest} s");
        assert!(start.elapsed() < PATIENCE, "the place is kept for the dead");
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
    match events.recv_timeout(PATIENCE).unwrap() {
        Event::PeerLeft { session, .. } => assert_eq!(session.as_str(), "private"),
        other => panic!("{other:?}"),
    }
    // Its resource goes with it.
    let deadline = Instant::now() + PATIENCE;
    while ask(&world, "GET", &resource, &[], "").status != 404 {
        assert!(Instant::now() < deadline);
    }
}
