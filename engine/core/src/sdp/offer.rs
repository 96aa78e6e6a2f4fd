//! What an offer says, as far as it matters to us.

use std::net::IpAddr;

use super::direction::Direction;
use super::error::SdpError;
use super::extensions::EXTENSIONS;
use super::formats::{self, Format};
use super::limits::{MAX_CANDIDATES, MAX_FORMATS};
use super::lines::{Description, Line, RawSection, attribute, attributes};
use super::verify::Expected;

/// Hash functions of fingerprints that the stack can check, the better one first (RFC 8122 §5, RFC 8827 §6.5). An
/// offer that has none of them would be answered, and its handshake fail.
const HASHES: [(&str, usize); 2] = [("sha-256", 32), ("sha-1", 20)];

/// Streams of a section that are announced by their SSRC.
const MAX_SSRCS: usize = 4;

/// An offer that was read: small, checked, and free of what we do not use. Reading is the part whose cost is
/// up to its sender, and needs no peer: it is done on the caller's thread.
#[derive(Debug, Clone)]
pub struct Offer {
    pub(super) ice_lite: bool,
    pub(super) mixed_extensions: bool,
    pub(super) sections: Vec<Section>,
    /// BUNDLE groups, as indices of sections.
    pub(super) groups: Vec<Vec<usize>>,
    /// What its answer will be checked against.
    pub(super) expected: Expected,
}

/// What is in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Audio,
    Video,
    Data,
    /// Something we have no use for, or that comes over a transport we do not have.
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) kind: Kind,
    /// Words of the `m=` line as they came: what, over which protocol, and in which formats.
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) formats_as_offered: Vec<String>,
    /// Port 0, and no other section whose port is used instead (RFC 3264 §6, RFC 9143 §6).
    pub(super) disabled: bool,
    pub(super) mid: Option<String>,
    pub(super) direction: Direction,
    pub(super) formats: Vec<Format>,
    pub(super) rtcp_mux: bool,
    pub(super) extensions: [Option<u8>; EXTENSIONS.len()],
    /// Of what the other side sends.
    pub(super) ssrcs: Vec<u32>,
    pub(super) transport: Transport,
    /// What its data channels take, in bytes.
    pub(super) max_message: Option<u64>,
}

/// How a section is reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Transport {
    pub(super) ufrag: String,
    pub(super) password: String,
    /// `hash-func FINGERPRINT`; the best there is.
    pub(super) fingerprint: Option<String>,
    /// Its attributes.
    pub(super) setup: Option<Setup>,
    /// `candidate:…`, each in the one form that has no room for surprises.
    pub(super) candidates: Vec<String>,
}

/// Who begins the DTLS handshake (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Setup {
    #[default]
    ActPass,
    Active,
    Passive,
}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    ///
    /// What is no session description or is beyond the limits ([`MAX_BYTES`](super::MAX_BYTES),
    /// [`MAX_SECTIONS`](super::MAX_SECTIONS)). What we merely have no use for is no error.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let description = Description::read(text)?;
        let session = &*description.session;
        let mut sections = Vec::with_capacity(description.sections.len());
        for raw in &description.sections {
            sections.push(Section::read(raw, session)?);
        }
        let groups = groups(session, &sections);
        for (index, section) in sections.iter_mut().enumerate() {
            section.disabled &= !groups.iter().any(|group| group.contains(&index));
        }
        for (n, section) in sections.iter().enumerate() {
            let same = |other: &Section| other.mid == section.mid;
            if section.mid.is_some() && sections[n + 1..].iter().any(same) {
                return Err(SdpError::SameMid);
            }
        }
        let mixed_in_a_section = || {
            description
                .sections
                .iter()
                .any(|raw| attribute(&raw.lines, "extmap-allow-mixed").is_some())
        };
        Ok(Self {
            ice_lite: attribute(session, "ice-lite").is_some(),
            mixed_extensions: attribute(session, "extmap-allow-mixed").is_some()
                || mixed_in_a_section(),
            sections,
            groups,
            expected: Expected::of(&description),
        })
    }

    /// Its data channels' `a=max-message-size`.
    pub(super) fn max_message(&self) -> Option<u64> {
        self.data()?.max_message
    }

    /// How large a message its data channels take, in bytes. `None` where it has none, and `most` where it sets
    /// no limit or says nothing (RFC 8841 §6.1: 64 KiB are taken by everybody).
    pub(crate) fn max_message_bytes(&self, most: usize) -> Option<usize> {
        Some(match self.data()?.max_message {
            None | Some(0) => most,
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        })
    }

    fn data(&self) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == Kind::Data && !section.disabled)
    }

    /// Whether it has media that we might have sent.
    pub(super) fn wants_media(&self) -> bool {
        let media = |section: &Section| matches!(section.kind, Kind::Audio | Kind::Video);
        self.sections
            .iter()
            .any(|section| media(section) && !section.disabled && section.direction.receives)
    }
}

/// BUNDLE groups (RFC 9143 §7), without mids that no section has.
fn groups(session: &[Line<'_>], sections: &[Section]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for value in attributes(session, "group") {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("BUNDLE") {
            continue;
        }
        let mut group = Vec::new();
        for mid in words {
            let of = sections.iter().position(|section| section.mid.as_deref() == Some(mid));
            // A section belongs to one group (RFC 9143 §7.2).
            let new = of
                .filter(|of| !group.contains(of) && !groups.iter().any(|other| other.contains(of)));
            group.extend(new);
        }
        groups.push(group);
    }
    groups
}

impl Section {
    fn read(raw: &RawSection<'_>, session: &[Line<'_>]) -> Result<Self, SdpError> {
        let mut words = raw.media.split_ascii_whitespace();
        let (Some(media), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(SdpError::MediaLine);
        };
        // A number of ports may follow the port (RFC 8866 §5.14).
        let port = port.split('/').next().unwrap_or_default();
        let port: u32 = port.parse().map_err(|_| SdpError::MediaLine)?;
        let formats_as_offered: Vec<_> = words.map(str::to_owned).collect();
        if formats_as_offered.len() > MAX_FORMATS {
            return Err(SdpError::TooManyFormats);
        }
        let lines = &*raw.lines;
        let mid = attribute(lines, "mid");
        if mid.is_some_and(|mid| mid.is_empty() || mid.contains([' ', '\t'])) {
            return Err(SdpError::Mid);
        }
        // An attribute of the session is one of each section that does not say otherwise.
        let value = |name: &str| attribute(lines, name).or_else(|| attribute(session, name));
        let direction = |lines: &[Line<'_>]| {
            lines.iter().filter_map(Line::attribute).find_map(|(name, _)| Direction::parse(name))
        };
        let kind = kind(media, protocol, &formats_as_offered);
        let formats = match kind {
            Kind::Audio | Kind::Video => {
                let mut formats =
                    formats::read(formats_as_offered.iter().map(String::as_str), lines);
                formats.retain(|format| (kind == Kind::Video) == format.codec.video().is_some());
                formats
            }
            Kind::Data | Kind::Other => Vec::new(),
        };
        Ok(Self {
            kind,
            media: media.to_owned(),
            protocol: protocol.to_owned(),
            formats_as_offered,
            // Sections in a group with port 0 use the port of another one; see `Offer::parse`.
            disabled: port == 0,
            mid: mid.map(str::to_owned),
            direction: direction(lines)
                .or_else(|| direction(session))
                .unwrap_or(Direction::DEFAULT),
            formats,
            rtcp_mux: value("rtcp-mux").is_some() || value("rtcp-mux-only").is_some(),
            extensions: extensions(session, lines),
            ssrcs: ssrcs(lines),
            transport: Transport::read(session, lines),
            max_message: attribute(lines, "max-message-size").and_then(|size| size.parse().ok()),
        })
    }
}

/// What a section is, by what it is called and the protocol it comes over (RFC 9429 §5.1.2, RFC 8841 §4).
fn kind(media: &str, protocol: &str, formats: &[String]) -> Kind {
    let rtp = matches!(
        protocol,
        "UDP/TLS/RTP/SAVPF"
            | "UDP/TLS/RTP/SAVP"
            | "TCP/DTLS/RTP/SAVPF"
            | "TCP/DTLS/RTP/SAVP"
            | "TCP/TLS/RTP/SAVPF"
            | "TCP/TLS/RTP/SAVP"
            | "RTP/SAVPF"
            | "RTP/SAVP"
            | "RTP/AVPF"
            | "RTP/AVP"
    );
    let sctp = matches!(protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP");
    // Before RFC 8841 the format was SCTP's port.
    let channel = || {
        formats
            .first()
            .is_some_and(|format| format == "webrtc-datachannel" || protocol == "DTLS/SCTP")
    };
    match media {
        "audio" if rtp => Kind::Audio,
        "video" if rtp => Kind::Video,
        "application" if sctp && channel() => Kind::Data,
        _ => Kind::Other,
    }
}

/// The ids of the header extensions that we know; only those that fit into one-byte headers (RFC 8285 §4.2),
/// and only the first claim on an id.
fn extensions(session: &[Line<'_>], lines: &[Line<'_>]) -> [Option<u8>; EXTENSIONS.len()] {
    let mut ids = [None; EXTENSIONS.len()];
    let mut claimed = [false; 15];
    for value in attributes(lines, "extmap").chain(attributes(session, "extmap")) {
        let mut words = value.split_ascii_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else { continue };
        // An id may be followed by a direction (RFC 8285 §5): what they do not read is not sent.
        let (id, direction) = id.split_once('/').unwrap_or((id, "sendrecv"));
        let Some(id) = id.parse::<u8>().ok().filter(|id| (1..=14).contains(id)) else { continue };
        if std::mem::replace(&mut claimed[usize::from(id)], true) {
            continue;
        }
        let known = EXTENSIONS.iter().position(|known| *known == uri);
        let both_ways = Direction::parse(direction) == Some(Direction::DEFAULT);
        if let Some(place) = known.filter(|&place| both_ways && ids[place].is_none()) {
            ids[place] = Some(id);
        }
    }
    ids
}

/// SSRCs of what the other side sends, without those of repairs.
fn ssrcs(lines: &[Line<'_>]) -> Vec<u32> {
    let number =
        |text: &str| text.split_ascii_whitespace().next().and_then(|text| text.parse::<u32>().ok());
    let repairs: Vec<u32> = attributes(lines, "ssrc-group")
        .filter_map(|group| group.strip_prefix("FID "))
        .filter_map(|group| group.split_ascii_whitespace().nth(1).and_then(number))
        .collect();
    let mut ssrcs = Vec::new();
    for ssrc in attributes(lines, "ssrc").filter_map(number) {
        if ssrc != 0
            && ssrcs.len() < MAX_SSRCS
            && !ssrcs.contains(&ssrc)
            && !repairs.contains(&ssrc)
        {
            ssrcs.push(ssrc);
        }
    }
    ssrcs
}

impl Transport {
    fn read(session: &[Line<'_>], lines: &[Line<'_>]) -> Self {
        let value = |name: &str| attribute(lines, name).or_else(|| attribute(session, name));
        let setup = value("setup").map(|setup| match setup {
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            _ => Setup::ActPass,
        });
        let own = fingerprint(lines);
        Self {
            ufrag: value("ice-ufrag").unwrap_or_default().to_owned(),
            password: value("ice-pwd").unwrap_or_default().to_owned(),
            fingerprint: own.or_else(|| fingerprint(session)),
            setup,
            candidates: attributes(lines, "candidate")
                .chain(attributes(session, "candidate"))
                .filter_map(candidate)
                .take(MAX_CANDIDATES)
                .collect(),
        }
    }

    /// Whether ICE can be done with it (RFC 8839 §5.4): 4 to 256 characters, and 22 to 256.
    pub(super) fn has_credentials(&self) -> bool {
        let is = |text: &str, least: usize| {
            (least..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        is(&self.ufrag, 4) && is(&self.password, 22)
    }
}

/// The best fingerprint of a certificate among these lines.
fn fingerprint(lines: &[Line<'_>]) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    for value in attributes(lines, "fingerprint") {
        let Some((name, digest)) = value.split_once([' ', '\t']) else { continue };
        let place = HASHES.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some(place) = place else { continue };
        let bytes: Option<Vec<u8>> = digest.trim().split(':').map(hex_byte).collect();
        if bytes.is_some_and(|bytes| bytes.len() == HASHES[place].1)
            && best.as_ref().is_none_or(|(other, _)| place < *other)
        {
            best = Some((
                place,
                format!("{} {}", HASHES[place].0, digest.trim().to_ascii_uppercase()),
            ));
        }
    }
    best.map(|(_, fingerprint)| fingerprint)
}

fn hex_byte(text: &str) -> Option<u8> {
    let hex = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// A candidate that can be used, in a form of its own (RFC 8839 §5.1): UDP, for RTP, with an address. Others
/// are no error: an mDNS name is for the viewer's own network, and there is no TCP here.
fn candidate(value: &str) -> Option<String> {
    let mut words = value.split_ascii_whitespace();
    let (foundation, component) = (words.next()?, words.next()?);
    let (transport, priority) = (words.next()?, words.next()?.parse::<u32>().ok()?);
    let (address, port) =
        (words.next()?.parse::<IpAddr>().ok()?, words.next()?.parse::<u16>().ok()?);
    let kind = (words.next()? == "typ").then(|| words.next()).flatten()?;
    let usable = component == "1"
        && transport.eq_ignore_ascii_case("udp")
        && port != 0
        && matches!(kind, "host" | "srflx" | "prflx" | "relay")
        && foundation.len() <= 32
        && foundation.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
    usable.then(|| format!("candidate:{foundation} 1 udp {priority} {address} {port} typ {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_can_be_used() {
        for (given, expected) in [
            (
                "1 1 UDP 2122260223 192.0.2.7 52000 typ host generation 0 ufrag abcd",
                Some("candidate:1 1 udp 2122260223 192.0.2.7 52000 typ host"),
            ),
            (
                "a/+ 1 udp 1 2001:DB8::7 5 typ srflx raddr 10.0.0.1 rport 9",
                Some("candidate:a/+ 1 udp 1 2001:db8::7 5 typ srflx"),
            ),
            ("1 2 udp 1 192.0.2.7 52000 typ host", None),
            ("1 1 tcp 1 192.0.2.7 9 typ host tcptype active", None),
            ("1 1 udp 1 0d7b4a4e.local 52000 typ host", None),
            ("1 1 udp 1 fe80::1%eth0 52000 typ host", None),
            ("1 1 udp x 192.0.2.7 52000 typ host", None),
            ("", None),
        ] {
            assert_eq!(candidate(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn the_best_fingerprint_that_can_be_checked_is_taken() {
        let of = |values: &[&str]| {
            let lines: Vec<_> = values.iter().map(|value| Line { kind: b'a', value }).collect();
            fingerprint(&lines)
        };
        let digest = |bytes: usize| vec!["ab"; bytes].join(":");
        let sha1 = format!("fingerprint:sha-1 {}", digest(20));
        let sha256 = format!("fingerprint:SHA-256 {}", digest(32));
        let expected = format!("sha-256 {}", digest(32).to_uppercase());
        assert_eq!(of(&[&sha1, &sha256]), Some(expected));
        assert!(of(&[&sha1]).is_some_and(|best| best.starts_with("sha-1 ")));
        let sha512 = format!("fingerprint:sha-512 {}", digest(64));
        assert!(of(&[&sha512, &sha1]).is_some_and(|best| best.starts_with("sha-1 ")));
        assert_eq!(of(&[&sha512]), None, "the stack cannot check it");
        assert!(of(&[&sha256.replace(' ', "\t")]).is_some());
        let wrong = [
            "fingerprint:md5 aa",
            "fingerprint:sha-256 ab:cd",
            "fingerprint:sha-256",
            "fingerprint:sha-1 zz",
        ];
        assert_eq!(of(&wrong), None);
    }

    #[test]
    fn an_extension_id_counts_once_and_only_within_one_byte() {
        let lines: Vec<_> = [
            "extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
            "extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            "extmap:15 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            "extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        ]
        .into_iter()
        .map(|value| Line { kind: b'a', value })
        .collect();
        assert_eq!(extensions(&[], &lines), [None, Some(4), None, None, None]);
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        for offer in ["", "hello", "v=0\r\n", "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"] {
            assert!(Offer::parse(offer).is_err(), "{offer:?}");
        }
    }
}
