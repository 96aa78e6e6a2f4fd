//! Offers as browsers make them (`fixtures/sdp`), and the answer each must get.

use std::fs;
use std::path::Path;
use std::time::Instant;

use visavis_types::VideoCodec::{self, Av1, H264, Vp8, Vp9};
use visavis_types::{AudioCodec, AudioRendition, CodecSet, PeerId, PeerPermissions, SessionId};

use super::certificate::Certificate;
use super::setup::PeerSetup;
use super::tracks::CodecOrder;
use crate::sdp::Offer;

/// What a viewer gets: the codec, the browser's payload type for it, and what the answer says of it
/// (`a=fmtp`, if there is such a line).
type Given = (VideoCodec, u8, Option<&'static str>);

const CONSTRAINED_BASELINE: Option<&str> =
    Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");

/// An offer, and what it leads to where H264, VP8 or VP9 is preferred.
const OFFERS: [(&str, [Given; 3]); 11] = [
    ("chromium-156-watch", CHROMIUM),
    ("chromium-156-microphone", CHROMIUM),
    ("android-chrome-h264-watch", CHROMIUM),
    // Phones whose chip has no encoder that Chrome trusts.
    (
        "android-chrome-without-h264-watch",
        [(Vp8, 96, None), (Vp8, 96, None), (Vp9, 98, Some("profile-id=0"))],
    ),
    // Without the plugin, which Firefox fetches after its first start.
    ("firefox-153-watch", [(Vp8, 120, None), (Vp8, 120, None), (Vp9, 121, Some("profile-id=0"))]),
    (
        "firefox-153-microphone",
        [(Vp8, 120, None), (Vp8, 120, None), (Vp9, 121, Some("profile-id=0"))],
    ),
    ("firefox-h264-watch", FIREFOX),
    ("firefox-h264-microphone", FIREFOX),
    // High comes first in these; what is encoded is constrained baseline.
    ("safari-16-watch", SAFARI),
    ("safari-16-microphone", SAFARI),
    // Knows no VP9: then what it names first.
    (
        "safari-13-watch",
        [(H264, 98, CONSTRAINED_BASELINE), (Vp8, 100, None), (H264, 98, CONSTRAINED_BASELINE)],
    ),
];

const CHROMIUM: [Given; 3] =
    [(H264, 108, CONSTRAINED_BASELINE), (Vp8, 96, None), (Vp9, 98, Some("profile-id=0"))];

const FIREFOX: [Given; 3] =
    [(H264, 126, CONSTRAINED_BASELINE), (Vp8, 120, None), (Vp9, 121, Some("profile-id=0"))];

const SAFARI: [Given; 3] =
    [(H264, 98, CONSTRAINED_BASELINE), (Vp8, 104, None), (Vp9, 106, Some("profile-id=0"))];

fn offer(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sdp");
    fs::read_to_string(folder.join(name).with_extension("sdp")).unwrap()
}

/// The answer to an offer, and what the viewer gets.
fn answer(offer: &str, preferred: VideoCodec) -> (String, VideoCodec, u8) {
    let certificate = Certificate::generate().unwrap();
    let setup = setup(&certificate, preferred);
    let (peer, answer) = setup.answer(&Offer::parse(offer).unwrap()).unwrap();
    (answer, peer.video_codec().unwrap(), peer.video_payload_type().unwrap())
}

/// A viewer of a session that prefers a codec.
fn setup(certificate: &Certificate, preferred: VideoCodec) -> PeerSetup<'_> {
    let encoders = CodecSet::EMPTY.with(H264).with(Vp8).with(Vp9);
    PeerSetup {
        peer: PeerId::from_raw(1),
        session: SessionId::default(),
        order: CodecOrder { video: vec![preferred], ..CodecOrder::default() },
        video_codecs: if preferred == Av1 { encoders.with(Av1) } else { encoders },
        red: false,
        media_loop: 0,
        permissions: PeerPermissions::default(),
        candidates: &[],
        certificate,
        now: Instant::now(),
    }
}

/// What an answer's video section says of a payload type.
fn format(answer: &str, payload_type: u8) -> Option<&str> {
    let (_, video) = answer.split_once("\r\nm=video").unwrap();
    let video = video.split("\r\nm=").next().unwrap();
    video.lines().find_map(|line| line.strip_prefix(&format!("a=fmtp:{payload_type} ")))
}

/// Checks one offer with one preference.
fn check(name: &str, offer: &str, preferred: VideoCodec, given: Given) {
    let (answer, codec, payload_type) = answer(offer, preferred);
    let fmtp = format(&answer, payload_type);
    assert_eq!((codec, payload_type, fmtp), given, "{name}, {preferred} preferred\n{answer}");
    // The payload type means in the answer what it meant in the offer.
    let rtpmap = format!("a=rtpmap:{payload_type} {}/90000", codec.name());
    assert!(offer.contains(&rtpmap) && answer.contains(&rtpmap), "{name}: {rtpmap}");
    // Units go in pieces and in packets of several, which is mode 1 (RFC 6184 §5.4), and there is no
    // encoder for High.
    assert!(!answer.contains("packetization-mode=0"), "{name}\n{answer}");
    assert!(!answer.contains("profile-level-id=64"), "{name}\n{answer}");
}

#[test]
fn every_browser_gets_what_is_preferred_in_a_format_it_offered() {
    for (name, given) in OFFERS {
        let offer = offer(name);
        for (preferred, given) in [H264, Vp8, Vp9].into_iter().zip(given) {
            check(name, &offer, preferred, given);
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sdp");
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let of_browsers = names.filter(|name| {
        let name = name.to_str().unwrap();
        // What applications make of such offers is in `tests/sdp`.
        ["-watch.sdp", "-microphone.sdp"].iter().any(|end| name.ends_with(end))
            && !name.starts_with("webrtcbin")
    });
    assert_eq!(of_browsers.count(), OFFERS.len(), "an offer that nobody answers");
}

#[test]
fn browsers_that_ask_for_two_channels_are_told_that_they_may_come() {
    for (name, stereo) in [
        ("chromium-156-watch", false),
        ("safari-16-watch", false),
        ("firefox-153-watch", true),
        ("firefox-h264-microphone", true),
    ] {
        let offer = offer(name);
        let munged = offer.replace("useinbandfec=1", "useinbandfec=1;stereo=1");
        for (offer, stereo) in [(offer, stereo), (munged, true)] {
            let certificate = Certificate::generate().unwrap();
            let (peer, answer) =
                setup(&certificate, H264).answer(&Offer::parse(&offer).unwrap()).unwrap();
            let expected = AudioRendition::of(AudioCodec::Opus, stereo);
            assert_eq!(peer.audio_rendition(), Some(expected), "{name}");
            assert_eq!(answer.contains("useinbandfec=1;sprop-stereo=1\r\n"), stereo, "{answer}");
            assert!(!answer.contains(";stereo=1"), "{answer}");
        }
    }
}

#[test]
fn av1_goes_to_browsers_that_have_it() {
    for (name, expected) in [
        // Main profile; 47 is High.
        ("chromium-156-watch", (Av1, 45)),
        ("firefox-153-watch", (Av1, 99)),
        ("safari-16-watch", (H264, 98)),
    ] {
        let (_, codec, payload_type) = answer(&offer(name), Av1);
        assert_eq!((codec, payload_type), expected, "{name}");
    }
}

#[test]
fn what_h264_must_be_to_be_sent() {
    let safari = offer("safari-16-watch");
    let chrome = offer("android-chrome-h264-watch");
    let vp8 = |payload_type| (Vp8, payload_type, None);
    let h264 = |fmtp| (H264, 108, Some(fmtp));
    for (name, offer, given) in [
        (
            "single NAL unit mode only",
            safari.replace("packetization-mode=1", "packetization-mode=0"),
            vp8(104),
        ),
        // Which is what it means to say nothing (RFC 6184 §8.1).
        ("no packetization mode", safari.replace("packetization-mode=1;", ""), vp8(104)),
        ("High only", safari.replace("42e01f", "640c1f"), vp8(104)),
        (
            "baseline, of which constrained baseline is a part",
            chrome.replace("42e01f", "42001f"),
            h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
        ),
        (
            "constrained baseline under another name",
            chrome.replace("42e01f", "4D801F"),
            h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d801f"),
        ),
        (
            "a higher level",
            chrome.replace("42e01f", "42e02a"),
            h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        ),
        (
            "a lower level, and no other allowed",
            chrome.replace("level-asymmetry-allowed=1;", "").replace("42e01f", "42e00d"),
            h264("packetization-mode=1;profile-level-id=42e00d"),
        ),
        (
            "the same level, and no other allowed",
            chrome.replace("level-asymmetry-allowed=1", "level-asymmetry-allowed=0"),
            h264("packetization-mode=1;profile-level-id=42e01f"),
        ),
    ] {
        check(name, &offer, H264, given);
    }
}

#[test]
fn a_viewer_that_gives_its_sections_to_others_for_ever_stays_bounded() {
    let watch = offer("chromium-156-watch");
    let stopped = watch
        .replace("m=audio 9", "m=audio 0")
        .replace("m=video 9", "m=video 0")
        .replace("BUNDLE 0 1 2", "BUNDLE 2");
    let certificate = Certificate::generate().unwrap();
    let (mut peer, _) = setup(&certificate, H264).answer(&Offer::parse(&watch).unwrap()).unwrap();
    for n in 0..100 {
        let (audio, video) = (format!("a{n}"), format!("v{n}"));
        let again = watch
            .replace("BUNDLE 0 1 2", &format!("BUNDLE {audio} {video} 2"))
            .replace("a=mid:0\r", &format!("a=mid:{audio}\r"))
            .replace("a=mid:1\r", &format!("a=mid:{video}\r"));
        for offer in [&stopped, &again] {
            let offer = Offer::parse(offer).unwrap();
            peer.renegotiate(&offer, None).unwrap();
        }
        assert!(peer.video_codec().is_some() && peer.audio_rendition().is_some(), "{n}");
        assert!(peer.retired_tracks() <= 8, "{n}: {}", peer.retired_tracks());
    }
}

/// The direction of an answer's sound.
fn sound_direction(answer: &str) -> &str {
    let (_, audio) = answer.split_once("\r\nm=audio").unwrap();
    let audio = audio.split("\r\nm=").next().unwrap();
    let directions = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let mut found = audio.lines().filter_map(|line| line.strip_prefix("a="));
    found.find(|line| directions.contains(line)).unwrap()
}

#[test]
fn a_microphone_that_is_not_permitted_is_refused_in_the_answer() {
    let certificate = Certificate::generate().unwrap();
    let silent = PeerPermissions::default().microphone(false);
    for name in ["chromium-156-microphone", "firefox-153-microphone", "safari-16-microphone"] {
        let offer = Offer::parse(&offer(name)).unwrap();
        let permitted = setup(&certificate, Vp8);
        let (_, answer) = permitted.answer(&offer).unwrap();
        assert_eq!(sound_direction(&answer), "sendrecv", "{name}");

        let refused = PeerSetup { permissions: silent, ..setup(&certificate, Vp8) };
        let (mut peer, answer) = refused.answer(&offer).unwrap();
        assert_eq!(sound_direction(&answer), "sendonly", "{name}");
        assert!(peer.audio_rendition().is_some(), "{name}: it still hears");
        assert!(!peer.microphone.is_taken(), "{name}: what comes all the same is dropped");

        // A later offer changes nothing by itself, and does with other permissions.
        assert_eq!(sound_direction(&peer.renegotiate(&offer, None).unwrap()), "sendonly");
        let all = Some(PeerPermissions::default());
        assert_eq!(sound_direction(&peer.renegotiate(&offer, all).unwrap()), "sendrecv");
        assert!(peer.microphone.is_taken(), "{name}");
        assert_eq!(sound_direction(&peer.renegotiate(&offer, Some(silent)).unwrap()), "sendonly");
        assert!(!peer.microphone.is_taken(), "{name}");
    }
}
