//! Many who come at once, and many who come back at once.

use std::time::Duration;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::peer::{Peer, PeerOptions};
use crate::viewers::{self, Decrypt};

/// Viewers who restart ICE, and threads that they share.
const RESTARTS: usize = 100;
const THREADS: usize = 4;

/// From one restart of all to the next, where the attack is long enough.
const BETWEEN: Duration = Duration::from_secs(4);

/// Viewers who join at once, and how many come from one address.
const JOINS: usize = 500;
const FROM_ONE: usize = 10;

/// A hundred ICE restarts at once.
pub(super) struct Restarts;

impl Attack for Restarts {
    fn name(&self) -> &'static str {
        "ice-restarts"
    }

    fn about(&self) -> &'static str {
        "100 viewers restart ICE at once, every four seconds"
    }

    fn run(&self, run: &AttackRun) {
        let between = BETWEEN.min(run.left() / 3);
        run.on_threads(THREADS, |thread| {
            let mut peers = Vec::new();
            for index in 0..RESTARTS / THREADS {
                let from = attacker_ip(50 + thread * (RESTARTS / THREADS) + index);
                match Peer::join(run, from, PeerOptions::default()) {
                    Ok(peer) => peers.push(peer),
                    Err(error) => {
                        run.rejected(1);
                        run.note(error);
                    }
                }
            }
            for peer in &mut peers {
                peer.work(Duration::ZERO);
            }
            while !run.is_over() {
                let next = std::time::Instant::now() + between.min(run.left());
                while std::time::Instant::now() < next {
                    for peer in &mut peers {
                        peer.work(Duration::ZERO);
                    }
                    run.sleep(Duration::from_millis(2));
                }
                if run.is_over() {
                    break;
                }
                for peer in &mut peers {
                    run.sent(1);
                    if let Err(error) = peer.restart_ice() {
                        run.rejected(1);
                        run.note(error);
                    }
                }
            }
            Ok(())
        });
    }
}

/// Five hundred joins at once.
pub(super) struct Joins;

impl Attack for Joins {
    fn name(&self) -> &'static str {
        "joins"
    }

    fn about(&self) -> &'static str {
        "500 viewers join at once, from 50 addresses, and watch until the end"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut options = viewers::Options::new(format!("http://{}/", run.tcp), JOINS);
            options.duration = run.left();
            options.decrypt = Decrypt::Sample(JOINS);
            options.sources = (0..JOINS / FROM_ONE).map(|host| attacker_ip(1_000 + host)).collect();
            let report = viewers::run(&options).map_err(|error| error.to_string())?;
            run.sent(JOINS as u64);
            let errors = report.errors();
            run.rejected(errors.len() as u64);
            run.note(format!("{} of {JOINS} connected", report.connected));
            errors.into_iter().take(1).for_each(|error| run.note(error));
            if let Some(spread) = report.first_picture_ms {
                run.note(format!("first picture p99 {:.0} ms", spread.p99));
            }
            Ok(())
        });
    }
}
