//! Offers: odd ones, damaged ones, giant ones.

use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::Message;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, Random, attacker_ip};
use crate::siege::wire::{Client, websocket};

const BROWSERS: [&str; 4] = [
    include_str!("../../../../fixtures/sdp/chromium-156-watch.sdp"),
    include_str!("../../../../fixtures/sdp/firefox-153-watch.sdp"),
    include_str!("../../../../fixtures/sdp/safari-16-microphone.sdp"),
    include_str!("../../../../fixtures/sdp/android-chrome-h264-watch.sdp"),
];

/// Attackers, each with different addresses.
const CREW: usize = 2;

/// Attackers, who take turns. With many more, their viewers, which never connect, would take all places: that is the
/// purpose of the server's `max_clients`, and not measured here.
const ADDRESSES: usize = 8;

/// One payload number in an audio and a video section.
pub(super) struct OneNumberTwice;

impl Attack for OneNumberTwice {
    fn name(&self) -> &'static str {
        "one-number-twice"
    }

    fn about(&self) -> &'static str {
        "offers whose audio and video sections use one payload number, the audio also disabled"
    }

    fn run(&self, run: &AttackRun) {
        let taken = BROWSERS.first().copied().unwrap_or_default();
        let twice = taken
            .replace("SAVPF 111 ", "SAVPF 109 ")
            .replace(":111 ", ":109 ")
            .replace(" 111/111", " 109/109");
        let disabled = twice.replace("m=audio 9 ", "m=audio 0 ");
        stream_of_offers(run, 20, 4_000, |random| {
            if random.below(2) == 0 { twice.clone() } else { disabled.clone() }
        });
    }
}

/// Browsers' offers with a few bytes, lines or numbers changed.
pub(super) struct Mutated;

impl Attack for Mutated {
    fn name(&self) -> &'static str {
        "mutated-offers"
    }

    fn about(&self) -> &'static str {
        "500 damaged offers a second: lines doubled, lost, swapped, numbers and bytes changed"
    }

    fn run(&self, run: &AttackRun) {
        stream_of_offers(run, 500, 5_000, mutated);
    }
}

fn mutated(random: &mut Random) -> String {
    let offer = BROWSERS.get(random.below(BROWSERS.len())).copied().unwrap_or_default();
    let mut lines: Vec<String> = offer.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(6) {
        let at = random.below(lines.len());
        let other = random.below(lines.len());
        match random.below(6) {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 => lines.extend(lines.get(at).cloned()),
            2 => lines.swap(at, other),
            3 => {
                if let Some(line) = lines.get_mut(at) {
                    *line = line.replace(char::is_numeric, &random.below(130).to_string());
                }
            }
            4 => {
                if let Some(line) = lines.get_mut(at) {
                    let keep = random.below(line.len() + 1);
                    *line = line.chars().take(keep).collect();
                }
            }
            _ => {
                let moved = lines.get(at).cloned().unwrap_or_default();
                lines.insert(other, moved);
            }
        }
    }
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

/// Offers with very many sections, expensive to parse and to answer.
pub(super) struct GiantFirst;

impl Attack for GiantFirst {
    fn name(&self) -> &'static str {
        "giant-offers"
    }

    fn about(&self) -> &'static str {
        "first offers of 300 and 2,500 sections, as many as are answered, over two connections"
    }

    fn run(&self, run: &AttackRun) {
        let (long, longer) = (giant(300), giant(2_500));
        stream_of_offers(run, 1_000, 6_000, |random| {
            if random.below(2) == 0 { long.clone() } else { longer.clone() }
        });
    }
}

/// The same as second offers.
pub(super) struct GiantSecond;

impl Attack for GiantSecond {
    fn name(&self) -> &'static str {
        "giant-second-offers"
    }

    fn about(&self) -> &'static str {
        "second offers of 900 sections in a loop over 8 WebSockets"
    }

    fn run(&self, run: &AttackRun) {
        let first = offer_message(BROWSERS.first().copied().unwrap_or_default());
        let second = offer_message(&giant(900));
        run.on_threads(8, |index| {
            while !run.is_over() {
                if let Err(error) = converse(run, index, &first, &second) {
                    run.rejected(1);
                    run.note(error);
                    run.sleep(Duration::from_millis(50));
                }
            }
            Ok(())
        });
    }
}

/// Offers, and offers again, until the server ends it.
fn converse(run: &AttackRun, index: usize, first: &str, second: &str) -> Result<(), String> {
    let mut socket = websocket(attacker_ip(4_500 + index), run.tcp)?;
    let mut next = Message::text(first);
    loop {
        if run.is_over() {
            return Ok(());
        }
        let message = socket.read().map_err(|error| format!("a WebSocket ended: {error}"))?;
        let Ok(text) = message.to_text() else { continue };
        let kind = serde_json::from_str::<Value>(text).ok();
        let kind = kind.as_ref().and_then(|value| value.get("type")).and_then(Value::as_str);
        if kind == Some("error") {
            run.rejected(1);
            // After a refusal the next request follows at once.
        }
        if matches!(kind, Some("config" | "answer" | "error")) {
            socket.send(next).map_err(|error| format!("a WebSocket ended: {error}"))?;
            run.sent(1);
            next = Message::text(second);
        }
    }
}

fn offer_message(sdp: &str) -> String {
    let sdp = sdp.lines().map(|line| format!("{line}\r\n")).collect::<String>();
    json!({"type": "offer", "data": {"type": "offer", "sdp": sdp}}).to_string()
}

/// An offer of many sections, short enough for a request's body where there are not too many of them.
fn giant(sections: usize) -> String {
    let offer = BROWSERS.first().copied().unwrap_or_default();
    let head = offer.split("m=").next().unwrap_or_default();
    let kept = |line: &&str| !line.starts_with("a=group");
    let mut text: String = head.lines().filter(kept).map(|line| format!("{line}\r\n")).collect();
    let security = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"];
    let security = |line: &&str| security.iter().any(|name| line.starts_with(name));
    let of_section: Vec<_> = offer.lines().filter(security).take(4).collect();
    text.extend(of_section.iter().map(|line| format!("{line}\r\n")));
    for mid in 0..sections {
        text.push_str(&format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=rtcp-mux\r\n"
        ));
    }
    text
}

/// Posts offers, from one address after the other.
fn stream_of_offers(
    run: &AttackRun,
    rate: u32,
    first_host: usize,
    offer: impl Fn(&mut Random) -> String + Sync,
) {
    run.on_threads(CREW, |thread| {
        let mut random = Random::new(thread);
        let mut host = 0;
        run.paced(rate.div_ceil(CREW as u32), |due| {
            for _ in 0..due {
                if run.is_over() {
                    break;
                }
                host += 1;
                let from = attacker_ip(first_host + (host * CREW + thread) % ADDRESSES);
                let mut client = Client::new(from, run.tcp);
                let body = json!({"type": "offer", "sdp": offer(&mut random)});
                run.sent(1);
                match client.post_json("/webrtc/sessions/default/offer", &body) {
                    Ok(answer) if answer.is_success() => {}
                    Ok(_) => run.rejected(1),
                    Err(error) => {
                        run.rejected(1);
                        run.note(format!("no answer to an offer: {}", error.kind()));
                    }
                }
            }
            Ok(())
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_offers_have_what_is_changed_in_them() {
        let chromium = BROWSERS[0];
        assert!(chromium.contains("SAVPF 111 ") && chromium.contains(" 111/111"));
        assert_eq!(giant(900).matches("m=audio").count(), 900);
        assert!(giant(3).contains("a=fingerprint:sha-256"));
    }

    #[test]
    fn damage_is_the_same_in_every_run() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        for _ in 0..500 {
            assert_eq!(mutated(&mut one), mutated(&mut other));
        }
    }
}
