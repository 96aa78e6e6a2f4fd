//! The answer, written section by section against the offer.

use std::fmt::Write as _;

use super::formats::Format;
use super::lines::{Description, Line, attribute, attributes};
use super::offer::{Section, Setup};
use super::plan::{Plan, Taken, TakenKind};

/// The media stream all tracks of a peer belong to, and their CNAME: a browser plays tracks of different streams
/// without keeping them in sync (RFC 8830 §2, RFC 3550 §6.5.1).
const STREAM_ID: &str = "visavis";

/// SCTP's port over DTLS: any number will do (RFC 8841 §5).
const SCTP_PORT: u16 = 5_000;

/// What our side of the connection is, as the stack's own answer has it.
#[derive(Debug)]
pub(crate) struct Ours {
    session: String,
    ufrag: String,
    password: String,
    fingerprint: String,
    setup: String,
    candidates: Vec<String>,
    /// How large a message we take, in bytes.
    max_message: usize,
    /// Its sections' names, and the SSRCs of what is sent in them: media, and retransmissions.
    streams: Vec<(String, Vec<u32>)>,
}

impl Ours {
    /// Reads the stack's answer. `None` where it lacks something. `max_message` is how large a message we take,
    /// in bytes.
    pub(crate) fn read(text: &str, max_message: usize) -> Option<Self> {
        let description = Description::split(text);
        let first = description.sections.iter().map(|section| &*section.lines);
        let value = |name: &str| {
            let mut sections = first.clone();
            let own = sections.find_map(|lines: &[Line<'_>]| attribute(lines, name));
            own.or_else(|| attribute(&description.session, name)).map(str::to_owned)
        };
        let origin = description.session.iter().find(|line| line.kind == b'o')?;
        let sections = description.sections.iter();
        Some(Self {
            session: origin.value.split(' ').nth(1)?.to_owned(),
            ufrag: value("ice-ufrag")?,
            password: value("ice-pwd")?,
            fingerprint: value("fingerprint")?,
            setup: value("setup")?,
            max_message,
            candidates: sections
                .clone()
                .flat_map(|section| {
                    attributes(&section.lines, "candidate").map(str::to_owned).collect::<Vec<_>>()
                })
                .collect(),
            streams: sections
                .filter_map(|section| {
                    Some((attribute(&section.lines, "mid")?.to_owned(), ssrcs(&section.lines)))
                })
                .collect(),
        })
    }
}

impl Ours {
    /// Whether we begin the DTLS handshake.
    pub(crate) fn role(&self) -> Setup {
        if self.setup == "active" { Setup::Active } else { Setup::Passive }
    }
}

/// The SSRCs of a section, in the order they are named.
fn ssrcs(lines: &[Line<'_>]) -> Vec<u32> {
    let mut ssrcs = Vec::new();
    for value in attributes(lines, "ssrc") {
        let ssrc = value.split(' ').next().and_then(|ssrc| ssrc.parse().ok());
        ssrcs.extend(ssrc.filter(|ssrc| !ssrcs.contains(ssrc)));
    }
    ssrcs
}

impl Plan<'_> {
    /// The answer to the offer.
    pub(crate) fn answer(&self, ours: &Ours) -> String {
        let mut out = String::with_capacity(4 << 10);
        let _ = write!(
            out,
            "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
            ours.session,
            self.version()
        );
        // In the order of the offer; the first of them is the one whose addresses count (RFC 9143 §7.3).
        let order = self.bundle.iter().flatten();
        let bundled: Vec<_> = order.copied().filter(|&index| self.taken[index].is_some()).collect();
        if !bundled.is_empty() {
            out.push_str("a=group:BUNDLE");
            for mid in bundled.iter().filter_map(|&index| self.offer.sections[index].mid.as_deref())
            {
                let _ = write!(out, " {mid}");
            }
            out.push_str("\r\n");
        }
        if self.offer.mixed_extensions {
            out.push_str("a=extmap-allow-mixed\r\n");
        }
        let _ = write!(out, "a=msid-semantic: WMS {STREAM_ID}\r\n");
        let first = bundled.first().copied();
        let first = first.or_else(|| self.taken.iter().position(Option::is_some));
        for (index, (section, taken)) in self.offer.sections.iter().zip(&self.taken).enumerate() {
            match taken {
                Some(taken) => {
                    write_taken(section, taken, ours, first == Some(index), &mut out);
                }
                None => write_rejected(section, &mut out),
            }
        }
        out
    }

    /// Checks an answer by the rules of its reader.
    pub(crate) fn check(&self, answer: &str) -> Result<(), String> {
        self.offer.expected.check(answer)
    }
}

/// A section that is not taken has port 0, and otherwise looks as it was offered (RFC 3264 §6).
fn write_rejected(section: &Section, out: &mut String) {
    let _ = write!(out, "m={} 0 {}", section.media, section.protocol);
    for format in &section.formats_as_offered {
        let _ = write!(out, " {format}");
    }
    if section.formats_as_offered.is_empty() {
        out.push_str(" 0");
    }
    out.push_str("\r\nc=IN IP4 0.0.0.0\r\n");
    if let Some(mid) = &section.mid {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
    out.push_str("a=inactive\r\n");
}

fn write_taken(section: &Section, taken: &Taken, ours: &Ours, first: bool, out: &mut String) {
    let _ = write!(out, "m={} 9 {}", section.media, section.protocol);
    let old_data = section.protocol == "DTLS/SCTP";
    match taken.kind {
        TakenKind::Data if old_data => {
            let _ = write!(out, " {SCTP_PORT}");
        }
        TakenKind::Data => out.push_str(" webrtc-datachannel"),
        TakenKind::Audio | TakenKind::Video => {
            for number in in_our_order(taken).flat_map(|format| format.numbers()) {
                let _ = write!(out, " {number}");
            }
        }
    }
    out.push_str("\r\nc=IN IP4 0.0.0.0\r\n");
    for candidate in ours.candidates.iter().filter(|_| first) {
        let _ = write!(out, "a=candidate:{candidate}\r\n");
    }
    let Ours { ufrag, password, fingerprint, setup, .. } = ours;
    let _ = write!(
        out,
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=ice-options:trickle\r\n\
         a=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n"
    );
    if let Some(mid) = &section.mid {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
    if taken.kind == TakenKind::Data {
        let _ = match old_data {
            true => write!(out, "a=sctpmap:{SCTP_PORT} webrtc-datachannel 1024\r\n"),
            false => write!(out, "a=sctp-port:{SCTP_PORT}\r\n"),
        };
        let _ = write!(out, "a=max-message-size:{}\r\n", ours.max_message);
        return;
    }
    for (id, uri) in taken.extensions() {
        let _ = write!(out, "a=extmap:{id} {uri}\r\n");
    }
    let _ = write!(out, "a={}\r\n", taken.direction.name());
    let track = format!("{}-{}", section.media, taken.name);
    if taken.direction.sends {
        let _ = write!(out, "a=msid:{STREAM_ID} {track}\r\n");
    }
    out.push_str("a=rtcp-mux\r\n");
    for format in in_our_order(taken) {
        format.write(out);
    }
    if taken.direction.sends {
        let own = ours.streams.iter().find(|(name, _)| *name == taken.name);
        let with_rtx = taken.formats.iter().any(|format| format.rtx.is_some());
        let ssrcs = own.map_or(&[][..], |(_, ssrcs)| ssrcs);
        let ssrcs = &ssrcs[..ssrcs.len().min(if with_rtx { 2 } else { 1 })];
        for ssrc in ssrcs {
            let _ = write!(
                out,
                "a=ssrc:{ssrc} cname:{STREAM_ID}\r\na=ssrc:{ssrc} msid:{STREAM_ID} {track}\r\n"
            );
        }
        if let [media, resent] = ssrcs {
            let _ = write!(out, "a=ssrc-group:FID {media} {resent}\r\n");
        }
    }
}

/// Formats as an answer lists them. What the viewer is sent is chosen elsewhere; its microphone comes in the
/// first of these, and Opus is best for that.
fn in_our_order(taken: &Taken) -> impl Iterator<Item = &Format> {
    let mut formats: Vec<_> = taken.formats.iter().collect();
    formats.sort_by_key(|format| format.codec);
    formats.into_iter()
}
