//! Requests and WebSockets of attackers: blocking, from an address that they choose.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tungstenite::WebSocket;
use tungstenite::client::{IntoClientRequest, client};

/// A connection that is not taken by then is refused.
const CONNECT: Duration = Duration::from_secs(2);

/// An attacker waits for no answer longer than this.
const ANSWER: Duration = Duration::from_secs(3);

/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 1 << 20;

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Connects to `to` from an address of this machine.
pub(super) fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), CONNECT)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A client that keeps its connection while the server does.
#[derive(Debug)]
pub(super) struct Client {
    from: Ipv4Addr,
    to: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    pub(super) fn new(from: Ipv4Addr, to: SocketAddr) -> Self {
        Self { from, to, stream: None }
    }

    pub(super) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.request("GET", path, &[], b"")
    }

    pub(super) fn post_json(&mut self, path: &str, body: &serde_json::Value) -> io::Result<Answer> {
        let body = body.to_string();
        self.request("POST", path, &[("Content-Type", "application/json")], body.as_bytes())
    }

    /// Sends a request and reads its answer.
    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let kept = self.stream.is_some();
        match self.try_request(method, path, headers, body) {
            // The server may have closed a connection that was kept.
            Err(_) if kept => self.try_request(method, path, headers, body),
            outcome => outcome,
        }
    }

    fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.from, self.to)?,
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.to));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = head.into_bytes();
        request.extend(body);
        // A server that refuses early closes before everything is written; its answer counts.
        let written = stream.write_all(&request);
        let (answer, stays) = read_answer(&mut stream)?;
        if stays && written.is_ok() {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

/// Reads an answer; true if the connection can be used again.
fn read_answer(stream: &mut TcpStream) -> io::Result<(Answer, bool)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if let Some((status, length, from)) = head(&bytes)
            && bytes.len() >= from + length
        {
            let head = bytes.get(..from).unwrap_or_default();
            let closes = contains(head, b"connection: close");
            let body = bytes.get(from..from + length).unwrap_or_default().to_vec();
            return Ok((Answer { status, body }, !closes));
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 || bytes.len() > LONGEST_ANSWER {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        bytes.extend(chunk.get(..read).unwrap_or_default());
    }
}

/// Status, length of the body, and where it begins; once the head is complete.
fn head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, length.unwrap_or(0), end + 4))
}

fn contains(head: &[u8], what: &[u8]) -> bool {
    head.to_ascii_lowercase().windows(what.len()).any(|window| window == what)
}

/// Opens a WebSocket at `/ws`.
pub(super) fn websocket(from: Ipv4Addr, to: SocketAddr) -> Result<WebSocket<TcpStream>, String> {
    websocket_of(from, to, None)
}

/// The same, from a page of this origin.
pub(super) fn websocket_of(
    from: Ipv4Addr,
    to: SocketAddr,
    origin: Option<&str>,
) -> Result<WebSocket<TcpStream>, String> {
    let stream = connect(from, to).map_err(|error| format!("cannot connect: {error}"))?;
    let mut request =
        format!("ws://{to}/ws").into_client_request().map_err(|error| error.to_string())?;
    if let Some(origin) = origin.and_then(|origin| origin.parse().ok()) {
        request.headers_mut().insert("Origin", origin);
    }
    let (socket, _) = client(request, stream).map_err(|error| format!("no WebSocket: {error}"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_length() {
        let bytes = b"HTTP/1.1 422 No\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(head(bytes), Some((422, 2, 44)));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(head(b"HTTP/1.1 204 OK\r\n\r\n"), Some((204, 0, 19)));
    }
}
