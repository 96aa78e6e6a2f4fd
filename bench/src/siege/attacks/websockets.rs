//! WebSockets that send too much, or nothing.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use tungstenite::{Message, WebSocket};

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, Random, attacker_ip};
use crate::siege::wire::websocket;

/// Sockets that flood.
const FLOODING: usize = 40;

/// Frames that mean nothing to anybody, and messages, in one write.
const FRAMES: usize = 5_000;
const MESSAGES: usize = 500;

/// Writes a second over all sockets.
const WRITES: u32 = 2_000;

/// Sockets that never offer, and addresses that they come from.
const SILENT: usize = 1_000;
const SILENT_ADDRESSES: usize = 100;

/// Fragments without a byte in them.
pub(super) struct EmptyFragments;

impl Attack for EmptyFragments {
    fn name(&self) -> &'static str {
        "ws-empty-fragments"
    }

    fn about(&self) -> &'static str {
        "10 million empty fragments a second over 40 WebSockets"
    }

    fn run(&self, run: &AttackRun) {
        // A text message begins, and goes on without an end (RFC 6455 §5.4); masked by zeros.
        let begin = [0x01, 0x80, 0, 0, 0, 0];
        flood(run, FRAMES, &begin, |_| [0x00, 0x80, 0, 0, 0, 0].repeat(FRAMES));
    }
}

/// Pings of the protocol.
pub(super) struct Pings;

impl Attack for Pings {
    fn name(&self) -> &'static str {
        "ws-pings"
    }

    fn about(&self) -> &'static str {
        "10 million pings a second over 40 WebSockets that read no answer"
    }

    fn run(&self, run: &AttackRun) {
        flood(run, FRAMES, &[], |_| [0x89, 0x80, 0, 0, 0, 0].repeat(FRAMES));
    }
}

/// Messages that mean nothing.
pub(super) struct Junk;

impl Attack for Junk {
    fn name(&self) -> &'static str {
        "ws-junk"
    }

    fn about(&self) -> &'static str {
        "a million messages a second that mean nothing over 40 WebSockets: no JSON, no type, binary"
    }

    fn run(&self, run: &AttackRun) {
        flood(run, MESSAGES, &[], |random| {
            let mut frames = Vec::new();
            for _ in 0..MESSAGES {
                let (kind, text): (u8, &[u8]) = match random.below(4) {
                    0 => (0x81, b"{"),
                    1 => (0x81, b"{\"type\":\"\"}"),
                    2 => (0x81, b"{\"type\":\"offer\",\"sdp\":\"v=0\"}"),
                    _ => (0x82, b"\x00\xff"),
                };
                frames.extend([kind, 0x80 | text.len() as u8, 0, 0, 0, 0]);
                frames.extend(text);
            }
            frames
        });
    }
}

/// Writes `count` frames at a time; a socket that is closed is opened again.
fn flood(
    run: &AttackRun,
    count: usize,
    first: &[u8],
    frames: impl Fn(&mut Random) -> Vec<u8> + Sync,
) {
    const THREADS: usize = 2;
    run.on_threads(THREADS, |thread| {
        let mut random = Random::new(thread);
        let mut open: Vec<Option<Flooded>> = (0..FLOODING / THREADS).map(|_| None).collect();
        let mut next = 0;
        run.paced(WRITES / THREADS as u32, |due| {
            for _ in 0..due {
                next = (next + 1) % open.len().max(1);
                let Some(place) = open.get_mut(next) else { break };
                if place.is_none() {
                    let from = attacker_ip(3_000 + thread * FLOODING + next);
                    *place = start(run, from, first);
                }
                let Some(flooded) = place else { continue };
                if flooded.unsent.is_empty() {
                    flooded.unsent = frames(&mut random);
                }
                match flooded.write() {
                    Ok(true) => run.sent(count as u64),
                    Ok(false) => {}
                    Err(_) => {
                        run.rejected(1);
                        *place = None;
                    }
                }
            }
            Ok(())
        })
    });
}

/// A connection, and what it did not take yet: frames are never cut.
struct Flooded {
    stream: TcpStream,
    unsent: Vec<u8>,
}

impl Flooded {
    /// Writes as much as the socket accepts; true if that was everything.
    fn write(&mut self) -> std::io::Result<bool> {
        match self.stream.write(&self.unsent) {
            Ok(written) => {
                self.unsent.drain(..written);
                Ok(self.unsent.is_empty())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn start(run: &AttackRun, from: Ipv4Addr, first: &[u8]) -> Option<Flooded> {
    let Ok(socket) = websocket(from, run.tcp) else {
        run.rejected(1);
        run.sleep(Duration::from_millis(2));
        return None;
    };
    let mut stream = socket.get_ref().try_clone().ok()?;
    stream.write_all(first).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(Flooded { stream, unsent: Vec::new() })
}

/// WebSockets that are alive and want nothing.
pub(super) struct NeverOffer;

impl Attack for NeverOffer {
    fn name(&self) -> &'static str {
        "ws-never-offer"
    }

    fn about(&self) -> &'static str {
        "1,000 WebSockets from 100 addresses that answer pings and never offer"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut open: Vec<WebSocket<TcpStream>> = Vec::with_capacity(SILENT);
            let mut host = 0;
            while !run.is_over() {
                for _ in 0..50 {
                    if open.len() >= SILENT || run.is_over() {
                        break;
                    }
                    host += 1;
                    match websocket(attacker_ip(3_500 + host % SILENT_ADDRESSES), run.tcp) {
                        Ok(socket) if socket.get_ref().set_nonblocking(true).is_ok() => {
                            run.sent(1);
                            open.push(socket);
                        }
                        _ => run.rejected(1),
                    }
                }
                let before = open.len();
                open.retain_mut(answer_pings);
                run.rejected((before - open.len()) as u64);
                run.sleep(Duration::from_millis(50));
            }
            run.note(format!("{} still open at the end", open.len()));
            Ok(())
        });
    }
}

/// Answers what came; `false` once the connection has ended.
fn answer_pings(socket: &mut WebSocket<TcpStream>) -> bool {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) if text.contains("\"ping\"") => {
                let _ = socket.send(Message::text("{\"type\":\"pong\"}"));
            }
            Ok(Message::Text(text)) if text.contains("\"error\"") => return false,
            Ok(Message::Close(_)) => return false,
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) => {
                return error.kind() == ErrorKind::WouldBlock;
            }
            Err(_) => return false,
        }
    }
}
