//! Offers: odd ones, damaged ones, giant ones.

use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::Message;

use super::Attack;
use crate::siege::field::{Dice, Field, stranger};
use crate::siege::wire::{Client, websocket};

const BROWSERS: [&str; 4] = [
    include_str!("../../../../fixtures/sdp/chromium-156-watch.sdp"),
    include_str!("../../../../fixtures/sdp/firefox-153-watch.sdp"),
    include_str!("../../../../fixtures/sdp/safari-16-microphone.sdp"),
    include_str!("../../../../fixtures/sdp/android-chrome-h264-watch.sdp"),
];

/// Attackers, each from addresses of its own.
const CREW: usize = 2;

/// Strangers who take turns. With many more of them the viewers that they get, which never connect, take all
/// places: that is what a server's `max_clients` is for, and not what is looked at here.
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

    fn run(&self, field: &Field) {
        let taken = BROWSERS.first().copied().unwrap_or_default();
        let twice = taken
            .replace("SAVPF 111 ", "SAVPF 109 ")
            .replace(":111 ", ":109 ")
            .replace(" 111/111", " 109/109");
        let disabled = twice.replace("m=audio 9 ", "m=audio 0 ");
        stream_of_offers(field, 20, 4_000, |dice| {
            if dice.below(2) == 0 { twice.clone() } else { disabled.clone() }
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

    fn run(&self, field: &Field) {
        stream_of_offers(field, 500, 5_000, mutated);
    }
}

fn mutated(dice: &mut Dice) -> String {
    let offer = BROWSERS.get(dice.below(BROWSERS.len())).copied().unwrap_or_default();
    let mut lines: Vec<String> = offer.lines().map(str::to_owned).collect();
    for _ in 0..=dice.below(6) {
        let at = dice.below(lines.len());
        let other = dice.below(lines.len());
        match dice.below(6) {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 => lines.extend(lines.get(at).cloned()),
            2 => lines.swap(at, other),
            3 => {
                if let Some(line) = lines.get_mut(at) {
                    *line = line.replace(char::is_numeric, &dice.below(130).to_string());
                }
            }
            4 => {
                if let Some(line) = lines.get_mut(at) {
                    let keep = dice.below(line.len() + 1);
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

/// Offers of so many sections that each costs much to read and to answer.
pub(super) struct GiantFirst;

impl Attack for GiantFirst {
    fn name(&self) -> &'static str {
        "giant-offers"
    }

    fn about(&self) -> &'static str {
        "first offers of 300 and 2,500 sections, as many as are answered, over two connections"
    }

    fn run(&self, field: &Field) {
        let (long, longer) = (giant(300), giant(2_500));
        stream_of_offers(field, 1_000, 6_000, |dice| {
            if dice.below(2) == 0 { long.clone() } else { longer.clone() }
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

    fn run(&self, field: &Field) {
        let first = offer_message(BROWSERS.first().copied().unwrap_or_default());
        let second = offer_message(&giant(900));
        field.crew(8, |index| {
            while !field.is_over() {
                if let Err(error) = converse(field, index, &first, &second) {
                    field.turned_away(1);
                    field.note(error);
                    field.rest(Duration::from_millis(50));
                }
            }
            Ok(())
        });
    }
}

/// Offers, and offers again, until the server ends it.
fn converse(field: &Field, index: usize, first: &str, second: &str) -> Result<(), String> {
    let mut socket = websocket(stranger(4_500 + index), field.tcp)?;
    let mut next = Message::text(first);
    loop {
        if field.is_over() {
            return Ok(());
        }
        let message = socket.read().map_err(|error| format!("a WebSocket ended: {error}"))?;
        let Ok(text) = message.to_text() else { continue };
        let kind = serde_json::from_str::<Value>(text).ok();
        let kind = kind.as_ref().and_then(|value| value.get("type")).and_then(Value::as_str);
        if kind == Some("error") {
            field.turned_away(1);
            // A server that says no is asked again, as fast as it answers.
        }
        if matches!(kind, Some("config" | "answer" | "error")) {
            socket.send(next).map_err(|error| format!("a WebSocket ended: {error}"))?;
            field.sent(1);
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
    field: &Field,
    rate: u32,
    first_host: usize,
    offer: impl Fn(&mut Dice) -> String + Sync,
) {
    field.crew(CREW, |thread| {
        let mut dice = Dice::new(thread);
        let mut host = 0;
        field.paced(rate.div_ceil(CREW as u32), |due| {
            for _ in 0..due {
                if field.is_over() {
                    break;
                }
                host += 1;
                let from = stranger(first_host + (host * CREW + thread) % ADDRESSES);
                let mut client = Client::new(from, field.tcp);
                let body = json!({"type": "offer", "sdp": offer(&mut dice)});
                field.sent(1);
                match client.post_json("/webrtc/sessions/default/offer", &body) {
                    Ok(answer) if answer.is_success() => {}
                    Ok(_) => field.turned_away(1),
                    Err(error) => {
                        field.turned_away(1);
                        field.note(format!("no answer to an offer: {}", error.kind()));
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
        let (mut one, mut other) = (Dice::new(7), Dice::new(7));
        for _ in 0..500 {
            assert_eq!(mutated(&mut one), mutated(&mut other));
        }
    }
}
