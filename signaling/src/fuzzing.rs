//! Doors to the parsers of what clients send, for `tests/fuzz` alone.

use std::io::{self, Read, Write};

use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::config::Limits;
use crate::http::request::{HttpReader, Step};
use crate::speech::upload::decode_all;
use crate::whep::fragment::is_fragment;
use crate::ws::protocol::Incoming;

/// Cuts pieces of a byte stream into HTTP requests, as a connection does; returns how many there were.
pub fn http<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let (mut reader, limits) = (HttpReader::default(), Limits::default());
    let (mut requests, mut in_body) = (0, false);
    for piece in pieces {
        reader.push(piece);
        loop {
            if in_body {
                match reader.body(&mut Vec::new(), usize::MAX) {
                    Ok(true) => in_body = false,
                    Ok(false) => break,
                    Err(_) => return requests,
                }
            }
            match reader.next(&limits) {
                Step::More => break,
                Step::Head(request) => {
                    let _ = request.query_value("session");
                    let _ = request.has_token(::http::header::CONNECTION, "upgrade");
                    requests += 1;
                    in_body = true;
                }
                Step::Reject(_) => return requests,
            }
        }
    }
    requests
}

/// Decodes an upload: WAV, MP3, or PCM of one layout or the other; returns how many samples there were.
pub fn speech(format: u8, bytes: &[u8]) -> usize {
    let kinds =
        ["audio/wav", "audio/mpeg", "audio/pcm;rate=8000;channels=2", "audio/L16;rate=48000"];
    let Some(kind) = kinds.get(usize::from(format) % kinds.len()) else { return 0 };
    decode_all(kind, bytes).unwrap_or(0)
}

/// Reads a fragment of SDP; whether it is one.
pub fn fragment(text: &str) -> bool {
    is_fragment(text)
}

/// Reads one text message of the protocol; whether it is one.
pub fn message(text: &str) -> bool {
    Incoming::parse(text).is_ok()
}

/// Reads WebSocket frames as a connection does, and the messages in them; returns how many messages there
/// were.
pub fn frames(bytes: &[u8]) -> usize {
    struct Stream<'a>(&'a [u8]);
    impl Read for Stream<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(out)
        }
    }
    impl Write for Stream<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let limits = Limits::default();
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.message_bytes));
    let mut socket = WebSocketContext::new(Role::Server, Some(config));
    let (mut stream, mut messages) = (Stream(bytes), 0);
    while let Ok(read) = socket.read(&mut stream) {
        messages += 1;
        if let Message::Text(text) = read {
            message(&text);
        }
    }
    messages
}
