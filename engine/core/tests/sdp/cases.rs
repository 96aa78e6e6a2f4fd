//! Legal offers that are unlike a browser's own, each with its answer.

use crate::{answer, checked_answer, fixture, fixtures, sections};
use visavis_core::{NegotiateError, Offer, SdpError};

const ALL: &[&str] = &["audio sendonly", "video sendonly", "application"];

/// An offer, and what becomes of its sections.
const CASES: &[(&str, &[&str])] = &[
    ("two-bandwidth-lines", ALL),
    ("bandwidth-after-attributes", ALL),
    ("titles-and-keys-in-sections", ALL),
    ("times-that-are-not-zero", ALL),
    ("protocol-without-transport", ALL),
    ("protocol-over-tcp", ALL),
    ("packet-times-and-unknown-attributes", ALL),
    ("mids-with-hyphens", ALL),
    ("mids-longer-than-sixteen", ALL),
    ("bundle-only-sections", ALL),
    ("data-channel-of-before-rfc-8841", ALL),
    ("transport-in-the-session-part", ALL),
    // To say nothing means both ways; pictures of viewers go nowhere.
    ("direction-left-out", &["audio sendrecv", "video sendonly", "application"]),
    ("no-bundle-one-section", &["video sendonly"]),
    // Each would have a transport of its own; there is one, and the face is what it is all about.
    ("no-bundle-two-sections", &["audio rejected", "video sendonly"]),
    (
        "firefox-disabled-section-first",
        &["video rejected", "audio sendonly", "video sendonly", "application"],
    ),
    ("simulcast", ALL),
    ("text-in-the-bundle", &["audio sendonly", "video sendonly", "text rejected", "application"]),
    (
        "native-sendonly-sections",
        &["audio sendonly", "video sendonly", "video inactive", "audio recvonly"],
    ),
    ("data-channel-alone", &["application"]),
    ("camera-and-screen", &["audio sendrecv", "video sendonly", "video sendonly"]),
    ("one-number-in-two-sections", ALL),
    ("disabled-audio-with-the-number-of-video", &["audio rejected", "video sendonly"]),
    ("webrtcbin-watch", &["video sendonly", "audio sendonly"]),
    ("webrtcbin-122-watch", &["video sendonly", "audio sendonly"]),
    // H264 without a packetization mode: nothing larger than a packet could be sent (RFC 6184 §5.4).
    ("webrtcbin-122-h264-watch", &["video rejected", "audio sendonly"]),
];

#[test]
fn every_legal_offer_is_answered_section_by_section() {
    for (name, expected) in CASES {
        let offer = fixture(name);
        let answer = checked_answer(&offer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sections(&answer), *expected, "{name}\n{answer}");
    }
    // Those of browsers are in the crate's own tests.
    for name in fixtures() {
        let known = CASES.iter().any(|(case, _)| *case == name);
        let browsers = ["chromium-", "firefox-", "safari-", "android-"];
        assert!(known || browsers.iter().any(|browser| name.starts_with(browser)), "{name}");
        checked_answer(&fixture(&name)).unwrap();
    }
}

#[test]
fn an_answer_keeps_the_spelling_of_the_offer() {
    let lines = |name: &str| checked_answer(&fixture(name)).unwrap();
    let answer = lines("mids-with-hyphens");
    for line in ["a=group:BUNDLE audio-0 video-0 data-channel-number-0", "a=mid:video-0"] {
        assert!(answer.contains(&format!("{line}\r\n")), "{line}\n{answer}");
    }
    let answer = lines("mids-longer-than-sixteen");
    assert!(answer.contains("a=mid:{1f0c6a9e-0001-video}\r\n"), "{answer}");
    let answer = lines("protocol-without-transport");
    assert!(answer.contains("m=video 9 RTP/SAVPF "), "{answer}");
    let answer = lines("protocol-over-tcp");
    assert!(answer.contains("m=video 9 TCP/DTLS/RTP/SAVPF "), "{answer}");
    assert!(answer.contains("m=application 9 TCP/DTLS/SCTP webrtc-datachannel"), "{answer}");
    let answer = lines("data-channel-of-before-rfc-8841");
    assert!(answer.contains("m=application 9 DTLS/SCTP 5000\r\n"), "{answer}");
    assert!(answer.contains("a=sctpmap:5000 webrtc-datachannel 1024\r\n"), "{answer}");
    let answer = lines("no-bundle-one-section");
    assert!(!answer.contains("BUNDLE") && !answer.contains("a=mid"), "{answer}");
    let answer = lines("text-in-the-bundle");
    assert!(answer.contains("a=group:BUNDLE 0 1 2\r\n"), "{answer}");
    assert!(answer.contains("m=text 0 UDP/TLS/RTP/SAVPF 100 98\r\n"), "{answer}");
    let answer = lines("simulcast");
    assert!(!answer.contains("a=rid") && !answer.contains("a=simulcast"), "{answer}");
}

#[test]
fn an_offer_with_one_payload_number_in_two_sections_keeps_both() {
    let answer = checked_answer(&fixture("one-number-in-two-sections")).unwrap();
    assert!(answer.contains("a=rtpmap:109 opus/48000/2\r\n"), "{answer}");
    assert!(answer.contains("a=fmtp:109 apt=108\r\n"), "{answer}");
    // And where both are numbers of media.
    let offer = fixture("one-number-in-two-sections").replace("109", "96");
    checked_answer(&offer).unwrap();
    // Two codecs of sound under one number, in two sections: the second section has another codec left.
    let sound = |mid: &str, map: &str| {
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 96 8\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:bwXw\r\n\
             a=ice-pwd:4FWgz+hlhKXd+MBZgHkAZqyf\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n\
             a=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:96 {map}\r\n",
            ["FB"; 32].join(":")
        )
    };
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a b\r\n{}{}",
        sound("a", "opus/48000/2"),
        sound("b", "PCMU/8000"),
    );
    let answer = checked_answer(&offer).unwrap();
    assert_eq!(sections(&answer), ["audio sendrecv", "audio sendrecv"], "{answer}");
    assert_eq!(answer.matches("a=rtpmap:96 ").count(), 1, "{answer}");
}

#[test]
fn what_cannot_be_answered_is_refused_in_words() {
    let watch = fixture("chromium-156-watch");
    let without = |lines: &str| -> String {
        watch.split_inclusive("\r\n").filter(|line| !line.starts_with(lines)).collect()
    };
    let refused = |offer: &str| answer(offer).err();
    let sdp = |problem: SdpError| Some(NegotiateError::Sdp(problem));
    assert_eq!(refused(""), sdp(SdpError::NotSdp));
    assert_eq!(refused(&without("m=")), sdp(SdpError::NoSections));
    assert_eq!(refused(&without("a=ice-ufrag")), sdp(SdpError::NoIce));
    assert_eq!(refused(&without("a=fingerprint")), sdp(SdpError::NoFingerprint));
    assert_eq!(refused(&watch.replace("a=mid:1", "a=mid:0")), sdp(SdpError::SameMid));
    assert_eq!(refused(&watch.replace("a=mid:1", "a=mid:1 1")), sdp(SdpError::Mid));
    assert_eq!(refused(&watch.replace("m=video 9", "m=video x")), sdp(SdpError::MediaLine));
    assert_eq!(refused(&"x".repeat(40_000)), sdp(SdpError::TooLong));
    let sections = "m=audio 9 RTP/AVP 0\r\n".repeat(900);
    assert_eq!(refused(&format!("v=0\r\n{sections}")), sdp(SdpError::TooManySections));
    let formats = (0..200).map(|n| format!(" {n}")).collect::<String>();
    assert_eq!(
        refused(&format!("v=0\r\nm=audio 9 RTP/AVP{formats}\r\n")),
        sdp(SdpError::TooManyFormats)
    );
    let unknown = watch.replace("opus", "speex").replace("PCM", "XXX").replace("/90000", "/8000");
    let unknown = unknown.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 111");
    assert_eq!(refused(&unknown), Some(NegotiateError::NoCommonCodec));
    // No sentence repeats what was sent, or tells of what is inside.
    for problem in [SdpError::NotSdp, SdpError::Unsupported, SdpError::MediaLine] {
        let text = problem.to_string();
        assert!(text.is_ascii() && !text.contains("0x") && !text.contains('{'), "{text}");
    }
    assert!(Offer::parse(&watch).is_ok());
}

#[test]
fn the_first_section_of_a_group_speaks_for_those_that_say_nothing_of_their_transport() {
    let transport = ["a=ice-ufrag", "a=ice-pwd", "a=ice-options", "a=fingerprint", "a=setup"];
    let offer = fixture("bundle-only-sections");
    let (first, others) = offer.split_once("m=video").unwrap();
    let said = |line: &&str| !transport.iter().any(|name| line.starts_with(name));
    let others: String = others.split_inclusive("\r\n").filter(said).collect();
    let offer = format!("{first}m=video{others}");
    let answer = checked_answer(&offer).unwrap_or_else(|error| panic!("{error}\n{offer}"));
    assert_eq!(sections(&answer), ALL, "{answer}");
    // And where it is rejected itself (RFC 9143 §7.3.2): passive, so that what it says of that counts too.
    let speex = offer
        .replace("SAVPF 111 63 0 8", "SAVPF 111")
        .replace("111 opus/48000/2", "111 speex/16000")
        .replace("a=setup:actpass", "a=setup:active");
    let answer = checked_answer(&speex).unwrap_or_else(|error| panic!("{error}\n{speex}"));
    let expected = ["audio rejected", "video sendonly", "application"];
    assert_eq!(sections(&answer), expected, "{answer}");
    assert!(answer.contains("a=group:BUNDLE 1 2\r\n"), "{answer}");
    assert!(answer.contains("a=setup:passive") && !answer.contains("a=setup:active"), "{answer}");
    // And where its credentials were lost, and another one has some: who begins is still its to say.
    let offer = fixture("chromium-156-watch");
    let (first, others) = offer.split_once("m=video").unwrap();
    let first = first.replace("a=ice-ufrag", "a=x").replace("a=setup:actpass", "a=setup:passive");
    let others = others.replace("a=setup:actpass\r\n", "");
    let offer = format!("{first}m=video{others}");
    let answer = checked_answer(&offer).unwrap_or_else(|error| panic!("{error}\n{offer}"));
    assert!(answer.contains("a=setup:active") && !answer.contains("a=setup:passive"), "{answer}");
}

#[test]
fn what_other_stacks_and_applications_make_of_an_offer_changes_nothing() {
    let watch = fixture("chromium-156-watch");
    let without = |name: &str| -> String {
        watch.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect()
    };
    let (group, setup) = ("a=group:BUNDLE 0 1 2", "a=setup:actpass");
    let others = |of: &str, bytes: usize| {
        format!("a=fingerprint:{of} {}\r\na=fingerprint:sha-256 ", vec!["0A"; bytes].join(":"))
    };
    for (what, offer) in [
        ("LF alone", watch.replace("\r\n", "\n")),
        ("no end of the last line", watch.trim_end().to_owned()),
        (
            "blanks at the end",
            watch.replace("a=mid:1", "a=mid:1 \t").replace("a=rtcp-mux\r", "a=rtcp-mux \r"),
        ),
        ("a hash function in capitals", watch.replace("sha-256", "SHA-256")),
        (
            "fingerprints of several",
            watch.replace("a=fingerprint:sha-256 ", &others("sha-512", 64)),
        ),
        ("an old one first", watch.replace("a=fingerprint:sha-256 ", &others("sha-1", 20))),
        ("lip sync groups", watch.replace(group, "a=group:LS 0 1\r\na=group:BUNDLE 0 1 2")),
        ("a name that no section has", watch.replace(group, "a=group:BUNDLE 9 0 1 2 0")),
        ("RTCP's port left out", without("a=rtcp-mux")),
        (
            "RTCP on no port of its own",
            watch.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n"),
        ),
        ("active", watch.replace(setup, "a=setup:active")),
        ("passive", watch.replace(setup, "a=setup:passive")),
        ("ICE lite", watch.replace(group, "a=ice-lite\r\na=group:BUNDLE 0 1 2")),
        ("extensions of two bytes", watch.replace("a=extmap:4 ", "a=extmap:16 ")),
        (
            "one extension twice",
            watch.replace(
                "a=extmap:4 ",
                "a=extmap:12 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:4 ",
            ),
        ),
        ("no extensions", without("a=extmap")),
        ("no feedback", without("a=rtcp-fb")),
        ("no parameters but of repetitions", watch.replace("level-asymmetry-allowed=1;", "")),
        ("blanks between parameters", watch.replace(';', " ; ")),
        (
            "names in capitals",
            watch.replace("opus/", "OPUS/").replace("VP8/", "vp8/").replace("rtx/", "RTX/"),
        ),
    ] {
        let answer = checked_answer(&offer).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(sections(&answer), ALL, "{what}\n{answer}");
    }
    let two = watch.replace(group, "a=group:BUNDLE 2\r\na=group:BUNDLE 0 1");
    let answer = checked_answer(&two).unwrap();
    assert_eq!(sections(&answer), ["audio sendonly", "video sendonly", "application rejected"]);
}
