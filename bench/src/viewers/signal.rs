//! The WebSocket of one viewer, never blocking: the loop that owns it owns a hundred others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tungstenite::client::{IntoClientRequest, client_with_config};
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::http::HeaderValue;
use tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use crate::signaling::{Protocol, Translator};

/// The error of `connect` on a non-blocking socket.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Answers are a few kilobytes.
const BUFFER: usize = 8 * 1024;

/// From where to where a connection goes; without a source the system chooses one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) from: Option<Ipv4Addr>,
    pub(super) to: SocketAddr,
}

impl Way {
    fn connect(self) -> io::Result<TcpStream> {
        let Some(from) = self.from else { return TcpStream::connect(self.to) };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        match socket.connect(&self.to.into()) {
            Ok(()) => {}
            // On its way.
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(TcpStream::from_std(socket.into()))
    }
}

enum State {
    Connecting(TcpStream),
    Handshake(MidHandshake<ClientHandshake<TcpStream>>),
    Open(WebSocket<TcpStream>),
    Closed,
}

/// A signaling connection.
pub(super) struct Signal {
    state: State,
    url: String,
    protocol: Protocol,
    translator: Translator,
}

impl Signal {
    /// Starts to connect; `url` is the `ws://` address, `way` where it leads.
    pub(super) fn connect(
        url: String,
        way: Way,
        protocol: Protocol,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut stream = way.connect()?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let state = State::Connecting(stream);
        Ok(Self { state, url, protocol, translator: protocol.translator() })
    }

    /// Goes on after a readiness event; returns the messages that came.
    ///
    /// # Errors
    ///
    /// When the connection ended, with the reason.
    pub(super) fn advance(&mut self) -> Result<Vec<Value>, String> {
        let was_open = matches!(self.state, State::Open(_));
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Connecting(stream) => {
                if let Ok(Some(error)) | Err(error) = stream.take_error() {
                    return Err(format!("cannot connect: {error}"));
                }
                if stream.peer_addr().is_err() {
                    State::Connecting(stream)
                } else {
                    let config =
                        WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
                    let mut request = self
                        .url
                        .as_str()
                        .into_client_request()
                        .map_err(|error| error.to_string())?;
                    if let Some(name) = self.protocol.subprotocol() {
                        let name = HeaderValue::from_static(name);
                        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
                    }
                    opened(client_with_config(request, stream, Some(config)))?
                }
            }
            State::Handshake(handshake) => opened(handshake.handshake())?,
            other => other,
        };
        let State::Open(socket) = &mut self.state else { return Ok(Vec::new()) };
        match socket.flush() {
            Ok(()) => {}
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
        if let Some(opening) = self.translator.opening().filter(|_| !was_open) {
            write(socket, &opening)?;
        }
        let mut messages = Vec::new();
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    let message = serde_json::from_str(text.as_str());
                    let message = message.map_err(|error| format!("not JSON: {error}"))?;
                    let heard = self.translator.parse(message)?;
                    messages.extend(heard.message);
                    if let Some(reply) = heard.reply {
                        write(socket, &reply)?;
                    }
                }
                Ok(Message::Close(_)) => return Err("the server closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) if would_block(&error) => return Ok(messages),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Sends a message, or keeps it until the connection takes it.
    pub(super) fn send(&mut self, message: &Value) -> Result<(), String> {
        let State::Open(socket) = &mut self.state else {
            return Err("not connected".to_owned());
        };
        match self.translator.translate(message) {
            Some(message) => write(socket, &message),
            None => Ok(()),
        }
    }

    /// Closes the WebSocket, like a browser that leaves the page.
    pub(super) fn close(&mut self) {
        if let State::Open(socket) = &mut self.state {
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }
}

fn write(socket: &mut WebSocket<TcpStream>, message: &Value) -> Result<(), String> {
    match socket.send(Message::text(message.to_string())) {
        Ok(()) => Ok(()),
        Err(error) if would_block(&error) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

type Opened<S> = Result<
    (WebSocket<S>, tungstenite::handshake::client::Response),
    HandshakeError<ClientHandshake<S>>,
>;

fn opened(outcome: Opened<TcpStream>) -> Result<State, String> {
    match outcome {
        Ok((socket, _)) => Ok(State::Open(socket)),
        Err(HandshakeError::Interrupted(handshake)) => Ok(State::Handshake(handshake)),
        Err(HandshakeError::Failure(error)) => Err(error.to_string()),
    }
}

fn would_block(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}
