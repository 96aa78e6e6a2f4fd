//! TCP connections to the port of the media: those that say nothing, and those that say what nobody there understands.

use std::io::Write;
use std::net::TcpStream;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, Random, attacker_ip};
use crate::siege::wire::connect;

/// Connections that are held.
const HELD: usize = 5_000;
/// New ones in a second.
const RATE: u32 = 5_000;
const ADDRESSES: usize = 100;

/// What they send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Nothing,
    /// Random bytes: lengths that no packet has.
    Garbage,
    /// Packets of the smallest size, of nobody.
    Packets,
}

/// Thousands of them.
pub(super) struct MediaConnections(pub(super) Words);

impl Attack for MediaConnections {
    fn name(&self) -> &'static str {
        match self.0 {
            Words::Nothing => "media-tcp-idle",
            Words::Garbage => "media-tcp-garbage",
            Words::Packets => "media-tcp-packets",
        }
    }

    fn about(&self) -> &'static str {
        match self.0 {
            Words::Nothing => {
                "5,000 connections to the media's TCP port from 100 addresses that say nothing"
            }
            Words::Garbage => "the same, with 200 random bytes each; closed ones are opened again",
            Words::Packets => "the same, with 5,000 packets of one byte each",
        }
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut open: Vec<TcpStream> = Vec::with_capacity(HELD);
            let (mut random, mut oldest, mut host) = (Random::new(1), 0, 0);
            let packets = [0, 1, 0x80].repeat(5_000);
            run.paced(RATE, |due| {
                for _ in 0..due.min(100) {
                    if run.is_over() {
                        break;
                    }
                    host = (host + 1) % ADDRESSES;
                    let Ok(mut stream) = connect(attacker_ip(2_400 + host), run.udp) else {
                        run.rejected(1);
                        continue;
                    };
                    run.sent(1);
                    let mut bytes = [0; 200];
                    random.fill(&mut bytes);
                    let sent = match self.0 {
                        Words::Nothing => Ok(()),
                        Words::Garbage => stream.write_all(&bytes),
                        Words::Packets => stream.write_all(&packets),
                    };
                    run.rejected(sent.is_err().into());
                    if open.len() < HELD {
                        open.push(stream);
                    } else if let Some(place) = open.get_mut(oldest) {
                        *place = stream;
                        oldest = (oldest + 1) % HELD;
                    }
                }
                Ok(())
            })
        });
    }
}
