//! Pages of somebody else, and names that lead here and are not ours.

use std::time::Duration;

use serde_json::json;

use super::Attack;
use crate::siege::field::{Field, stranger};
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

    fn run(&self, field: &Field) {
        field.crew(1, |_| {
            let mut client = Client::new(stranger(5_400), field.tcp);
            let body = json!({ "id": "of-a-stranger" }).to_string();
            let json = ("Content-Type", "application/json");
            let port = field.tcp.port();
            let rebound = format!("evil.example:{port}");
            field.paced(50, |due| {
                for _ in 0..due {
                    let path = "/webrtc/sessions/create";
                    let foreign = [json, ("Origin", FOREIGN)];
                    let named = [json, ("Host", rebound.as_str())];
                    for (what, headers) in [
                        ("an Origin that is not ours", foreign),
                        ("a Host that is not ours", named),
                    ] {
                        field.sent(1);
                        match client.request("POST", path, &headers, body.as_bytes()) {
                            Ok(answer) if answer.is_success() => {
                                field.fault(format!("a POST with {what} was served"));
                                let own = "/webrtc/sessions/of-a-stranger";
                                let _ = client.request("DELETE", own, &[], b"");
                            }
                            _ => field.turned_away(1),
                        }
                    }
                    field.sent(1);
                    match websocket_of(stranger(5_401), field.tcp, Some(FOREIGN)) {
                        Ok(_) => {
                            field.fault("a WebSocket with an Origin that is not ours was taken")
                        }
                        Err(_) => field.turned_away(1),
                    }
                    if field.is_over() {
                        break;
                    }
                }
                field.rest(Duration::from_millis(5));
                Ok(())
            })
        });
    }
}
