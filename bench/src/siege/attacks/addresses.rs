//! A viewer that names another one's address as its own.

use std::time::{Duration, Instant};

use serde_json::json;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::metrics::metric;
use crate::siege::peer::{Peer, PeerOptions};
use crate::siege::server_mode::ServerMode;
use crate::siege::wire::Client;

/// A microphone's packets.
const SPOKEN: Duration = Duration::from_millis(20);

/// Percentage of the packets of the viewer whose address is claimed that must arrive.
const HEARD: f64 = 0.9;

/// Sends candidates with the addresses of all viewers, and of one who speaks, whose microphone must still arrive.
pub(super) struct AnothersAddress;

impl Attack for AnothersAddress {
    fn name(&self) -> &'static str {
        "anothers-address"
    }

    fn about(&self) -> &'static str {
        "a viewer names every other viewer's address as its own, ten a second; who speaks is heard on"
    }

    fn mode(&self) -> ServerMode {
        ServerMode::Echo
    }

    fn run(&self, run: &AttackRun) {
        let options = PeerOptions { speaks: true, loses: 0 };
        let speaker = match Peer::connect(run, attacker_ip(20), options) {
            Ok(peer) => Some(peer),
            Err(error) => return run.note(format!("not done: {error}")),
        };
        let spoken_from = speaker.as_ref().map(|peer| peer.local);
        std::thread::scope(|scope| {
            if let Some(peer) = speaker {
                scope.spawn(move || speak(run, peer));
            }
            run.on_threads(1, |_| {
                let mut peer = Peer::connect(run, attacker_ip(21), PeerOptions::default())?;
                let mut client = Client::new(attacker_ip(21), run.tcp);
                let watching = run.watchers.iter().filter_map(|watcher| watcher.address);
                let addresses: Vec<_> = spoken_from.into_iter().chain(watching).collect();
                let mut next = addresses.iter().cycle();
                run.paced(10, |due| {
                    for address in next.by_ref().take(due as usize) {
                        let line = format!(
                            "candidate:1 1 udp 2122260223 {} {} typ host",
                            address.ip(),
                            address.port()
                        );
                        let candidate =
                            json!({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0});
                        let body = json!({"peerId": peer.id(), "candidate": candidate});
                        let answer = client.post_json("/webrtc/sessions/default/ice", &body);
                        run.sent(1);
                        if !answer.is_ok_and(|answer| answer.is_success()) {
                            run.rejected(1);
                        }
                    }
                    peer.work(Duration::from_millis(5));
                    Ok(())
                })
            });
        });
    }
}

/// Sends a microphone as a browser does, and compares what was sent with what the server received.
fn speak(run: &AttackRun, mut peer: Peer) {
    let before = metric(run.tcp, "visavis_mic_packets_total{session=\"default\"}");
    // Opus: full band, 20 ms, mono, one frame (RFC 6716 §3.1).
    let packet = [0xf8; 60];
    let mut sent = 0_u32;
    let mut next = Instant::now();
    while !run.is_over() {
        peer.work(next.saturating_duration_since(Instant::now()));
        peer.speak(&packet, 960);
        sent += 1;
        next += SPOKEN;
    }
    let after = metric(run.tcp, "visavis_mic_packets_total{session=\"default\"}");
    match (before, after) {
        (Some(before), Some(after)) => {
            let heard = (after - before) / f64::from(sent.max(1));
            run.note(format!("{:.0} % of the speaker's packets heard", heard * 100.0));
            if heard < HEARD {
                run.fault("the microphone of a viewer whose address another one claimed is not received any more");
            }
        }
        _ => run.note("the server does not report its microphone packets"),
    }
}
