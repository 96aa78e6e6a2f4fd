//! Connectivity checks: of users that do not exist, with a wrong password, and right ones by the thousand.

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, Random, attacker_ip};
use crate::siege::peer::{Peer, PeerOptions};
use crate::siege::sources::{Sources, socket};
use crate::siege::stun::Check;

const WRONG_RATE: u32 = 20_000;
const RIGHT_RATE: u32 = 20_000;

/// Checks of users that do not exist.
pub(super) struct WrongUser;

impl Attack for WrongUser {
    fn name(&self) -> &'static str {
        "stun-wrong-user"
    }

    fn about(&self) -> &'static str {
        "20,000 checks a second with user names that the server never gave"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let socket = socket(10)?;
            let mut random = Random::new(10);
            run.paced(WRONG_RATE, |due| {
                for _ in 0..due {
                    let server = format!("{:08x}", random.next() as u32);
                    let check = check(&server, "user", "no-such-password-at-all", &mut random);
                    let _ = socket.send_to(&check, run.udp);
                }
                run.sent(due);
                Ok(())
            })
        });
    }
}

/// Connectivity checks with the ICE user names of the viewers, but without their passwords.
pub(super) struct WrongPassword;

impl Attack for WrongPassword {
    fn name(&self) -> &'static str {
        "stun-wrong-password"
    }

    fn about(&self) -> &'static str {
        "20,000 checks a second with the viewers' right user names and a wrong integrity"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut sources = Sources::many().map_err(|error| error.to_string())?;
            let users: Vec<_> = run
                .watchers
                .iter()
                .filter_map(|watcher| Some((watcher.server_ufrag.clone()?, &watcher.own_ufrag)))
                .collect();
            let mut random = Random::new(11);
            run.paced(WRONG_RATE, |due| {
                for _ in 0..due {
                    let Some((server, own)) = users.get(random.below(users.len())) else {
                        continue;
                    };
                    let check = check(server, own, "this-is-not-the-password", &mut random);
                    sources.send(random.below(60_000), run.udp, &check);
                }
                run.sent(due);
                Ok(())
            })
        });
    }
}

/// Valid checks of the attacker's own peer, each from another port.
pub(super) struct OwnChecks;

impl Attack for OwnChecks {
    fn name(&self) -> &'static str {
        "own-checks"
    }

    fn about(&self) -> &'static str {
        "20,000 valid checks a second of a viewer of its own, from 60,000 sources"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut peer = Peer::connect(run, attacker_ip(12), PeerOptions::default())?;
            let mut sources = Sources::many().map_err(|error| error.to_string())?;
            sources.note().into_iter().for_each(|note| run.note(note));
            let mut random = Random::new(12);
            let mut number = 0;
            run.paced(RIGHT_RATE, |due| {
                for _ in 0..due {
                    let (server, own) = (&peer.server_ufrag, &peer.own_ufrag);
                    let check = check(server, own, &peer.server_password, &mut random);
                    number += 1;
                    sources.send(number, run.udp, &check);
                }
                run.sent(due);
                peer.work(std::time::Duration::ZERO);
                Ok(())
            })
        });
    }
}

fn check(server: &str, own: &str, password: &str, random: &mut Random) -> Vec<u8> {
    let mut transaction = [0; 12];
    random.fill(&mut transaction);
    Check { server, own, password, transaction, nominates: false }.bytes()
}
