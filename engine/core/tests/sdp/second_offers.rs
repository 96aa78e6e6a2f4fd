//! Later offers of a peer.

use crate::{answers, fixture, sections};
use visavis_core::{NegotiateError, sdp};

/// What becomes of the sections in each of these offers of one peer.
fn all_sections(offers: &[String]) -> Vec<Vec<String>> {
    let answers = answers(offers);
    offers
        .iter()
        .zip(answers)
        .map(|(offer, answer)| {
            let answer = answer.unwrap_or_else(|error| panic!("{error}\n{offer}"));
            sdp::verify(offer, &answer)
                .unwrap_or_else(|wrong| panic!("{wrong}\n{offer}\n{answer}"));
            sections(&answer)
        })
        .collect()
}

/// An offer's session part, and its sections.
fn parts(offer: &str) -> (String, Vec<String>) {
    let mut parts = offer.split("m=").map(str::to_owned);
    let session = parts.next().unwrap();
    (session, parts.map(|section| format!("m={section}")).collect())
}

#[test]
fn media_is_added_to_a_data_channel_by_a_second_offer() {
    let (session, sections) = parts(&fixture("chromium-156-watch"));
    let first = format!("{}{}", session.replace("BUNDLE 0 1 2", "BUNDLE 2"), sections[2]);
    let second = format!(
        "{}{}{}{}",
        session.replace("0 1 2", "2 0 1"),
        sections[2],
        sections[0],
        sections[1]
    );
    let found = all_sections(&[first, second]);
    assert_eq!(found[0], ["application"]);
    assert_eq!(found[1], ["application", "audio sendonly", "video sendonly"]);
}

#[test]
fn sections_are_disabled_recycled_and_taken_up_again() {
    let offer = fixture("chromium-156-watch");
    let (session, parts) = parts(&offer);
    let without_video = format!(
        "{}{}{}{}",
        session.replace("0 1 2", "0 2"),
        parts[0],
        parts[1].replace("m=video 9", "m=video 0").replace("a=recvonly", "a=inactive"),
        parts[2]
    );
    let recycled = format!(
        "{}{}{}{}",
        session.replace("0 1 2", "0 7 2"),
        parts[0],
        parts[1].replace("a=mid:1", "a=mid:7"),
        parts[2]
    );
    let paused = offer.replacen("a=recvonly", "a=inactive", 1);
    let as_sound = format!(
        "{}{}{}{}",
        session.replace("0 1 2", "0 8 2"),
        parts[0],
        parts[0].replace("a=mid:0", "a=mid:8"),
        parts[2]
    );
    let whole = ["audio sendonly", "video sendonly", "application"];
    let mut offers = Vec::new();
    let mut expected: Vec<Vec<&str>> = Vec::new();
    for _ in 0..20 {
        for (offer, sections) in [
            (&offer, whole.to_vec()),
            (&paused, vec!["audio inactive", "video sendonly", "application"]),
            (&offer, whole.to_vec()),
            (&without_video, vec!["audio sendonly", "video rejected", "application"]),
            (&recycled, whole.to_vec()),
            (&as_sound, vec!["audio sendonly", "audio sendonly", "application"]),
        ] {
            offers.push(offer.clone());
            expected.push(sections);
        }
    }
    assert_eq!(all_sections(&offers), expected);
}

#[test]
fn everything_may_be_disabled() {
    let offer = fixture("chromium-156-watch");
    let nothing = offer.replace(" 9 UDP", " 0 UDP").replace("a=group:BUNDLE 0 1 2\r\n", "");
    let found = all_sections(&[
        offer.clone(),
        nothing,
        offer.replace("a=mid:", "a=mid:x").replace("0 1 2", "x0 x1 x2"),
    ]);
    assert_eq!(found[1], ["audio rejected", "video rejected", "application rejected"]);
    // The channels' association is the one thing that there is once.
    assert_eq!(found[2], ["audio sendonly", "video sendonly", "application rejected"]);
}

#[test]
fn an_offer_of_another_connection_is_not_taken_for_this_one() {
    let offer = fixture("chromium-156-watch");
    let other = offer.replace("FB:A5", "A5:FB").replace("bwXw", "other");
    let answers = answers(&[offer.clone(), other, offer]);
    assert_eq!(answers[1], Err(NegotiateError::OtherConnection));
    assert!(answers[0].is_ok() && answers[2].is_ok());
}

#[test]
fn a_number_that_changes_its_meaning_harms_nothing() {
    let first = fixture("chromium-156-microphone");
    let moved = first.replace("111", "112");
    let swapped = first
        .replace("rtpmap:111 opus/48000/2", "rtpmap:111 PCMU/8000")
        .replace("rtpmap:0 PCMU/8000", "rtpmap:0 opus/48000/2");
    for second in [moved, swapped] {
        let found = all_sections(&[first.clone(), second.clone(), first.clone()]);
        assert!(found[1][0].starts_with("audio send"), "{found:?}");
        assert_eq!(found[0], found[2]);
    }
}

#[test]
fn an_ice_restart_comes_with_other_changes_and_may_be_rolled_back() {
    let first = fixture("chromium-156-watch");
    let (session, sections) = parts(&first);
    let more = format!(
        "{}{}{}",
        session.replace("0 1 2", "0 1 2 3"),
        sections.concat().replacen("a=recvonly", "a=inactive", 1),
        sections[0].replace("a=mid:0", "a=mid:3").replace("a=recvonly", "a=sendrecv"),
    );
    let restarted = more.replace("bwXw", "aNew").replace("4FWgz+", "aNewOne");
    let offers = [first.clone(), restarted, first];
    let found = all_sections(&offers);
    let whole = ["audio sendonly", "video sendonly", "application"];
    assert_eq!(found[0], whole);
    let expected = ["audio inactive", "video sendonly", "application", "audio sendrecv"];
    assert_eq!(
        (&*found[1], &*found[2]),
        (&expected.map(str::to_owned)[..], &whole.map(str::to_owned)[..])
    );
    let names: Vec<String> = answers(&offers)
        .into_iter()
        .map(|answer| {
            let answer = answer.unwrap();
            let name = answer.lines().find(|line| line.starts_with("a=ice-ufrag:"));
            name.unwrap().to_owned()
        })
        .collect();
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
}
