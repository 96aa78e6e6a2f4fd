//! A viewer who requests keyframes all the time, and retransmissions of most packets.

use std::time::Duration;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::metrics::metric;
use crate::siege::peer::{Peer, PeerOptions};
use crate::siege::server_mode::ServerMode;

const KEYFRAMES: &str = "visavis_keyframes_total{session=\"default\"}";

pub(super) struct Feedback;

impl Attack for Feedback {
    fn name(&self) -> &'static str {
        "feedback"
    }

    fn about(&self) -> &'static str {
        "a viewer loses 60 of 100 packets, asks for each of them, and for keyframes 200 times a second"
    }

    fn mode(&self) -> ServerMode {
        ServerMode::Echo
    }

    fn run(&self, run: &AttackRun) {
        let before = metric(run.tcp, KEYFRAMES);
        let length = run.left().as_secs_f64();
        run.on_threads(1, |_| {
            let mut peer =
                Peer::connect(run, attacker_ip(40), PeerOptions { speaks: false, loses: 60 })?;
            run.paced(200, |due| {
                peer.ask_for_keyframe();
                run.sent(due);
                peer.work(Duration::from_millis(3));
                Ok(())
            })
        });
        if let (Some(before), Some(after)) = (before, metric(run.tcp, KEYFRAMES)) {
            run.note(format!("{:.1} keyframes a second for all", (after - before) / length));
        }
    }
}
