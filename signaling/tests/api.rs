//! The HTTP API: what each route answers to what is right and to what is wrong, held to the document.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{OFFER, PATIENCE, World, read_response, read_to_close, world};
use visavis::Session;
use visavis::session::SessionId;
use visavis_signaling::{CreateRequest, EndReason, SessionHooks};

/// A server that lets clients manage sessions, and its document.
struct Api {
    world: World,
    document: Value,
}

fn api() -> Api {
    api_with(|_| {})
}

fn api_with(adjust: impl FnOnce(&mut visavis_signaling::SignalingConfig)) -> Api {
    let world = world(|config| {
        config.api.manage = true;
        adjust(config);
    });
    let document = serde_json::from_str(&world.get("/openapi.json").1).unwrap();
    Api { world, document }
}

impl Api {
    /// Sends a request and holds the answer to the document: its status, its type and its schema.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Value) {
        let (head, text) = self.world.send(method, path, headers, body);
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        let value = match content_type {
            Some("application/json" | "application/problem+json") => {
                serde_json::from_str(&text).unwrap()
            }
            _ => Value::String(text),
        };
        // Methods that are not in the document get the one problem that is not either.
        let schema = match (status, self.operation(method, path)) {
            (405 | 501, None) => json!({"$ref": "#/components/schemas/Problem"}),
            (_, Some(operation)) => {
                let response = &operation["responses"][status.to_string()];
                assert!(response.is_object(), "{method} {path} answers {status}, undocumented");
                let response = match response["$ref"].as_str() {
                    Some(name) => self.document.pointer(&name[1..]).unwrap(),
                    None => response,
                };
                let Some(content) = response["content"].as_object() else {
                    assert_eq!((content_type, &value), (None, &json!("")), "{method} {path}");
                    return (status, head, value);
                };
                let essence = content_type.unwrap().split(';').next().unwrap();
                content[essence]["schema"].clone()
            }
            (_, None) => panic!("{method} {path} answers {status}, but is not in the document"),
        };
        let schema = json!({"allOf": [schema], "components": self.document["components"]});
        if let Err(error) = jsonschema::validate(&schema, &value) {
            panic!("{method} {path} answers {status} {value}: {error}");
        }
        (status, head, value)
    }

    /// A request in the document.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let (own, asked) = (template.split('/'), path.split('/'));
            own.clone().count() == asked.clone().count()
                && own.zip(asked).all(|(own, asked)| own.starts_with('{') || own == asked)
        };
        let paths = self.document["paths"].as_object().unwrap();
        // An address that is there word for word comes before one with a name in braces.
        let item = paths.get(path).or_else(|| {
            let mut found: Vec<_> = paths.iter().filter(|(template, _)| fits(template)).collect();
            found.sort_by_key(|(template, _)| template.matches('{').count());
            found.first().map(|(_, item)| *item)
        });
        item?.get(method.to_lowercase())
    }

    fn code(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (status, _, value) = self.ask(method, path, headers, body);
        (status, value["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes a session and returns its id.
    fn create(&self, body: Value) -> String {
        let (status, _, value) = self.ask("POST", CREATE, "", &body.to_string());
        assert_eq!(status, 201, "{value}");
        value["id"].as_str().unwrap().to_owned()
    }

    fn exists(&self, id: &str) -> bool {
        self.world.engine.handle().has_session(&SessionId::new(id).unwrap())
    }

    /// Whether a session ends within the tests' deadline, and how soon.
    fn ends_after(&self, id: &str) -> Duration {
        let start = Instant::now();
        while self.exists(id) {
            assert!(start.elapsed() < PATIENCE, "{id} does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    }
}

const CREATE: &str = "/webrtc/sessions/create";
const TEXT: &str = "Content-Type: text/plain\r\n";

fn offer() -> String {
    json!({"type": "offer", "sdp": OFFER}).to_string()
}

#[test]
fn a_session_is_made_listed_inspected_and_ended() {
    let api = api();
    let body = json!({
        "id": "anna", "videoCodec": "VP8", "fps": 25, "private": true, "lifetimeSeconds": 600,
        "metadata": {"voice": "low"},
    });
    let (status, head, made) = api.ask("POST", CREATE, "", &body.to_string());
    assert_eq!(status, 201, "{made}");
    assert!(head.contains("\r\nlocation: /webrtc/sessions/anna\r\n"), "{head}");
    assert_eq!(made["playerUrl"], "/webrtc/player/anna");
    assert_eq!(made["settings"]["videoCodec"], json!(["VP8"]));
    assert_eq!(
        (&made["settings"]["fps"], &made["settings"]["maxViewers"]),
        (&json!(25), &json!(1))
    );
    let (created, expires) =
        (made["createdAt"].as_u64().unwrap(), made["expiresAt"].as_u64().unwrap());
    assert!((590_000..=600_100).contains(&(expires - created)), "{made}");

    let (_, _, list) = api.ask("GET", "/webrtc/sessions", "", "");
    let ids: Vec<_> = list["sessions"].as_array().unwrap().iter().map(|s| &s["id"]).collect();
    assert_eq!(ids, ["anna", "default"]);
    let (_, _, seen) = api.ask("GET", "/webrtc/sessions/anna", "", "");
    assert_eq!(seen["settings"], made["settings"]);
    let (_, _, default) = api.ask("GET", "/webrtc/sessions/default", "", "");
    assert_eq!((&default["managed"], &default["settings"]), (&json!(false), &Value::Null));
    let (status, _, page) = api.ask("GET", "/webrtc/player/anna", "", "");
    assert!(status == 200 && page.as_str().unwrap().contains("visavis"), "{page}");

    assert_eq!(api.ask("DELETE", "/webrtc/sessions/anna", "", "").0, 204);
    assert!(!api.exists("anna"), "it is answered when it has ended");
    assert_eq!(api.code("GET", "/webrtc/sessions/anna", "", ""), (404, "no-session".to_owned()));
    // The name is free again.
    assert_eq!(api.create(json!({"id": "anna"})), "anna");
}

#[test]
fn a_session_without_a_name_gets_one_that_nobody_guesses() {
    let api = api();
    let (status, _, made) = api.ask("POST", CREATE, "", "");
    let id = made["id"].as_str().unwrap();
    assert_eq!((status, id.len()), (201, 32), "{made}");
    assert_ne!(api.create(json!({})), id);
}

#[test]
fn an_offer_is_answered_and_candidates_are_taken() {
    let api = api();
    let id = api.create(json!({"private": true}));
    let path = format!("/webrtc/sessions/{id}/offer");
    let (status, _, answer) = api.ask("POST", &path, "", &offer());
    assert_eq!(status, 200, "{answer}");
    assert!(answer["sdp"].as_str().unwrap().starts_with("v=0\r\n"), "{answer}");
    let peer = &answer["peerId"];

    let ice = format!("/webrtc/sessions/{id}/ice");
    let candidate = "candidate:1 1 udp 2122260223 127.0.0.1 54321 typ host";
    for body in [
        json!({"peerId": peer, "candidate": candidate}),
        json!({"peerId": peer, "candidate": {"candidate": candidate, "sdpMid": "0"}}),
        json!({"peerId": peer, "candidates": [{"candidate": candidate}, ""]}),
        // Unusable candidates do no harm: link-local, a name, an invalid related address, brackets.
        json!({"peerId": peer, "candidates": [
            "candidate:2 1 udp 2122197247 fe80::1%eth0 54321 typ host",
            "candidate:3 1 udp 2122197247 face.example.org 54321 typ host",
            "candidate:4 1 udp 1686052607 192.0.2.1 54321 typ srflx raddr nowhere rport 0",
            "candidate:5 1 udp 2122197247 [2001:db8::1] 54321 typ host",
            "nonsense",
            {"candidate": candidate, "sdpMid": "0"},
        ]}),
        json!({"peerId": peer, "candidate": "candidate:2 1 udp 2122197247 fe80::1%eth0 54321 typ host"}),
        // The end of candidates.
        json!({"peerId": peer, "candidate": null}),
        json!({"peerId": peer, "candidate": {"candidate": null}}),
        json!({"peerId": peer, "candidates": [null, {"candidate": ""}]}),
        // Fields for servers of others.
        json!({"peerId": peer, "candidate": candidate, "pc_id": peer, "restart_pc": true, "webrtc_id": "x"}),
    ] {
        assert_eq!(api.ask("POST", &ice, "", &body.to_string()).0, 204, "{body}");
    }
    // A peer belongs to its session alone.
    let body = json!({"peerId": peer, "candidate": candidate}).to_string();
    let elsewhere = api.code("POST", "/webrtc/sessions/default/ice", "", &body);
    assert_eq!(elsewhere, (404, "no-peer".to_owned()));

    // The one place is taken, but its own peer may offer again.
    assert_eq!(api.code("POST", &path, "", &offer()), (409, "session-full".to_owned()));
    let again = json!({"sdp": OFFER, "peerId": peer}).to_string();
    let (status, _, answer) = api.ask("POST", &path, "", &again);
    assert_eq!((status, &answer["peerId"]), (200, peer), "{answer}");
}

#[test]
fn every_route_says_what_is_wrong() {
    let api = api();
    api.create(json!({"id": "taken"}));
    let huge = "x".repeat(70_000);
    let nobody = json!({"peerId": "0123456789abcdef", "candidate": ""}).to_string();
    let one = |value: Value| value.to_string();
    let offers = "/webrtc/sessions/default/offer";
    let ice = "/webrtc/sessions/default/ice";
    #[rustfmt::skip]
    let cases: Vec<(&str, &str, &str, String, u16, &str)> = vec![
        ("POST", CREATE, "", "{".into(), 400, "bad-json"),
        ("POST", CREATE, "", "\u{0}".into(), 400, "bad-json"),
        ("POST", CREATE, "", "[]".into(), 422, "bad-value"),
        ("POST", CREATE, "", one(json!({"colour": 1})), 422, "bad-value"),
        ("POST", CREATE, "", one(json!({"fps": "30"})), 422, "bad-value"),
        ("POST", CREATE, "", one(json!({"fps": 0})), 422, "bad-value"),
        ("POST", CREATE, "", one(json!({"idle": "nothing"})), 422, "bad-value"),
        ("POST", CREATE, "", one(json!({"id": "taken"})), 409, "session-exists"),
        ("POST", CREATE, "", one(json!({"id": "default"})), 409, "session-exists"),
        ("POST", CREATE, TEXT, "{}".into(), 415, "media-type"),
        ("POST", CREATE, "", huge.clone(), 413, "body-too-large"),
        ("POST", CREATE, "Origin: https://evil.example\r\n", String::new(), 403, "cross-origin"),
        ("GET", CREATE, "", String::new(), 405, "method-not-allowed"),
        ("BREW", CREATE, "", String::new(), 501, "unknown-method"),
        ("PUT", "/webrtc/sessions", "", String::new(), 405, "method-not-allowed"),
        ("GET", "/webrtc/sessions/nobody", "", String::new(), 404, "no-session"),
        ("GET", "/webrtc/sessions/a%20b", "", String::new(), 400, "bad-session"),
        ("POST", "/webrtc/sessions/default", "", String::new(), 405, "method-not-allowed"),
        ("DELETE", "/webrtc/sessions/default", "", String::new(), 403, "not-managed"),
        ("DELETE", "/webrtc/sessions/nobody", "", String::new(), 404, "no-session"),
        ("DELETE", "/webrtc/sessions/a%20b", "", String::new(), 400, "bad-session"),
        ("POST", "/webrtc/sessions/nobody/offer", "", offer(), 404, "no-session"),
        ("POST", "/webrtc/sessions/a%20b/offer", "", offer(), 400, "bad-session"),
        ("POST", offers, "", "null".into(), 422, "bad-value"),
        ("POST", offers, "", "{]".into(), 400, "bad-json"),
        ("POST", offers, TEXT, offer(), 415, "media-type"),
        ("POST", offers, "", String::new(), 415, "media-type"),
        ("POST", offers, "", huge.clone(), 413, "body-too-large"),
        ("POST", offers, "", one(json!({"sdp": "v=0"})), 422, "bad-sdp"),
        ("POST", offers, "", one(json!({"sdp": OFFER, "type": "answer"})), 422, "bad-value"),
        ("POST", offers, "", one(json!({"sdp": 1, "extra": 1})), 422, "bad-value"),
        ("POST", offers, "", one(json!({"sdp": OFFER, "peerId": "x"})), 422, "bad-value"),
        ("POST", offers, "", one(json!({"sdp": OFFER, "peerId": "0123456789abcdef"})), 404, "no-peer"),
        ("GET", offers, "", String::new(), 405, "method-not-allowed"),
        ("POST", "/webrtc/sessions/nobody/ice", "", nobody.clone(), 404, "no-session"),
        ("POST", ice, "", nobody, 404, "no-peer"),
        ("POST", ice, "", one(json!({"peerId": "0123456789abcdef"})), 422, "bad-value"),
        ("POST", ice, "", one(json!({"peerId": 7, "candidate": ""})), 422, "bad-value"),
        ("POST", ice, "", one(json!({"peerId": "0123456789abcdef", "candidate": [""]})), 422, "bad-value"),
        ("POST", ice, TEXT, "{}".into(), 415, "media-type"),
        ("GET", "/webrtc/player/nobody", "", String::new(), 404, "no-session"),
        ("GET", "/webrtc/player/a%20b", "", String::new(), 400, "bad-session"),
        ("POST", "/webrtc/player/default", "", String::new(), 405, "method-not-allowed"),
        ("GET", "/status?session=nobody", "", String::new(), 404, "no-session"),
        ("GET", "/status?session=a%20b", "", String::new(), 400, "bad-session"),
        ("DELETE", "/metrics", "", String::new(), 405, "method-not-allowed"),
        ("POST", "/healthz", "", String::new(), 405, "method-not-allowed"),
        ("POST", "/readyz", "", String::new(), 405, "method-not-allowed"),
        ("POST", "/openapi.json", "", String::new(), 405, "method-not-allowed"),
        ("POST", "/problems", "", String::new(), 405, "method-not-allowed"),
        ("POST", "/player.js", "", String::new(), 405, "method-not-allowed"),
        ("GET", "/nothing", "", String::new(), 404, "not-found"),
        ("GET", "/ws", "", String::new(), 426, "upgrade-required"),
        ("GET", "/status", "Expect: miracles\r\n", String::new(), 417, "expectation"),
        ("GET", "/status", "Transfer-Encoding: chunked\r\n", String::new(), 400, "bad-request"),
    ];
    for (method, path, headers, body, status, code) in cases {
        let got = api.code(method, path, headers, &body);
        assert_eq!(got, (status, code.to_owned()), "{method} {path} {headers}{body:.60}");
    }
    assert_eq!(api.world.engine.handle().session_ids().len(), 2, "none of it made a session");
}

#[test]
fn what_is_right_is_answered_as_documented() {
    let api = api();
    for path in [
        "/",
        "/status",
        "/metrics",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/problems",
        "/player.js",
    ] {
        assert_eq!(api.ask("GET", path, "", "").0, 200, "{path}");
        let (head, _) = api.world.send("OPTIONS", path, "", "");
        assert!(
            head.starts_with("HTTP/1.1 204 ") && head.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"),
            "{head}"
        );
    }
    let (head, _) = api.world.send("OPTIONS", CREATE, "", "");
    assert!(head.contains("\r\naccept-post: application/json\r\n"), "{head}");
    let (_, _, metrics) = api.ask("GET", "/metrics", "", "");
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("\nvisavis_peers{session=\"default\"} 0\n"), "{metrics}");
    let Api { world: World { engine, server, .. }, .. } = api;
    let addr = server.local_addr();
    drop(engine);
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (head, body) = read_response(&mut stream);
    assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("\"stopped\""), "{head}{body}");
}

#[test]
fn strangers_manage_nothing_unless_they_may() {
    let api = api_with(|config| config.api.manage = false);
    let forbidden = (403, "not-allowed".to_owned());
    assert_eq!(api.code("POST", CREATE, "", "{}"), forbidden);
    assert_eq!(api.code("GET", "/webrtc/sessions", "", ""), forbidden);
    assert_eq!(api.code("DELETE", "/webrtc/sessions/default", "", ""), forbidden);
    // Watching is for everybody.
    assert_eq!(api.ask("GET", "/webrtc/sessions/default", "", "").0, 200);
    assert_eq!(api.ask("POST", "/webrtc/sessions/default/offer", "", &offer()).0, 200);
}

#[test]
fn there_are_no_more_sessions_than_allowed() {
    let api = api_with(|config| config.api.max_sessions = 2);
    let first = api.create(json!({}));
    api.create(json!({}));
    assert_eq!(api.code("POST", CREATE, "", "{}"), (503, "full".to_owned()));
    assert_eq!(api.ask("DELETE", &format!("/webrtc/sessions/{first}"), "", "").0, 204);
    api.create(json!({}));
}

#[test]
fn lifetimes_and_idle_times_end_sessions() {
    let api = api();
    let start = Instant::now();
    let short = api.create(json!({"lifetimeSeconds": 1}));
    let idle = api.create(json!({"idleTimeoutSeconds": 1}));
    let long = api.create(json!({"lifetimeSeconds": 600, "idleTimeoutSeconds": 600}));
    api.ends_after(&short);
    api.ends_after(&idle);
    assert!(start.elapsed() >= Duration::from_secs(1), "ended after {:?}", start.elapsed());
    assert!(api.exists(&long));
}

#[derive(Default)]
struct Witness(Mutex<Vec<String>>);

impl SessionHooks for Witness {
    fn created(&self, session: &Arc<Session>, request: &CreateRequest) -> Result<(), String> {
        let metadata = request.metadata.as_deref().map(serde_json::from_str::<Value>);
        let voice = metadata.and_then(|data| data.unwrap().get("voice").cloned());
        match voice.as_ref().and_then(Value::as_str) {
            Some("none") => return Err("no renderer is free".to_owned()),
            Some("panic") => panic!("the hook of this test panics"),
            _ => {}
        }
        self.0.lock().unwrap().push(format!("{} {voice:?}", session.id()));
        Ok(())
    }

    fn ended(&self, session: &SessionId, reason: EndReason) {
        self.0.lock().unwrap().push(format!("{session} {}", reason.as_str()));
    }
}

#[test]
fn the_application_is_told_and_may_refuse() {
    let witness = Arc::new(Witness::default());
    let api = api_with(|config| config.api.hooks = Some(witness.clone()));
    api.create(json!({"id": "a", "metadata": {"voice": "low"}}));
    api.create(json!({"id": "b"}));
    for (voice, status, code) in [("none", 503, "refused"), ("panic", 500, "internal")] {
        let body = json!({"id": "c", "metadata": {"voice": voice}}).to_string();
        assert_eq!(api.code("POST", CREATE, "", &body), (status, code.to_owned()));
        assert!(!api.exists("c"));
    }
    api.ask("DELETE", "/webrtc/sessions/a", "", "");
    let Api { world: World { server, engine, session }, .. } = api;
    server.stop();
    let left = engine.handle().session_ids();
    assert_eq!(left, [session.id().clone()], "the server ends what it made, and no more");
    let told = witness.0.lock().unwrap();
    assert_eq!(*told, ["a Some(String(\"low\"))", "b None", "a deleted", "b server-stopped"]);
}

/// Keeps the sessions that it is given.
#[derive(Default)]
struct Keeper(Mutex<Vec<Arc<Session>>>);

impl SessionHooks for Keeper {
    fn created(&self, session: &Arc<Session>, _: &CreateRequest) -> Result<(), String> {
        self.0.lock().unwrap().push(Arc::clone(session));
        Ok(())
    }

    fn ended(&self, session: &SessionId, reason: EndReason) {
        assert_eq!((session.as_str(), reason), ("anna", EndReason::Deleted));
    }
}

#[test]
fn a_session_that_the_application_stops_is_there_no_more_and_its_id_is_free() {
    let hooks = Arc::new(Keeper::default());
    let keeper = Arc::clone(&hooks);
    let api = api_with(|config| {
        config.api.hooks = Some(keeper);
        config.api.max_sessions = 1;
    });
    let anna = "/webrtc/sessions/anna";
    let listed = || {
        let (_, _, value) = api.ask("GET", "/webrtc/sessions", "", "");
        value["sessions"].as_array().unwrap().iter().any(|session| session["id"] == "anna")
    };
    api.create(json!({"id": "anna", "lifetimeSeconds": 3600}));
    assert!(listed());
    let (status, head, _) =
        api.ask("POST", "/whep/anna", "Content-Type: application/sdp\r\n", OFFER);
    assert_eq!(status, 201);
    let resource = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();

    hooks.0.lock().unwrap().pop().unwrap().stop();
    assert!(!listed());
    let gone = (404, "no-session".to_owned());
    assert_eq!(api.code("GET", anna, "", ""), gone);
    assert_eq!(api.code("DELETE", anna, "", ""), gone);
    assert_eq!(api.code("GET", "/webrtc/player/anna", "", "").0, 404);
    assert_eq!(api.code("POST", "/whep/anna", "Content-Type: application/sdp\r\n", OFFER), gone);
    assert_eq!(api.code("DELETE", resource, "", "").0, 404);

    // The application makes another of its id, which clients do not end.
    let config = visavis::SessionConfig::default().id(SessionId::new("anna").unwrap());
    let own = api.world.engine.handle().create_session(config).unwrap();
    let (_, _, value) = api.ask("GET", anna, "", "");
    assert_eq!((&value["managed"], &value["settings"]), (&json!(false), &Value::Null));
    assert_eq!(api.code("DELETE", anna, "", ""), (403, "not-managed".to_owned()));
    assert!(!own.is_stopped());
    own.stop();

    // What was stopped takes no place.
    api.create(json!({"id": "anna"}));
    let (_, _, value) = api.ask("GET", anna, "", "");
    assert_eq!((&value["managed"], &value["expiresAt"]), (&json!(true), &Value::Null));
    let session = hooks.0.lock().unwrap().pop().unwrap();
    assert_eq!(api.code("DELETE", anna, "", "").0, 204);
    assert!(session.is_stopped() && !listed());
}

#[test]
fn pages_of_other_origins_may_what_the_settings_say() {
    let api = api_with(|config| config.cors = vec!["https://app.example".to_owned()]);
    let mine = "Origin: https://app.example\r\n";
    let preflight = format!("{mine}Access-Control-Request-Method: POST\r\n");
    let (head, _) = api.world.send("OPTIONS", CREATE, &preflight, "");
    assert!(head.contains("\r\naccess-control-allow-methods: POST, OPTIONS\r\n"), "{head}");
    assert!(head.contains("\r\naccess-control-allow-origin: https://app.example\r\n"), "{head}");
    // An answer that comes later has it too, and so has a problem.
    let json = format!("{mine}Content-Type: application/json\r\n");
    for (body, status) in [("{}", 201), ("{", 400)] {
        let (got, head, _) = api.ask("POST", CREATE, &json, body);
        assert_eq!(got, status);
        assert!(
            head.contains("\r\naccess-control-allow-origin: https://app.example\r\n"),
            "{head}"
        );
    }
    let other = "Origin: https://other.example\r\nContent-Type: application/json\r\n";
    let (status, head, _) = api.ask("POST", CREATE, other, "{}");
    assert_eq!(status, 403);
    assert!(!head.contains("access-control"), "{head}");
}

#[test]
fn bodies_come_in_chunks_and_after_a_100() {
    let api = api();
    let mut stream = api.world.tcp();
    write!(
        stream,
        "POST {CREATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"8\r\n{\"id\":\"c\r\n7;a=b\r\nhunky\"}\r\n0\r\n\r\n").unwrap();
    // The next request is served when this one is, and not before.
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (head, body) = read_response(&mut stream);
    assert!(head.starts_with("HTTP/1.1 201 ") && body.contains("chunky"), "{head}{body}");
    assert_eq!(read_response(&mut stream).1, "ok\n");

    // A body is not requested if the head is refused already.
    let ask = "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let answer = String::from_utf8(read_to_close(&mut stream)).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 404 ") && answer.contains("connection: close"),
        "{answer}"
    );

    // Chunks may not go past what is allowed either.
    let mut stream = api.world.tcp();
    write!(
        stream,
        "POST {CREATE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..5 {
        stream.write_all(chunk.as_bytes()).unwrap();
    }
    assert!(read_response(&mut stream).0.starts_with("HTTP/1.1 413 "));
}
