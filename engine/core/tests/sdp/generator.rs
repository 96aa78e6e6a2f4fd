//! Legal offers, made up: each is answered, and the answer stands.

use crate::random::{Random, seeds};
use crate::{answers, checked_answer};
use visavis_core::sdp;

/// A section of a made-up offer.
#[derive(Clone)]
struct Section {
    media: &'static str,
    protocol: &'static str,
    mid: Option<String>,
    direction: &'static str,
    formats: Vec<u8>,
    attributes: Vec<String>,
    disabled: bool,
}

const DIRECTIONS: [&str; 5] = ["sendrecv", "sendonly", "recvonly", "inactive", ""];
const PROTOCOLS: [&str; 4] =
    ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"];
const ODD_LINES: [&str; 9] = [
    "a=ptime:20",
    "a=maxptime:120",
    "a=x-google-flag:conference",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=rtcp-rsize",
    "a=extmap-allow-mixed",
    "a=end-of-candidates",
    "a=candidate:1 1 udp 2122260223 192.0.2.7 52000 typ host generation 0 network-id 1",
    "a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
];

/// A legal offer, and what makes it one.
pub(crate) struct Made {
    sections: Vec<Section>,
    bundled: bool,
    separator: &'static str,
}

/// What one transport's numbers mean: the same in all sections (RFC 9143 §9.1).
struct Numbers {
    free: Vec<u8>,
    codecs: Vec<(&'static str, Vec<u8>)>,
}

impl Numbers {
    fn new(random: &mut Random) -> Self {
        let mut free: Vec<u8> = (1..=7).chain(9..=63).chain(96..=127).collect();
        random.shuffle(&mut free);
        Self { free, codecs: Vec::new() }
    }

    fn of(&mut self, codec: &'static str, count: usize) -> Vec<u8> {
        if let Some((_, numbers)) = self.codecs.iter().find(|(name, _)| *name == codec) {
            return numbers.clone();
        }
        let numbers = self.free.split_off(self.free.len() - count);
        self.codecs.push((codec, numbers.clone()));
        numbers
    }
}

impl Made {
    pub(crate) fn new(random: &mut Random) -> Self {
        let bundled = !random.one_in(8);
        let count = if bundled { 1 + random.below(8) } else { 1 };
        let mut numbers = Numbers::new(random);
        let mut sections: Vec<Section> = (0..count)
            .map(|n| match random.below(6) {
                0 | 1 => Self::audio(n, &mut numbers, random),
                2 | 3 => Self::video(n, &mut numbers, random),
                4 => Self::data(n, random),
                _ => Self::odd(n, random),
            })
            .collect();
        // There is one connection for channels, and one section at least that can be taken.
        let mut channels = sections.iter_mut().filter(|section| section.protocol.ends_with("SCTP"));
        channels.next();
        channels.for_each(|section| section.disabled = true);
        let place = random.below(count);
        sections[place] = Self::video(place, &mut numbers, random);
        sections[place].disabled = false;
        if !bundled && random.one_in(2) {
            sections[0].mid = None;
        }
        let separator = if random.one_in(6) { "\n" } else { "\r\n" };
        Self { sections, bundled, separator }
    }

    fn mid(n: usize, random: &mut Random) -> Option<String> {
        let style = random.below(5);
        Some(match style {
            0 => format!("video-{n}"),
            1 => format!("{{0b5c2a1e-4f7d-{n}-a-long-one}}"),
            2 => format!("{n}!#$%&'*+.^_`|~"),
            _ => n.to_string(),
        })
    }

    fn audio(n: usize, numbers: &mut Numbers, random: &mut Random) -> Section {
        let mut formats = Vec::new();
        let mut attributes = Vec::new();
        let opus = numbers.of("opus", 2);
        let name = *random.of(&["opus", "OPUS", "Opus"]);
        attributes.push(format!("a=rtpmap:{} {name}/48000/2", opus[0]));
        attributes.push(format!("a=fmtp:{} minptime=10; useinbandfec=1", opus[0]));
        formats.push(opus[0]);
        if random.one_in(2) {
            attributes.push(format!("a=rtpmap:{} red/48000/2", opus[1]));
            attributes.push(format!("a=fmtp:{} {}/{}", opus[1], opus[0], opus[0]));
            formats.push(opus[1]);
        }
        if random.one_in(2) {
            formats.extend([0, 8]);
        }
        if random.one_in(2) {
            let other = numbers.of("telephone-event", 1);
            attributes.push(format!("a=rtpmap:{} telephone-event/8000", other[0]));
            formats.push(other[0]);
        }
        attributes.push("a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level".to_owned());
        Self::media("audio", n, formats, attributes, random)
    }

    fn video(n: usize, numbers: &mut Numbers, random: &mut Random) -> Section {
        const CODECS: [(&str, &str); 6] = [
            ("VP8/90000", ""),
            ("VP9/90000", "profile-id=0"),
            ("VP9/90000", "profile-id=2"),
            (
                "H264/90000",
                "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
            ),
            ("H264/90000", "packetization-mode=1;profile-level-id=42001f"),
            ("AV1/90000", "level-idx=5;profile=0;tier=0"),
        ];
        let mut formats = Vec::new();
        let mut attributes = Vec::new();
        // VP8 is in all of them, so that there is something in common.
        let chosen = (0..CODECS.len()).filter(|&n| n == 0 || random.one_in(2)).collect::<Vec<_>>();
        for codec in chosen {
            let (map, parameters) = CODECS[codec];
            let with = numbers.of(
                if codec == 2 {
                    "VP9.2"
                } else if codec == 4 {
                    "H264.b"
                } else {
                    map
                },
                2,
            );
            let (number, rtx) = (with[0], with[1]);
            formats.push(number);
            attributes.push(format!("a=rtpmap:{number} {map}"));
            if !parameters.is_empty() {
                attributes.push(format!("a=fmtp:{number} {parameters}"));
            }
            for feedback in ["nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"] {
                if !random.one_in(3) {
                    attributes.push(format!("a=rtcp-fb:{number} {feedback}"));
                }
            }
            if random.one_in(2) {
                formats.push(rtx);
                attributes.push(format!("a=rtpmap:{rtx} rtx/90000"));
                attributes.push(format!("a=fmtp:{rtx} apt={number}"));
            }
        }
        attributes.push(
            "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay".to_owned(),
        );
        if random.one_in(5) {
            attributes.extend(
                ["a=rid:h send", "a=rid:l send max-width=320", "a=simulcast:send h;l"]
                    .map(str::to_owned),
            );
        }
        Self::media("video", n, formats, attributes, random)
    }

    fn media(
        media: &'static str,
        n: usize,
        mut formats: Vec<u8>,
        mut attributes: Vec<String>,
        random: &mut Random,
    ) -> Section {
        attributes.push("a=rtcp-mux".to_owned());
        attributes.push("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid".to_owned());
        for _ in 0..random.below(4) {
            attributes.push((*random.of(&ODD_LINES)).to_owned());
        }
        let direction = *random.of(&DIRECTIONS);
        if matches!(direction, "sendrecv" | "sendonly" | "") {
            let ssrc = 1_000 * (n + 1) + random.below(500);
            attributes.push(format!("a=ssrc:{ssrc} cname:viewer"));
            attributes.push(format!("a=msid:stream track{n}"));
        }
        random.shuffle(&mut attributes);
        random.shuffle(&mut formats);
        let mid = Self::mid(n, random);
        let (protocol, disabled) = (*random.of(&PROTOCOLS), random.one_in(8));
        Section { media, protocol, mid, direction, formats, attributes, disabled }
    }

    fn data(n: usize, random: &mut Random) -> Section {
        Section {
            media: "application",
            protocol: *random.of(&["UDP/DTLS/SCTP", "TCP/DTLS/SCTP"]),
            mid: Self::mid(n, random),
            direction: "",
            formats: Vec::new(),
            attributes: vec!["a=sctp-port:5000".to_owned(), "a=max-message-size:262144".to_owned()],
            disabled: false,
        }
    }

    fn odd(n: usize, random: &mut Random) -> Section {
        Section {
            media: *random.of(&["text", "message", "image", "x-thing"]),
            protocol: *random.of(&["UDP/TLS/RTP/SAVPF", "UDP/TLS/UDPTL", "RTP/AVP", "UDP/BFCP"]),
            mid: Self::mid(n, random),
            direction: *random.of(&DIRECTIONS),
            formats: vec![98],
            attributes: vec!["a=rtpmap:98 t140/1000".to_owned()],
            disabled: random.one_in(4),
        }
    }

    /// A change that a later offer may make.
    pub(crate) fn change(&mut self, random: &mut Random) {
        let count = self.sections.len();
        match random.below(5) {
            0 if self.bundled && count < 12 => {
                // Sections are only ever added at the end (RFC 3264 §8).
                let mut section = self.sections[random.below(count)].clone();
                if section.protocol.ends_with("SCTP") {
                    return;
                }
                section.mid = Some(format!("new{count}"));
                section.attributes.retain(|line| !line.starts_with("a=ssrc"));
                self.sections.push(section);
            }
            1 if count > 1 => {
                let section = random.below(count);
                self.sections[section].disabled = true;
            }
            2 => {
                let place = random.below(count);
                let section = &mut self.sections[place];
                if section.disabled && self.bundled && !section.protocol.ends_with("SCTP") {
                    // A disabled section is used again under another mid (RFC 9429 §5.2.2).
                    section.disabled = false;
                    section.mid = Some(format!("again{place}x{}", random.below(1_000)));
                    section.attributes.retain(|line| !line.starts_with("a=ssrc"));
                }
            }
            _ => {
                let direction = *random.of(&DIRECTIONS);
                let section = random.below(count);
                self.sections[section].direction = direction;
            }
        }
    }

    pub(crate) fn text(&self, random: &mut Random) -> String {
        let mut lines =
            vec!["v=0".to_owned(), "o=- 7346013657429396003 2 IN IP4 127.0.0.1".to_owned()];
        lines.push("s=-".to_owned());
        for (line, odds) in [
            ("i=about", 8),
            ("u=http://example.com/", 8),
            ("e=a@example.com", 8),
            ("p=+1 617 555-6011", 8),
            ("c=IN IP4 0.0.0.0", 4),
            ("b=CT:1000", 8),
        ] {
            if random.one_in(odds) {
                lines.push(line.to_owned());
            }
        }
        lines.push((*random.of(&["t=0 0", "t=0 0", "t=1 2"])).to_owned());
        let mut attributes = Vec::new();
        let living = || self.sections.iter().filter(|section| !section.disabled);
        if self.bundled {
            let mids: Vec<_> = living().filter_map(|section| section.mid.as_deref()).collect();
            attributes.push(format!("a=group:BUNDLE {}", mids.join(" ")));
        }
        attributes.push("a=msid-semantic: WMS *".to_owned());
        if random.one_in(2) {
            attributes.push("a=extmap-allow-mixed".to_owned());
        }
        let transport = [
            "a=ice-ufrag:bwXw".to_owned(),
            "a=ice-pwd:4FWgz+hlhKXd+MBZgHkAZqyf".to_owned(),
            format!("a=fingerprint:sha-256 {}", ["5A"; 32].join(":")),
            "a=setup:actpass".to_owned(),
        ];
        let in_session = random.one_in(4);
        if in_session {
            attributes.extend(transport.clone());
        }
        random.shuffle(&mut attributes);
        lines.extend(attributes);
        for section in &self.sections {
            let formats = match section.formats.is_empty() {
                true => "webrtc-datachannel".to_owned(),
                false => section.formats.iter().map(u8::to_string).collect::<Vec<_>>().join(" "),
            };
            let port = if section.disabled { 0 } else { 9 };
            lines.push(format!("m={} {port} {} {formats}", section.media, section.protocol));
            for (line, odds) in [
                ("i=a section", 6),
                ("c=IN IP6 ::", 2),
                ("b=AS:2000", 4),
                ("b=TIAS:2000000", 4),
                ("k=prompt", 8),
            ] {
                if random.one_in(odds) {
                    lines.push(line.to_owned());
                }
            }
            let mut attributes = section.attributes.clone();
            if !in_session {
                attributes.extend(transport.clone());
            }
            if !section.direction.is_empty() {
                attributes.push(format!("a={}", section.direction));
            }
            attributes.extend(section.mid.iter().map(|mid| format!("a=mid:{mid}")));
            random.shuffle(&mut attributes);
            lines.extend(attributes);
        }
        lines.push(String::new());
        lines.join(self.separator)
    }
}

#[test]
fn every_legal_offer_that_can_be_made_up_is_answered() {
    for seed in seeds("LEGAL_OFFERS", 1_000) {
        let mut random = Random::new(seed);
        let offer = Made::new(&mut random).text(&mut random);
        checked_answer(&offer).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{offer}"));
    }
}

#[test]
fn every_legal_row_of_offers_that_can_be_made_up_is_answered() {
    for seed in seeds("LEGAL_ROWS", 200) {
        let mut random = Random::new(seed);
        let mut made = Made::new(&mut random);
        let offers: Vec<String> = (0..6)
            .map(|_| {
                let text = made.text(&mut random);
                made.change(&mut random);
                text
            })
            .collect();
        for (offer, answer) in offers.iter().zip(answers(&offers)) {
            let answer = answer.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{offer}"));
            sdp::verify(offer, &answer)
                .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{offer}\n{answer}"));
        }
    }
}
