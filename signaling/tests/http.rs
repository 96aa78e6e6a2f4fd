//! The HTTP side, as a browser, a script and a careless proxy see it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;

use serde_json::Value;
use support::{read_response, read_to_close, world};

#[test]
fn the_page_and_its_files_are_served() {
    let world = world(|_| {});
    let (head, body) = world.get("/?session=default");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains("cache-control: no-cache"), "{head}");
    assert!(body.contains("visavis"), "{body}");
    for file in ["/player.js", "/visavis-client.js", "/player.css", "/index.html"] {
        assert!(world.get(file).0.starts_with("HTTP/1.1 200 "), "{file}");
    }
    assert!(world.get("/../Cargo.toml").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn status_is_the_sessions_own() {
    let world = world(|_| {});
    let (head, body) = world.get("/status");
    assert!(head.contains("content-type: application/json"), "{head}");
    let status: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["session"], "default");
    assert_eq!(status["peerCount"], 0);
    assert_eq!(status["metrics"]["videoFrames"], 0);
    assert!(status["stages"].is_object() && status["encoders"].is_array(), "{body}");

    assert_eq!(world.get("/status?session=default").1, body);
    let (head, body) = world.get("/status?session=nobody");
    assert!(head.starts_with("HTTP/1.1 404 ") && body.contains("no-session"), "{head}{body}");
    assert!(world.get("/status?session=a%20b").0.starts_with("HTTP/1.1 400 "));
    assert_eq!(world.get("/healthz").1, "ok\n");
}

#[test]
fn a_connection_serves_many_requests_in_order() {
    let world = world(|_| {});
    let mut stream = world.tcp();
    stream
        .write_all(
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n\
              POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbodyHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        .unwrap();
    let (head, body) = read_response(&mut stream);
    assert!(head.contains("connection: keep-alive") && body == "ok\n", "{head}");
    let (head, body) = read_response(&mut stream);
    assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET, HEAD"), "{head}");
    assert!(body.contains("\"code\":\"method-not-allowed\""), "{body}");

    let mut head = [0; 1_024];
    let length = stream.read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..length]);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");

    stream
        .write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let rest = String::from_utf8(read_to_close(&mut stream)).unwrap();
    assert!(rest.starts_with("HTTP/1.1 404 ") && rest.contains("connection: close"), "{rest}");
}

#[test]
fn what_cannot_be_served_is_said_in_json() {
    let world = world(|_| {});
    let big = "x".repeat(20_000);
    for (request, status, code) in [
        ("BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 501, "unknown-method"),
        ("POST /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 404, "not-found"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad-request"),
        (format!("GET /{big} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414, "target-too-long"),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {big}\r\n\r\n"),
            431,
            "head-too-large",
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n".to_owned(),
            413,
            "body-too-large",
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            501,
            "transfer-encoding",
        ),
        ("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 426, "upgrade-required"),
    ] {
        let (head, body) = world.http(&request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {head}");
        let json: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(json["code"], code, "{request:.60}");
    }
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let world = world(|_| {});
    let mut stream = world.tcp();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = String::from_utf8(read_to_close(&mut stream)).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
}
