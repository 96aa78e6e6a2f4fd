use super::*;
use crate::config::Limits;
use crate::http::request::{HttpReader, Step};

const HERE: &str = "127.0.0.1";
const FAR: &str = "192.0.2.1";

struct World {
    access: Access,
    cors: Cors,
}

fn world(adjust: impl FnOnce(&mut SignalingConfig)) -> World {
    let mut config = SignalingConfig::default();
    adjust(&mut config);
    World { access: Access::new(&config, 8081).unwrap(), cors: Cors::new(&config.cors).unwrap() }
}

impl World {
    /// The code of a refusal, or nothing.
    fn ask(&self, method: &str, from: &str, headers: &str) -> &'static str {
        let mut reader = HttpReader::default();
        reader.push(format!("{method} /ws HTTP/1.1\r\n{headers}\r\n").as_bytes());
        let Step::Head(request) = reader.next(&Limits::default()) else { panic!("{headers}") };
        let via = self.access.via(&request.headers, from.parse().unwrap());
        let refused = self.access.refuse(&request, &via, &self.cors);
        refused.map_or("", |error| error.code.code())
    }

    fn via(&self, from: &str, headers: &str) -> Via {
        let mut reader = HttpReader::default();
        reader.push(format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n").as_bytes());
        let Step::Head(request) = reader.next(&Limits::default()) else { panic!("{headers}") };
        self.access.via(&request.headers, from.parse().unwrap())
    }
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

#[test]
fn a_name_that_was_rebound_is_refused_and_an_address_is_not() {
    let none = world(|_| {});
    for from in [HERE, FAR] {
        for method in ["GET", "POST", "OPTIONS"] {
            assert_eq!(none.ask(method, from, "Host: evil.example:8081\r\n"), "wrong-host");
            assert_eq!(none.ask(method, from, "Host: localhost:8081\r\n"), "");
            assert_eq!(none.ask(method, from, "Host: 203.0.113.7:8081\r\n"), "");
        }
    }
    // A page may set these for its own origin.
    let forged =
        "Host: evil.example\r\nX-Forwarded-Host: localhost\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(none.ask("GET", HERE, forged), "wrong-host");
    let named = world(|config| config.allowed_hosts = vec!["face.example".to_owned()]);
    assert_eq!(named.ask("GET", FAR, "Host: face.example\r\n"), "");
    let public = world(|config| config.public_url = Some("https://face.example/a".to_owned()));
    assert_eq!(public.ask("GET", FAR, "Host: face.example\r\n"), "");
    assert_eq!(public.ask("GET", FAR, "Host: evil.example\r\n"), "wrong-host");
    let all = world(|config| config.cors = vec!["*".to_owned()]);
    assert_eq!(all.ask("GET", FAR, "Host: evil.example\r\n"), "");
}

#[test]
fn a_target_in_absolute_form_stands_above_host() {
    let none = world(|_| {});
    let mut reader = HttpReader::default();
    reader.push(b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let Step::Head(request) = reader.next(&Limits::default()) else { panic!() };
    let via = none.access.via(&request.headers, FAR.parse().unwrap());
    assert_eq!(none.access.refuse(&request, &via, &none.cors), Some(WRONG_HOST));
}

#[test]
fn a_page_of_another_origin_opens_no_websocket() {
    let none = world(|_| {});
    let upgrade = |headers: &str| none.ask("GET", HERE, &format!("{UPGRADE}{headers}"));
    for (headers, code) in [
        ("Host: localhost:8081\r\nOrigin: http://localhost:8081\r\n", ""),
        ("Host: localhost:8081\r\n", ""),
        ("Host: localhost:8081\r\nOrigin: https://evil.example\r\n", "cross-origin"),
        ("Host: localhost:8081\r\nOrigin: http://localhost:3000\r\n", "cross-origin"),
        ("Host: localhost:8081\r\nOrigin: null\r\n", "cross-origin"),
        (
            "Host: localhost:8081\r\nOrigin: https://face.example\r\nSec-Fetch-Site: same-origin\r\n",
            "",
        ),
        (
            "Host: localhost:8081\r\nOrigin: http://localhost:8081\r\nSec-Fetch-Site: cross-site\r\n",
            "cross-origin",
        ),
    ] {
        assert_eq!(upgrade(headers), code, "{headers}");
    }
    let some = world(|config| config.cors = vec!["https://app.example".to_owned()]);
    let page = |origin: &str| {
        let headers = format!("{UPGRADE}Host: localhost\r\nOrigin: {origin}\r\n");
        some.ask("GET", HERE, &headers)
    };
    assert_eq!(page("https://app.example"), "");
    assert_eq!(page("https://app.example.evil"), "cross-origin");
}

#[test]
fn pages_of_strangers_change_nothing() {
    let none = world(|config| config.allowed_hosts = vec!["face.example".to_owned()]);
    let post = |headers: &str| none.ask("POST", FAR, &format!("Host: face.example\r\n{headers}"));
    assert_eq!(post(""), "", "no browser");
    assert_eq!(post("Origin: http://face.example\r\n"), "");
    assert_eq!(post("Origin: http://face.example:8080\r\n"), "cross-origin");
    assert_eq!(post("Origin: null\r\n"), "cross-origin");
    assert_eq!(post("Origin: https://behind.a.proxy\r\nSec-Fetch-Site: same-origin\r\n"), "");
    assert_eq!(
        post("Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n"),
        "cross-origin"
    );
    let get = "Host: face.example\r\nOrigin: https://evil.example\r\n";
    assert_eq!(none.ask("GET", FAR, get), "", "the browser keeps the answer to itself");
    let some = world(|config| config.cors = vec!["https://app.example".to_owned()]);
    let post = |origin| {
        let site = "Sec-Fetch-Site: cross-site\r\n";
        some.ask("POST", FAR, &format!("Host: localhost\r\nOrigin: {origin}\r\n{site}"))
    };
    assert_eq!(post("https://app.example"), "");
    assert_eq!(post("https://evil.example"), "cross-origin");
}

#[test]
fn a_proxy_that_changes_the_host_leaves_the_own_page_its_own() {
    let set = |headers: &str| format!("{UPGRADE}{headers}");
    // nginx by default sends the upstream's address as Host, so the page's origin has to be configured.
    let page = "Origin: https://face.example:8443\r\n";
    let bare = set(&format!("Host: 127.0.0.1:8081\r\n{page}"));
    assert_eq!(world(|_| {}).ask("GET", HERE, &bare), "cross-origin");
    let public = world(|config| config.public_url = Some("https://face.example:8443/".to_owned()));
    assert_eq!(public.ask("GET", HERE, &bare), "");
    // `proxy_set_header Host $host`: the name without its port.
    let named = world(|config| config.allowed_hosts = vec!["face.example".to_owned()]);
    let host = set(&format!("Host: face.example\r\n{page}"));
    assert_eq!(named.ask("GET", HERE, &host), "");
    assert_eq!(named.ask("GET", FAR, &host), "cross-origin", "nobody in between is trusted");
    let other = set("Host: face.example\r\nOrigin: https://evil.example:8443\r\n");
    assert_eq!(named.ask("GET", HERE, &other), "cross-origin");
    // The header fields of a trusted proxy count.
    let told = |extra: &str| set(&format!("Host: 127.0.0.1:8081\r\n{page}{extra}"));
    assert_eq!(named.ask("GET", HERE, &told("X-Forwarded-Host: face.example:8443\r\n")), "");
    let port = "X-Forwarded-Host: face.example\r\nX-Forwarded-Port: 8443\r\n";
    assert_eq!(named.ask("GET", HERE, &told(port)), "");
    let wrong = "X-Forwarded-Host: face.example\r\nX-Forwarded-Port: 443\r\n";
    assert_eq!(named.ask("GET", HERE, &told(wrong)), "cross-origin");
    assert_eq!(named.ask("GET", FAR, &told(port)), "cross-origin");
    let strange = "X-Forwarded-Host: evil.example\r\n";
    assert_eq!(named.ask("GET", HERE, &told(strange)), "wrong-host");
}

#[test]
fn what_a_proxy_says_counts_only_where_it_is_trusted() {
    let none = world(|_| {});
    let headers = "X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Prefix: /avatar/\r\n";
    let via = none.via(HERE, headers);
    assert_eq!(via.prefix, "/avatar");
    assert_eq!(via.source, Some(Source::of("203.0.113.5".parse().unwrap())));
    let via = none.via(FAR, headers);
    assert_eq!((via.prefix.as_str(), via.source), ("", Some(Source::of(FAR.parse().unwrap()))));
    assert_eq!(none.via(HERE, "").source, None, "it does not say for whom");
    for bad in ["//evil.example", "avatar", "/a\"b", "/a b", &format!("/{}", "x".repeat(300))] {
        assert_eq!(none.via(HERE, &format!("X-Forwarded-Prefix: {bad}\r\n")).prefix, "", "{bad}");
    }
    let public = world(|config| config.public_url = Some("https://face.example/a/b/".to_owned()));
    assert_eq!(public.via(FAR, "").prefix, "/a/b");
    let distrusting = world(|config| config.trusted_proxies = Vec::new());
    assert_eq!(distrusting.via(HERE, headers).prefix, "");
}

#[test]
fn addresses_of_one_household_are_one_source() {
    let source = |text: &str| Source::of(text.parse().unwrap());
    assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
    assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
}

#[test]
fn settings_that_cannot_be_meant_are_errors() {
    for url in ["face.example", "ftp://face.example", "https://u@face.example", "https://a/b?c"] {
        let config = SignalingConfig { public_url: Some(url.to_owned()), ..Default::default() };
        assert!(matches!(Access::new(&config, 1), Err(SignalingError::PublicUrl(_))), "{url}");
    }
    let config = SignalingConfig { trusted_proxies: vec!["x".to_owned()], ..Default::default() };
    assert!(matches!(Access::new(&config, 1), Err(SignalingError::Proxy(_))));
    let config = SignalingConfig { allowed_hosts: vec!["a b".to_owned()], ..Default::default() };
    assert!(matches!(Access::new(&config, 1), Err(SignalingError::Host(_))));
}
