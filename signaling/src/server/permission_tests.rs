//! Every route asks for the permission that it names, and for none that it does not name.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};
use visavis::{Engine, EngineConfig, Session, SessionConfig};

use super::SignalingServer;
use crate::access::Via;
use crate::auth::{Authority, Permission, Principal, Subject};
use crate::config::SignalingConfig;
use crate::error::{ErrorCode, RequestError};
use crate::http::request::Request;
use crate::http::routes;

const ALL: [Permission; 9] = [
    Permission::Public,
    Permission::SeeStatus,
    Permission::ListSessions,
    Permission::CreateSession,
    Permission::InspectSession,
    Permission::EndSession,
    Permission::PlaySpeech,
    Permission::JoinSession,
    Permission::SpeakForPeer,
];

/// Lets everybody do everything but this.
#[derive(Debug)]
struct Without(Permission);

impl Authority for Without {
    fn identify(&self, _: &Request, _: &Via) -> Result<Principal, RequestError> {
        Ok(Principal::Anyone)
    }

    fn permit(
        &self,
        _: &Principal,
        permission: Permission,
        _: Subject<'_>,
    ) -> Result<(), RequestError> {
        match permission == self.0 {
            true => Err(RequestError::fixed(ErrorCode::NotAllowed, "not in this test")),
            false => Ok(()),
        }
    }
}

/// Fields drop in this order.
struct World {
    server: SignalingServer,
    _session: Session,
    _engine: Engine,
}

impl World {
    fn without(permission: Permission) -> Self {
        let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = EngineConfig::default();
        config.udp = localhost;
        let engine = Engine::start(config).unwrap();
        let session = engine.create_session(SessionConfig::default()).unwrap();
        session.start();
        let mut config = SignalingConfig { listen: localhost, ..SignalingConfig::default() };
        config.api.manage = true;
        let authority = Box::new(Without(permission));
        let server = SignalingServer::start_with(config, engine.handle(), authority).unwrap();
        Self { server, _session: session, _engine: engine }
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.local_addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = self.tcp();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// A WebSocket, before its `config` is read; `None` where it is refused.
    fn websocket(&self) -> Option<WebSocket<TcpStream>> {
        let url = format!("ws://{}/", self.server.local_addr());
        tungstenite::client(url, self.tcp()).ok().map(|(socket, _)| socket)
    }
}

fn receive(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[test]
fn every_route_asks_for_the_permission_it_names_and_for_no_other() {
    for denied in ALL {
        let world = World::without(denied);
        for route in routes::table() {
            // The default session cannot be ended over HTTP: the other routes need it.
            let id = if route.path == "/webrtc/sessions/{id}" { "none" } else { "default" };
            let path = route.path.replace("{id}", id).replace("{resource}", "none");
            let path = path.replace("{*file}", "icon.svg");
            for operation in route.operations {
                let response = world.ask(operation.method.as_str(), &path);
                let refused = response.starts_with("HTTP/1.1 403 ")
                    && response.contains("\"code\":\"not-allowed\"");
                let named = operation.permission == denied;
                assert_eq!(
                    refused, named,
                    "{} {path} without {denied:?}: {response}",
                    operation.method
                );
            }
        }
    }
}

#[test]
fn every_message_of_a_websocket_asks_as_the_routes_do() {
    assert!(World::without(Permission::JoinSession).websocket().is_none());
    let candidate = json!({"type": "ice-candidate", "candidate": ""});
    let offer = json!({"type": "offer", "sdp": include_str!("../../tests/support/offer.sdp")});

    let world = World::without(Permission::SpeakForPeer);
    let mut socket = world.websocket().unwrap();
    let config = receive(&mut socket);
    socket.send(Message::text(candidate.to_string())).unwrap();
    assert_eq!(receive(&mut socket)["code"], "not-allowed");
    // The first offer joins; a later one is for the existing peer.
    socket.send(Message::text(offer.to_string())).unwrap();
    assert_eq!(receive(&mut socket)["type"], "answer");
    socket.send(Message::text(offer.to_string())).unwrap();
    assert_eq!(receive(&mut socket)["code"], "not-allowed");
    // Nor does a resume token give access to it.
    let url = format!(
        "ws://{}/?resume={}",
        world.server.local_addr(),
        config["resume"].as_str().unwrap()
    );
    let (mut other, _) = tungstenite::client(url, world.tcp()).unwrap();
    assert_ne!(receive(&mut other)["peerId"], config["peerId"]);

    let world = World::without(Permission::CreateSession);
    let mut socket = world.websocket().unwrap();
    assert_eq!(receive(&mut socket)["type"], "config");
    for message in [&offer, &candidate, &offer] {
        socket.send(Message::text(message.to_string())).unwrap();
    }
    assert_eq!(receive(&mut socket)["type"], "answer");
    assert_eq!(receive(&mut socket)["type"], "answer");
}
