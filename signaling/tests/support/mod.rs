//! A running server and two kinds of client: one that speaks the protocol and one that need not.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tungstenite::{Message, WebSocket};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_signaling::{Limits, SignalingConfig, SignalingServer};

/// Long enough that only a hang exceeds it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a browser offers that wants to watch and listen.
pub(crate) const OFFER: &str = include_str!("offer.sdp");

/// Fields drop in this order: the server before the engine it speaks to.
pub(crate) struct World {
    pub server: SignalingServer,
    pub session: Session,
    pub engine: Engine,
}

pub(crate) fn world(adjust: impl FnOnce(&mut SignalingConfig)) -> World {
    let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(localhost)).unwrap();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let mut config = SignalingConfig::default().listen(localhost);
    adjust(&mut config);
    let server = SignalingServer::start(config, engine.handle()).unwrap();
    World { server, session, engine }
}

pub(crate) fn world_with_limits(adjust: impl FnOnce(&mut Limits)) -> World {
    world(|config| adjust(&mut config.limits))
}

impl World {
    pub(crate) fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request on a connection of its own and returns the response's head and body.
    pub(crate) fn http(&self, request: &str) -> (String, String) {
        let mut stream = self.tcp();
        stream.write_all(request.as_bytes()).unwrap();
        read_response(&mut stream)
    }

    pub(crate) fn get(&self, path: &str) -> (String, String) {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    /// Sends a request with a body, of the type `application/json` unless it has headers of its own,
    /// and returns the response's head and body.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (String, String) {
        let json = "Content-Type: application/json\r\n";
        let headers = if headers.is_empty() && !body.is_empty() { json } else { headers };
        self.http(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
    }

    /// A WebSocket, before its `config` is read.
    pub(crate) fn websocket(&self, path: &str) -> Client<TcpStream> {
        let url = format!("ws://{}{path}", self.server.local_addr());
        Client(tungstenite::client(url, self.tcp()).unwrap().0)
    }

    /// A WebSocket that has a viewer, and its `config`.
    pub(crate) fn joined(&self) -> (Client<TcpStream>, Value) {
        let (mut client, config) = self.client();
        client.send(serde_json::json!({"type": "offer", "sdp": OFFER}));
        let answer = client.receive();
        assert_eq!(answer["type"], "answer", "{answer}");
        (client, config)
    }

    /// A WebSocket, and its `config`.
    pub(crate) fn client(&self) -> (Client<TcpStream>, Value) {
        let mut client = self.websocket("/ws");
        let config = client.receive();
        assert_eq!(config["type"], "config", "{config}");
        (client, config)
    }
}

/// A connection from an address of this machine's own.
pub(crate) fn tcp_from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: SocketAddr = format!("{address}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) struct Client<S>(pub WebSocket<S>);

impl<S: Read + Write> Client<S> {
    pub(crate) fn send(&mut self, message: impl std::fmt::Display) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    /// The next JSON message.
    pub(crate) fn receive(&mut self) -> Value {
        match self.0.read().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The code of the next message, which is an `error`.
    pub(crate) fn receive_error(&mut self) -> String {
        let message = self.receive();
        assert_eq!(message["type"], "error", "{message}");
        assert!(message["error"].as_str().is_some_and(|text| !text.is_empty()), "{message}");
        message["code"].as_str().unwrap().to_owned()
    }

    /// The code with which the server closes next.
    pub(crate) fn receive_close(&mut self) -> u16 {
        match self.0.read().unwrap() {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

/// Reads one response: its head, and its body by `content-length`.
pub(crate) fn read_response(stream: &mut impl Read) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    // Proxies write the name in their own way.
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; lengths.next().map_or(0, |(_, text)| text.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// Reads until the server closes; a reset counts as that.
pub(crate) fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 64 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&chunk[..length]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(e) => panic!("the server did not close: {e}"),
        }
    }
}
