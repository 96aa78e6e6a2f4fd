//! Behind nginx and Caddy, with the settings that docs/proxies.md shows: what goes over the wire, and the page in a
//! real browser.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};
use visavis::idle::IdleLoop;
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::{Browser, Microphone};
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Proxy, Turn, artifacts, root};

const PATIENCE: Duration = Duration::from_secs(40);

/// Browsers have every name below `localhost` mean this machine.
const NAME: &str = "face.localhost";

/// A server that shows its idle face.
struct World {
    signaling: SignalingServer,
    session: Session,
    engine: Engine,
}

impl World {
    fn start(adjust: impl FnOnce(&mut SignalingConfig)) -> Result<Self, Box<dyn Error>> {
        let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::start(EngineConfig::default().udp(localhost))?;
        let idle = Some(IdleLoop::built_in());
        let session = engine.create_session(SessionConfig::default().idle(idle))?;
        session.start();
        let mut config = SignalingConfig::default().listen(localhost);
        adjust(&mut config);
        let signaling = SignalingServer::start(config, engine.handle())?;
        Ok(Self { signaling, session, engine })
    }

    fn address(&self) -> SocketAddr {
        self.signaling.local_addr()
    }

    fn end(self) {
        self.signaling.stop();
        self.session.stop();
        self.engine.stop();
    }
}

fn offer() -> Result<String, Box<dyn Error>> {
    Ok(fs::read_to_string(root().join("fixtures/sdp/chromium-156-watch.sdp"))?)
}

/// A visitor's side of a proxy.
struct Visitor {
    proxy: SocketAddr,
    /// As the visitor's browser sends it.
    host: String,
}

impl Visitor {
    fn new(proxy: SocketAddr) -> Self {
        Self { proxy, host: format!("{NAME}:{}", proxy.port()) }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    fn tcp(&self) -> Result<TcpStream, Box<dyn Error>> {
        let stream = TcpStream::connect(self.proxy)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a request of its own connection; returns the head, its names in small letters, and the body.
    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<(String, String), Box<dyn Error>> {
        let mut stream = self.tcp()?;
        let connection = if headers.contains("Upgrade: ") { "Upgrade" } else { "close" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: {connection}\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            self.host,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head)?.to_lowercase().replacen("http/1.1", "HTTP/1.1", 1);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(Ok(0), str::parse)?];
        stream.read_exact(&mut body)?;
        Ok((head, String::from_utf8(body)?))
    }

    /// What goes over the wire for a page that lies under `prefix`: its files, the WebSocket, and WHEP.
    fn check_wire(&self, prefix: &str) -> Outcome {
        let get = |path: &str| self.ask("GET", &format!("{prefix}{path}"), "", "");
        let (head, page) = get("/")?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{page}");
        for file in ["player.css", "player.js"] {
            assert!(page.contains(&format!("\"./{file}\"")), "{page}");
            let (head, _) = get(&format!("/{file}"))?;
            assert!(head.starts_with("HTTP/1.1 200 "), "{file}: {head}");
        }
        let (head, below) = get("/webrtc/player/default")?;
        assert!(head.starts_with("HTTP/1.1 200 ") && below.contains("<base href=\"../../\">"));

        let origin = self.origin();
        let mut request = format!("ws://{}{prefix}/ws", self.proxy).into_client_request()?;
        request.headers_mut().insert("Host", self.host.parse()?);
        request.headers_mut().insert("Origin", origin.parse()?);
        let mut socket = tungstenite::client(request, self.tcp()?)?.0;
        assert_eq!(receive(&mut socket)?["type"], "config");
        socket.send(Message::text(json!({"type": "offer", "sdp": offer()?}).to_string()))?;
        assert_eq!(receive(&mut socket)?["type"], "answer");

        let evil = "Origin: https://evil.example\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
        let (head, _) = self.ask("GET", &format!("{prefix}/ws"), evil, "")?;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");

        let sdp = format!("Origin: {origin}\r\nContent-Type: application/sdp\r\n");
        let (head, answer) =
            self.ask("POST", &format!("{prefix}/whep/default"), &sdp, &offer()?)?;
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}{answer}");
        let location = head.lines().find_map(|line| line.strip_prefix("location: "));
        let location = location.ok_or("no location")?;
        assert!(location.starts_with(&format!("{prefix}/whep/default/")), "{location}");
        let (head, _) = self.ask("DELETE", location, &format!("Origin: {origin}\r\n"), "")?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Ok(())
    }

    /// The same for a browser, with a rule that resolves the name.
    fn check_browser(&self, prefix: &str, name: &str) -> Outcome {
        let base = format!("{}{prefix}/", self.origin());
        let browser = Browser::start(Microphone::Absent)?;
        let page = browser.page()?;
        for place in ["", "webrtc/player/default"] {
            page.open(&format!("{base}{place}?autostart=1"))?;
            page.wait_for(LIVE, PATIENCE)?;
            let seen: Seen = page.eval(LOOK_AT_PAGE)?;
            println!(
                "{name} /{place}: {} files, first picture {} ms",
                seen.files.len(),
                seen.first
            );
            for (file, status) in &seen.files {
                assert!(file.starts_with(&base) && *status == 200, "{file}: {status}");
            }
            for wanted in ["player.css", "player.js", "visavis-client.js", "icon.svg"] {
                assert!(seen.files.iter().any(|(file, _)| file.ends_with(wanted)), "{wanted}");
            }
            assert!(seen.rules > 50, "{} rules of style", seen.rules);
            assert_eq!(seen.socket, format!("{}ws", base.replacen("http", "ws", 1)));
        }
        let told: Told = page.eval(LOOK_AT_ANSWERS)?;
        assert_eq!((told.created, told.deleted), (201, 200));
        assert!(told.resource.starts_with(&format!("{base}whep/default/")), "{}", told.resource);
        // What errors and the document of the API point to is there too.
        assert_eq!(told.problem, format!("{base}problems#no-session"));
        assert_eq!((told.explained, told.healthy), (200, 200));
        assert_eq!(told.health, format!("{base}healthz"));
        fs::write(artifacts()?.join(format!("behind-{name}.png")), page.screenshot()?)?;
        // So is the error page.
        page.open(&format!("{base}webrtc/player/nobody"))?;
        page.wait_for(
            "document.querySelector('h1')?.textContent === 'There is no such session'",
            PATIENCE,
        )?;
        let files: Vec<(String, u16)> = page.eval(FILES)?;
        assert!(files.iter().any(|(file, _)| file.ends_with("error.css")), "{files:?}");
        let strays = files.iter().find(|(file, status)| !file.starts_with(&base) || *status != 200);
        assert_eq!(strays, None);
        Ok(())
    }
}

fn receive(socket: &mut WebSocket<TcpStream>) -> Result<Value, Box<dyn Error>> {
    match socket.read()? {
        Message::Text(text) => Ok(serde_json::from_str(&text)?),
        other => Err(format!("{other:?}").into()),
    }
}

/// Pictures come, one after the other.
const LIVE: &str = "visavis.client.state === 'connected' && visavis.video.getVideoPlaybackQuality().totalVideoFrames > 20";

#[derive(Deserialize)]
struct Seen {
    /// Addresses of all that was loaded, and how that went.
    files: Vec<(String, u16)>,
    rules: usize,
    /// Where the page has its WebSocket.
    socket: String,
    /// Until the first picture, ms.
    first: String,
}

/// What was loaded, once all of it is.
const FILES: &str = r"
if (document.readyState !== 'complete') await new Promise((loaded) => addEventListener('load', loaded));
return performance.getEntriesByType('resource').map(({ name, responseStatus }) => [name, responseStatus]);
";

const LOOK_AT_PAGE: &str = r"
const files = performance.getEntriesByType('resource').map(({ name, responseStatus }) => [name, responseStatus]);
const rules = [...document.styleSheets].reduce((sum, { cssRules }) => sum + cssRules.length, 0);
const socket = await new Promise((opened) => {
  window.WebSocket = class extends WebSocket {
    constructor(url, ...rest) { super(url, ...rest); opened(new URL(url).href.split('?')[0]); }
  };
  visavis.client.close();
  visavis.client.connect();
});
return { files, rules, socket, first: document.documentElement.dataset.firstPictureMs };
";

#[derive(Deserialize)]
struct Told {
    created: u16,
    deleted: u16,
    resource: String,
    problem: String,
    explained: u16,
    health: String,
    healthy: u16,
}

/// Runs on the page of a session, two folders down, whose addresses are relative to the page's base.
const LOOK_AT_ANSWERS: &str = r"
const at = (path) => new URL(path, document.baseURI);
const pc = new RTCPeerConnection();
pc.addTransceiver('video', { direction: 'recvonly' });
await pc.setLocalDescription();
const headers = { 'Content-Type': 'application/sdp' };
const post = (path) => fetch(at(path), { method: 'POST', headers, body: pc.localDescription.sdp });
const made = await post('whep/default');
const resource = new URL(made.headers.get('location'), made.url).href;
const { status: deleted } = await fetch(resource, { method: 'DELETE' });
pc.close();
const refused = await post('whep/nobody');
const problem = new URL((await refused.json()).type, refused.url).href;
const document_ = await fetch(at('openapi.json'));
const [{ url: server }] = (await document_.json()).servers;
const health = new URL(`${server.replace(/\/$/, '')}/healthz`, document_.url).href;
return {
  created: made.status,
  deleted,
  resource,
  problem,
  explained: (await fetch(problem)).status,
  health,
  healthy: (await fetch(health)).status,
};
";

#[test]
fn nginx_takes_a_path_prefix_off() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let location = Proxy::shown("nginx")?.remove(0);
    assert!(location.starts_with("location /avatar/ {"), "{location}");
    let visitor = Visitor::new(Proxy::free_address()?);
    let world = World::start(|config| {
        config.public_url = Some(format!("{}/avatar/", visitor.origin()));
        config.api.manage = true;
        config.limits.joins_per_address = 20;
        config.limits.abuse_window = Duration::from_secs(600);
    })?;
    let _proxy = Proxy::nginx(visitor.proxy, world.address(), &location)?;
    visitor.check_wire("/avatar")?;
    visitor.check_browser("/avatar", "nginx-prefix")?;

    // The API returns addresses as the visitor sees them.
    let json = "Content-Type: application/json\r\n";
    let (head, made) =
        visitor.ask("POST", "/avatar/webrtc/sessions/create", json, r#"{"id":"anna"}"#)?;
    assert!(head.contains("\r\nlocation: /avatar/webrtc/sessions/anna\r\n"), "{head}");
    let made: Value = serde_json::from_str(&made)?;
    assert_eq!(made["playerUrl"], "/avatar/webrtc/player/anna");
    let (head, _) = visitor.ask("GET", "/avatar/webrtc/player/anna/", "", "")?;
    assert!(head.starts_with("HTTP/1.1 308 ") && head.contains("location: ../anna\r\n"), "{head}");

    // The proxy names the client: this one has reached its limit of viewers, another one has not.
    let sdp = "Content-Type: application/sdp\r\n";
    let (offer, path) = (offer()?, "/avatar/whep/default");
    let mut answers = (0..20).map(|_| visitor.ask("POST", path, sdp, &offer));
    assert!(answers.any(|answer| answer.is_ok_and(|(head, _)| head.starts_with("HTTP/1.1 429 "))));
    let mut direct = TcpStream::connect(world.address())?;
    write!(direct, "POST /whep/default HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{sdp}")?;
    write!(direct, "Content-Length: {}\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n{offer}", offer.len())?;
    let mut answer = String::new();
    direct.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    world.end();
    Ok(())
}

#[test]
fn nginx_sends_its_upstream_as_host_unless_it_is_told_otherwise() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let lines = "location / {\nproxy_pass http://127.0.0.1:8081;\nproxy_http_version 1.1;\n\
        proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\n";
    let visitor = Visitor::new(Proxy::free_address()?);
    let public = World::start(|config| config.public_url = Some(format!("{}/", visitor.origin())))?;
    let proxy = Proxy::nginx(visitor.proxy, public.address(), &format!("{lines}}}"))?;
    visitor.check_wire("")?;
    visitor.check_browser("", "nginx-default-host")?;
    drop(proxy);
    public.end();

    // Told by nginx: with the port, as the guide shows it, and without.
    let told = Proxy::shown("nginx")?.into_iter().find(|block| block.contains("X-Forwarded-Host"));
    let told = told.ok_or("the guide shows no X-Forwarded-Host")?;
    let named = World::start(|config| config.allowed_hosts = vec![NAME.to_owned()])?;
    for told in [told.as_str(), "proxy_set_header Host $host;\n"] {
        let visitor = Visitor::new(Proxy::free_address()?);
        let lines = format!("{lines}{told}}}");
        let _proxy = Proxy::nginx(visitor.proxy, named.address(), &lines)?;
        visitor.check_wire("")?;
    }
    named.end();
    Ok(())
}

#[test]
fn caddy_takes_a_path_prefix_off() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let named = World::start(|config| config.allowed_hosts = vec![NAME.to_owned()])?;
    let visitor = Visitor::new(Proxy::free_address()?);
    let lines = Proxy::shown("caddyfile")?.remove(0);
    let _proxy = Proxy::caddy(visitor.proxy, named.address(), NAME, &lines)?;
    visitor.check_wire("/avatar")?;
    visitor.check_browser("/avatar", "caddy-prefix")?;
    named.end();
    Ok(())
}
