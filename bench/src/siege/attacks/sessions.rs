//! Sessions made and ended, each of another size.

use std::time::{Duration, Instant};

use serde_json::json;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, Random, attacker_ip};
use crate::siege::wire::Client;
use crate::viewers::{Options, Swarm};

const RATE: u32 = 50;

/// A session that is made after all these has a picture by then.
const PICTURE: Duration = Duration::from_secs(2);

/// Fifty sessions a second, each of another size and rate.
pub(super) struct OtherSizes;

impl Attack for OtherSizes {
    fn name(&self) -> &'static str {
        "other-sizes"
    }

    fn about(&self) -> &'static str {
        "50 sessions a second made and ended, each of another size; the next one has a picture at once"
    }

    fn run(&self, run: &AttackRun) {
        run.on_threads(1, |_| {
            let mut client = Client::new(attacker_ip(5_200), run.tcp);
            let mut random = Random::new(52);
            let mut number = 0;
            run.paced(RATE, |due| {
                for _ in 0..due {
                    number += 1;
                    let id = format!("size-{number}");
                    let size = json!({
                        "width": 16 + 2 * random.below(1_000),
                        "height": 16 + 2 * random.below(540),
                    });
                    let body = json!({
                        "id": id,
                        "size": size,
                        "fps": 1 + random.below(60),
                        "videoBitrate": 100_000 + random.below(2_000_000),
                    });
                    run.sent(1);
                    let answer = client.post_json("/webrtc/sessions/create", &body);
                    if !answer.is_ok_and(|answer| answer.is_success()) {
                        run.rejected(1);
                    }
                    let _ = client.request("DELETE", &format!("/webrtc/sessions/{id}"), &[], b"");
                }
                Ok(())
            })
        });
        if let Err(error) = look_at_the_next(run) {
            run.note(error);
        }
    }
}

/// Makes one more session, and watches it.
fn look_at_the_next(run: &AttackRun) -> Result<(), String> {
    let mut client = Client::new(attacker_ip(5_201), run.tcp);
    let body = json!({"id": "after-all", "size": {"width": 400, "height": 300}});
    let made = client.post_json("/webrtc/sessions/create", &body);
    let made = made.map_err(|error| format!("the last session was not made: {error}"))?;
    if !made.is_success() {
        return Err(format!("the last session was not made: {}", made.status));
    }
    let swarm = Swarm::start(Options::new(format!("http://{}/?session=after-all", run.tcp), 1));
    let from = Instant::now();
    let seen = swarm.wait_for_pictures(5 * PICTURE);
    let took = from.elapsed();
    let _ = swarm.finish();
    let _ = client.request("DELETE", "/webrtc/sessions/after-all", &[], b"");
    run.note(format!("first picture of the next session after {} ms", took.as_millis()));
    if seen.is_err() || took > PICTURE {
        run.fault(format!(
            "a session made after all these has no picture within {} s",
            PICTURE.as_secs()
        ));
    }
    Ok(())
}
