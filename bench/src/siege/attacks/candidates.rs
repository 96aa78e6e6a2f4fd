//! Candidates in a flood, and sessions that are ended meanwhile.

use std::time::{Duration, Instant};

use serde_json::json;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::peer::{Peer, PeerOptions};
use crate::siege::wire::Client;

const RATE: u32 = 1_000;

/// Threads that share the rate: each request waits for its answer.
const CREW: usize = 4;

/// A viewer of a session that was ended is notified within this time.
const TOLD: Duration = Duration::from_secs(3);

/// A thousand candidates a second, and sessions ended meanwhile.
pub(super) struct Candidates;

impl Attack for Candidates {
    fn name(&self) -> &'static str {
        "candidates"
    }

    fn about(&self) -> &'static str {
        "1,000 candidates a second over HTTP; sessions that are ended meanwhile have to end"
    }

    fn run(&self, run: &AttackRun) {
        std::thread::scope(|scope| {
            scope.spawn(|| end_sessions(run));
            run.on_threads(CREW, |thread| {
                let from = attacker_ip(5_000 + thread);
                let mut peer = Peer::connect(run, from, PeerOptions::default())?;
                let mut client = Client::new(from, run.tcp);
                let mut number = 0_u32;
                run.paced(RATE / CREW as u32, |due| {
                    for _ in 0..due {
                        number += 1;
                        let [_, second, third, fourth] = (number * 4 + thread as u32).to_be_bytes();
                        let line = format!(
                            "candidate:1 1 udp 2122260223 127.{second}.{third}.{fourth} 9 typ host"
                        );
                        let candidate =
                            json!({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0});
                        let body = json!({"peerId": peer.id(), "candidate": candidate});
                        run.sent(1);
                        let answer = client.post_json("/webrtc/sessions/default/ice", &body);
                        if !answer.is_ok_and(|answer| answer.is_success()) {
                            run.rejected(1);
                        }
                        if run.is_over() {
                            break;
                        }
                    }
                    peer.work(Duration::ZERO);
                    Ok(())
                })
            });
        });
    }
}

/// Once a second: creates a session, watches it, ends it, and checks that the viewer was notified.
fn end_sessions(run: &AttackRun) {
    let from = attacker_ip(5_100);
    let mut client = Client::new(from, run.tcp);
    let (mut ended, mut number) = (0, 0);
    while run.left() > TOLD {
        number += 1;
        let id = format!("ends-{number}");
        match client.post_json("/webrtc/sessions/create", &json!({ "id": id })) {
            Ok(answer) if answer.is_success() => {}
            Ok(answer) => {
                run.note(format!("a session was not made: {}", answer.status));
                run.sleep(Duration::from_secs(1));
                continue;
            }
            Err(_) => continue,
        }
        let mut peer = match Peer::join_session(run, from, &id, PeerOptions::default()) {
            Ok(peer) => peer,
            Err(error) => {
                run.note(error);
                let _ = client.request("DELETE", &format!("/webrtc/sessions/{id}"), &[], b"");
                continue;
            }
        };
        let connected = peer.wait_connected(run).is_ok();
        let answer = client.request("DELETE", &format!("/webrtc/sessions/{id}"), &[], b"");
        if !answer.as_ref().is_ok_and(crate::siege::wire::Answer::is_success) {
            run.note("a session could not be ended");
            continue;
        }
        ended += 1;
        let end = Instant::now() + TOLD;
        while connected && !peer.is_closed() && Instant::now() < end {
            peer.work(Duration::from_millis(20));
        }
        if connected && !peer.is_closed() {
            run.fault(format!("the viewer of session {id}, which was ended, was not told"));
        }
        run.sleep(Duration::from_millis(500));
    }
    run.note(format!("{ended} sessions ended meanwhile"));
}
