//! Requests from pages of other origins, and to foreign names that resolve to this server.

use std::time::Duration;

use serde_json::json;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::wire::{Client, websocket_of};

const FOREIGN: &str = "https://evil.example";

/// Requests, upgrades and names of a page that is not the server's.
pub(super) struct ForeignOrigin;

impl Attack for ForeignOrigin {
    fn name(&self) -> &'static str {
        "foreign-origin"
    }

    fn about(&self) -> &'static str {
        "a page of another origin posts, opens WebSockets and comes under another Host: all refused"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut client = Client::new(attacker_ip(5_400), run.tcp);
            let body = json!({ "id": "of-a-stranger" }).to_string();
            let json = ("Content-Type", "application/json");
            let port = run.tcp.port();
            let rebound = format!("evil.example:{port}");
            run.paced(50, |due| {
                for _ in 0..due {
                    let path = "/webrtc/sessions/create";
                    let foreign = [json, ("Origin", FOREIGN)];
                    let named = [json, ("Host", rebound.as_str())];
                    for (what, headers) in [
                        ("an Origin that is not ours", foreign),
                        ("a Host that is not ours", named),
                    ] {
                        run.sent(1);
                        match client.request("POST", path, &headers, body.as_bytes()) {
                            Ok(answer) if answer.is_success() => {
                                run.fault(format!("a POST with {what} was served"));
                                let own = "/webrtc/sessions/of-a-stranger";
                                let _ = client.request("DELETE", own, &[], b"");
                            }
                            _ => run.rejected(1),
                        }
                    }
                    run.sent(1);
                    match websocket_of(attacker_ip(5_401), run.tcp, Some(FOREIGN)) {
                        Ok(_) => run.fault("a WebSocket with an Origin that is not ours was taken"),
                        Err(_) => run.rejected(1),
                    }
                    if run.is_over() {
                        break;
                    }
                }
                run.sleep(Duration::from_millis(5));
                Ok(())
            })
        });
    }
}
