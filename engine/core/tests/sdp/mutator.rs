//! Offers that something happened to: answered in a way that stands, or refused; nothing panics.

use crate::random::{Random, seeds};
use crate::{answer, answers, fixture, fixtures};
use visavis_core::{NegotiateError, SdpError, sdp};

/// Changes a text in a few places, mostly line by line, partly with lines of another text.
fn mutate(text: &str, other: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let others: Vec<&str> = other.lines().collect();
    for _ in 0..=random.below(6) {
        if lines.is_empty() {
            break;
        }
        let (at, to) = (random.below(lines.len()), random.below(lines.len()));
        match random.below(12) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(to, lines[at].clone()),
            2 => lines.swap(at, to),
            3 => lines.insert(at, (*random.of(&others)).to_owned()),
            4 => {
                // A number becomes another one.
                let numbers = [
                    "0",
                    "8",
                    "9",
                    "96",
                    "97",
                    "108",
                    "111",
                    "127",
                    "128",
                    "255",
                    "65536",
                    "4294967296",
                    "-1",
                    "",
                ];
                let digits: Vec<_> =
                    lines[at].match_indices(|c: char| c.is_ascii_digit()).map(|(n, _)| n).collect();
                if let Some(&begin) = digits.first().filter(|_| !digits.is_empty()) {
                    let begin = *random.of(&digits).max(&begin);
                    let rest = lines[at][begin..]
                        .trim_start_matches(|c: char| c.is_ascii_digit())
                        .to_owned();
                    lines[at] = format!("{}{}{rest}", &lines[at][..begin], random.of(&numbers));
                }
            }
            5 => {
                // Words are lost, doubled or change places.
                let mut words: Vec<_> = lines[at].split(' ').map(str::to_owned).collect();
                let (a, b) = (random.below(words.len()), random.below(words.len()));
                match random.below(3) {
                    0 => drop(words.remove(a)),
                    1 => words.insert(b, words[a].clone()),
                    _ => words.swap(a, b),
                }
                lines[at] = words.join(" ");
            }
            6 => {
                let cut = random.below(lines[at].len() + 1);
                let cut = (0..=cut).rev().find(|&cut| lines[at].is_char_boundary(cut)).unwrap_or(0);
                lines[at].truncate(cut);
            }
            7 => {
                let what = *random
                    .of(&["\u{0}", "ü", " ", ":", "=", "/", ";", "\t", "\r", "~]probe", "🙂"]);
                let place = random.below(lines[at].len() + 1);
                let place =
                    (0..=place).rev().find(|&place| lines[at].is_char_boundary(place)).unwrap_or(0);
                lines[at].insert_str(place, what);
            }
            8 => {
                // A whole section once more.
                let begins: Vec<_> =
                    (0..lines.len()).filter(|&n| lines[n].starts_with("m=")).collect();
                if !begins.is_empty() {
                    let begin = *random.of(&begins);
                    let end =
                        begins.iter().copied().find(|&next| next > begin).unwrap_or(lines.len());
                    let section: Vec<_> = lines[begin..end].to_vec();
                    lines.splice(end..end, section);
                }
            }
            9 => {
                let from = *random.of(&[
                    "recvonly",
                    "UDP/TLS/RTP/SAVPF",
                    "actpass",
                    "a=mid:",
                    "sha-256",
                    "video",
                    "audio",
                    "opus",
                    "H264",
                ]);
                let into = *random.of(&[
                    "sendrecv",
                    "sendonly",
                    "inactive",
                    "RTP/AVP",
                    "active",
                    "passive",
                    "a=mid:x",
                    "audio",
                    "video",
                    "application",
                    "VP8",
                    "rtx",
                ]);
                lines[at] = lines[at].replace(from, into);
            }
            10 => {
                let from =
                    *random.of(&["recvonly", "video 9", "audio 9", "a=setup:actpass", "BUNDLE"]);
                let into = *random.of(&[
                    "sendrecv",
                    "inactive",
                    "video 0",
                    "audio 0",
                    "a=setup:active",
                    "a=setup:passive",
                    "LS",
                ]);
                lines.iter_mut().for_each(|line| *line = line.replace(from, into));
            }
            _ => {
                let end = lines.len().min(at + 1 + random.below(12));
                drop(lines.drain(at..end));
            }
        }
    }
    let end = if random.one_in(10) { "\n" } else { "\r\n" };
    lines.push(String::new());
    lines.join(end)
}

/// Whether an answer, if there is one, stands.
fn check(offer: &str, answer: Result<&str, &NegotiateError>, seed: u64) -> bool {
    match answer {
        Ok(answer) => {
            if let Err(wrong) = sdp::verify(offer, answer) {
                panic!("seed {seed}: {wrong}\n--- offer\n{offer}\n--- answer\n{answer}");
            }
            true
        }
        // Either the stack stumbled over what was written for it, or an answer of ours did not stand.
        Err(NegotiateError::Sdp(SdpError::Unsupported)) => panic!("seed {seed}\n{offer}"),
        Err(_) => false,
    }
}

#[test]
fn mutated_offers_are_refused_or_answered_so_that_it_stands() {
    let offers: Vec<String> = fixtures().iter().map(|name| fixture(name)).collect();
    let (mut answered, mut count) = (0, 0);
    for seed in seeds("MUTATED_OFFERS", 2_000) {
        count += 1;
        let mut random = Random::new(seed);
        let (text, other) = (random.of(&offers).clone(), random.of(&offers).clone());
        let offer = mutate(&text, &other, &mut random);
        let answer = answer(&offer).map(|(_, answer)| answer);
        answered += u64::from(check(&offer, answer.as_deref(), seed));
    }
    println!("{answered} of {count} answered");
    assert!(answered > count / 4, "{answered} of {count}: there is little left to check");
}

#[test]
fn mutated_second_offers_are_refused_or_answered_so_that_it_stands() {
    let offers: Vec<String> = fixtures().iter().map(|name| fixture(name)).collect();
    let (mut answered, mut count) = (0, 0);
    for seed in seeds("MUTATED_SECOND_OFFERS", 500) {
        count += 1;
        let mut random = Random::new(seed);
        let (text, other) = (random.of(&offers).clone(), random.of(&offers).clone());
        let second = mutate(&text, &other, &mut random);
        // Mutations add up, as in a conversation.
        let row = [text, second.clone(), mutate(&second, &other, &mut random)];
        let answers = answers(&row);
        for (offer, answer) in row.iter().zip(&answers).skip(1) {
            answered += u64::from(check(offer, answer.as_deref(), seed));
        }
    }
    println!("{answered} of {} answered", 2 * count);
    assert!(answered > count / 2, "{answered} of {}: there is little left to check", 2 * count);
}
