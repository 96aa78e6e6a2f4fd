//! TCP connections that send nothing, or very slowly.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::wire::connect;

const IDLE: usize = 5_000;

/// Connections that send a byte now and then.
const SLOW: usize = 1_000;

/// Each of these has its own address.
const SLOW_ADDRESSES: usize = 100;

const TRICKLE: Duration = Duration::from_millis(500);

/// Addresses of idle connections, where they come from many.
const IDLE_ADDRESSES: usize = 100;

/// Five thousand connections that send nothing.
pub(super) struct Idle {
    pub(super) many: bool,
}

impl Attack for Idle {
    fn name(&self) -> &'static str {
        if self.many { "tcp-idle-many" } else { "tcp-idle" }
    }

    fn about(&self) -> &'static str {
        if self.many {
            "the same from 100 addresses"
        } else {
            "5,000 connections from one address that say nothing; closed ones are opened again"
        }
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut open: Vec<TcpStream> = Vec::with_capacity(IDLE);
            let (mut oldest, mut host) = (0, 0);
            run.paced(5_000, |due| {
                // A few at a time: a server whose queue is full lets each of them wait.
                for _ in 0..due.min(100) {
                    if run.is_over() {
                        break;
                    }
                    host = if self.many { (host + 1) % IDLE_ADDRESSES } else { 0 };
                    let Ok(stream) = connect(attacker_ip(2_000 + host), run.tcp) else {
                        run.rejected(1);
                        continue;
                    };
                    run.sent(1);
                    if open.len() < IDLE {
                        open.push(stream);
                    } else if let Some(place) = open.get_mut(oldest) {
                        if is_closed(place) {
                            run.rejected(1);
                            *place = stream;
                        }
                        oldest = (oldest + 1) % IDLE;
                    }
                }
                if open.len() >= IDLE {
                    run.sleep(Duration::from_millis(20));
                }
                Ok(())
            })?;
            let held = open.iter().filter(|stream| !is_closed(stream)).count();
            run.note(format!("{held} of {} still open at the end", open.len()));
            Ok(())
        });
    }
}

/// Heads of requests, a byte at a time.
pub(super) struct SlowHeads;

impl Attack for SlowHeads {
    fn name(&self) -> &'static str {
        "slow-heads"
    }

    fn about(&self) -> &'static str {
        "1,000 requests from 100 addresses whose heads come a byte every half second"
    }

    fn run(&self, run: &AttackRun) {
        trickle(run, b"GET /status HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
    }
}

/// Bodies of requests, a byte at a time.
pub(super) struct SlowBodies;

impl Attack for SlowBodies {
    fn name(&self) -> &'static str {
        "slow-bodies"
    }

    fn about(&self) -> &'static str {
        "1,000 offers from 100 addresses whose bodies come a byte every half second"
    }

    fn run(&self, run: &AttackRun) {
        trickle(
            run,
            b"POST /webrtc/sessions/default/offer HTTP/1.1\r\nHost: localhost\r\n\
              Content-Type: application/json\r\nContent-Length: 20000\r\n\r\n{\"sdp\":\"",
        );
    }
}

fn trickle(run: &AttackRun, start: &[u8]) {
    run.on_threads(1, |_| {
        let mut open: Vec<TcpStream> = Vec::with_capacity(SLOW);
        let mut host = 0;
        while !run.is_over() {
            while open.len() < SLOW && !run.is_over() {
                host += 1;
                let begun = connect(attacker_ip(2_200 + host % SLOW_ADDRESSES), run.tcp)
                    .and_then(|mut stream| stream.write_all(start).map(|()| stream));
                if let Ok(stream) = begun {
                    run.sent(1);
                    open.push(stream);
                } else {
                    run.rejected(1);
                    run.sleep(Duration::from_millis(5));
                }
            }
            let before = open.len();
            open.retain_mut(|stream| !is_closed(stream) && stream.write_all(b"a").is_ok());
            run.rejected((before - open.len()) as u64);
            run.sleep(TRICKLE);
        }
        Ok(())
    });
}

/// Whether the other side has ended it, by what can be read now.
fn is_closed(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let closed = match stream.peek(&mut [0]) {
        Ok(read) => read == 0 || answered(stream),
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    let _ = stream.set_nonblocking(false);
    closed
}

/// Reads and discards an answer: a connection that gets one has been refused.
fn answered(mut stream: &TcpStream) -> bool {
    let _ = std::io::Read::read(&mut stream, &mut [0; 4_096]);
    true
}
