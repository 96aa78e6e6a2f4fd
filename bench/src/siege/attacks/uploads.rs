//! More uploaded speech than a session can play.

use serde_json::json;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::wire::Client;

const UPLOADS: usize = 14;

/// Bytes of one upload: a second and a half of 24 kHz, 16 bits, mono.
const BYTES: usize = 72_000;

const SESSION: &str = "talks-much";

/// Fourteen uploads into one session at once.
pub(super) struct Uploads;

impl Attack for Uploads {
    fn name(&self) -> &'static str {
        "uploads"
    }

    fn about(&self) -> &'static str {
        "14 uploads of speech into one session at once, over and over"
    }

    fn run(&self, run: &AttackRun) {
        let path = format!("/webrtc/sessions/{SESSION}");
        let mut client = Client::new(attacker_ip(5_300), run.tcp);
        let made = client.post_json("/webrtc/sessions/create", &json!({ "id": SESSION }));
        if !made.is_ok_and(|answer| answer.is_success()) {
            run.note("not done: the session was not made");
            return;
        }
        // Something that is not silence and has a pitch: 500 Hz, a triangle.
        let speech: Vec<u8> = (0..BYTES / 2)
            .map(|index| ((index % 48) as i16 - 24).abs() * 400 - 4_800)
            .flat_map(i16::to_le_bytes)
            .collect();
        run.on_threads(UPLOADS, |index| {
            let mut client = Client::new(attacker_ip(5_301 + index), run.tcp);
            let kind = [("Content-Type", "audio/pcm;rate=24000")];
            while !run.is_over() {
                run.sent(1);
                match client.request("POST", &format!("{path}/stream"), &kind, &speech) {
                    Ok(answer) if answer.is_success() => {}
                    // Most of them wait longer than this client does.
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    _ => {
                        run.rejected(1);
                        run.sleep(std::time::Duration::from_millis(100));
                    }
                }
            }
            Ok(())
        });
        let _ = client.request("DELETE", &path, &[], b"");
    }
}
