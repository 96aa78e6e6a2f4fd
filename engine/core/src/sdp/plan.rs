//! What we take of an offer, and what the stack behind this is given of it.
//!
//! The stack has one transport, one numbering of payload types for all sections, mids of 16 letters, digits and
//! underscores, and trusts what it is given. It is given sections of our own: each section that we take has a
//! *slot* there, under a name of its own, for as long as it is taken; what we do not take it never sees. Which
//! way media flows, and under which numbers pictures are sent, is none of its business: pictures are sent by
//! ourselves. Only sound is received through it, and comes under the numbers that were offered.

use std::fmt::Write as _;

use visavis_types::CodecSet;

use super::direction::Direction;
use super::error::{NegotiateError, SdpError};
use super::extensions::EXTENSIONS;
use super::formats::{Codec, Format, write_inner};
use super::offer::{Kind, Offer, Section, Setup};

/// Sections that share a transport, and whether they do so as a BUNDLE group.
type Unit = (Vec<usize>, bool);

/// Streams that the stack is given by their SSRC, in all offers of a peer: it forgets none of them. Others are
/// known by the mid they carry.
const MAX_ANNOUNCED: usize = 64;

/// A longer name would be cut: mids in header extensions have 16 bytes at most (RFC 8285 §4.2).
const MAX_NAME_BYTES: usize = 16;

/// What a session can send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supported {
    pub(crate) video: CodecSet,
    /// Whether viewers are to send their sound with copies (RFC 2198); what they are sent may have them in any case.
    pub(crate) red_first: bool,
    /// Whether the viewer's sound is taken.
    pub(crate) microphone: bool,
}

/// What all offers of a peer so far have come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sections {
    slots: Vec<Slot>,
    numbers: SoundNumbers,
    extensions: [Option<u8>; EXTENSIONS.len()],
    announced: Vec<u32>,
    remote: Option<Remote>,
    /// Who we were when DTLS began: it does not begin anew.
    role: Option<Setup>,
    /// How many answers there were: the version of the next.
    pub(super) answers: u32,
}

/// A section of the stack's.
#[derive(Debug, Clone)]
struct Slot {
    name: String,
    kind: Kind,
    /// The section of the offer that has it, by its place and its mid. `None`: it may be given to another.
    holder: Option<(usize, Option<String>)>,
}

/// The other side's transport.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remote {
    ufrag: String,
    password: String,
    fingerprint: String,
}

/// The numbers of sound, which are the same inside the stack as on the wire.
#[derive(Debug, Clone, Copy, Default)]
struct SoundNumbers {
    opus: Option<u8>,
    red: Option<u8>,
    pcmu: Option<u8>,
    pcma: Option<u8>,
}

/// What becomes of an offer.
#[derive(Debug)]
pub(crate) struct Plan<'o> {
    pub(super) offer: &'o Offer,
    /// What the stack is given.
    pub(crate) text: String,
    /// For each section of the offer what we take of it.
    pub(super) taken: Vec<Option<Taken>>,
    /// The sections that share our transport, as the offer's BUNDLE group has them; `None` without a group.
    pub(super) bundle: Option<Vec<usize>>,
    next: Sections,
}

/// A section that we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What the stack calls it.
    pub(crate) name: String,
    /// What the offer calls it.
    pub(crate) mid: Option<String>,
    pub(crate) kind: TakenKind,
    /// Which way media flows, seen from us.
    pub(crate) direction: Direction,
    /// In the order of the offer.
    pub(crate) formats: Vec<Format>,
    pub(super) extensions: [Option<u8>; EXTENSIONS.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakenKind {
    Audio,
    Video,
    Data,
}

impl Taken {
    /// The header extensions of it: id and URI.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = (u8, &'static str)> {
        let video = self.kind == TakenKind::Video;
        // A level belongs to sound; those from the third on are about pictures.
        let ours = move |place: usize| place == 1 || (place != 0) == video;
        let ids = self.extensions.into_iter().zip(EXTENSIONS).enumerate();
        ids.filter(move |(place, _)| ours(*place)).filter_map(|(_, (id, uri))| Some((id?, uri)))
    }
}

impl Sections {
    /// What to do with an offer. Nothing is decided before [`Plan::commit`].
    pub(crate) fn plan<'o>(
        &self,
        offer: &'o Offer,
        supported: Supported,
    ) -> Result<Plan<'o>, NegotiateError> {
        let (chosen, is_group) = self.choose(offer, supported);
        let mut next = self.clone();
        next.release(offer, &chosen);
        let free: Vec<_> =
            (0..self.slots.len()).filter(|&n| self.slots[n].holder.is_none()).collect();
        let mut free = free.into_iter();
        let mut taken = Vec::with_capacity(offer.sections.len());
        for (index, section) in offer.sections.iter().enumerate() {
            let wanted = chosen.contains(&index);
            taken.push(wanted.then(|| next.take(index, section, supported, &mut free)).flatten());
        }
        // Data channels beside media that cannot be had are not what the offer is for.
        let media = |taken: &Taken| taken.kind != TakenKind::Data;
        let has_media = taken.iter().flatten().any(media);
        if self.slots.is_empty()
            && (taken.iter().all(Option::is_none) || !has_media && offer.wants_media())
        {
            return Err(NegotiateError::NoCommonCodec);
        }
        let chosen: Vec<_> = chosen.into_iter().filter(|&index| taken[index].is_some()).collect();
        let transport = next.transport(offer, &chosen)?;
        let text = next.text(offer, &taken, transport);
        next.answers += 1;
        let bundle = is_group.then_some(chosen);
        Ok(Plan { offer, text, taken, bundle, next })
    }

    /// The sections that share one transport and matter most: those of the connection there is; else those with
    /// the picture. We have one transport, so that others are for other times.
    fn choose(&self, offer: &Offer, supported: Supported) -> (Vec<usize>, bool) {
        let usable = |index: usize, bundled: bool| {
            let section = &offer.sections[index];
            !section.disabled
                && match section.kind {
                    Kind::Other => false,
                    Kind::Data => true,
                    // RTCP has no port of its own here (RFC 8834 §4.5); in a group that goes without saying
                    // (RFC 9143 §9.3).
                    Kind::Audio | Kind::Video => {
                        (bundled || section.rtcp_mux)
                            && section.formats.iter().any(|format| supported.has(format))
                    }
                }
        };
        let groups = offer.groups.iter().map(|group| {
            (group.iter().copied().filter(|&index| usable(index, true)).collect::<Vec<_>>(), true)
        });
        let alone = (0..offer.sections.len())
            .filter(|index| !offer.groups.iter().any(|group| group.contains(index)))
            .filter(|&index| usable(index, false))
            .map(|index| (vec![index], false));
        // What it is worth, the most important first, and its sections.
        let mut best: Option<([bool; 4], Unit)> = None;
        for unit in groups.chain(alone).filter(|(unit, _)| !unit.is_empty()) {
            let has = |kind: Kind| unit.0.iter().any(|&index| offer.sections[index].kind == kind);
            let continues =
                unit.0.iter().any(|&index| self.slot_of(index, &offer.sections[index]).is_some());
            let worth = [continues, has(Kind::Video), has(Kind::Audio), has(Kind::Data)];
            if best.as_ref().is_none_or(|(other, _)| worth > *other) {
                best = Some((worth, unit));
            }
        }
        best.map(|(_, unit)| unit).unwrap_or_default()
    }

    fn slot_of(&self, index: usize, section: &Section) -> Option<usize> {
        self.slots.iter().position(|slot| {
            slot.kind == section.kind
                && slot.holder.as_ref().is_some_and(|(at, mid)| *at == index && *mid == section.mid)
        })
    }

    /// Takes slots from sections that are not taken any more. The data channels' stays: the stack keeps one for
    /// as long as there is a connection.
    fn release(&mut self, offer: &Offer, chosen: &[usize]) {
        for slot in &mut self.slots {
            let stays = slot.holder.as_ref().is_some_and(|(at, mid)| {
                chosen.contains(at)
                    && offer
                        .sections
                        .get(*at)
                        .is_some_and(|section| section.kind == slot.kind && section.mid == *mid)
            });
            if !stays && slot.kind != Kind::Data {
                slot.holder = None;
            }
        }
    }

    fn take(
        &mut self,
        index: usize,
        section: &Section,
        supported: Supported,
        free: &mut impl Iterator<Item = usize>,
    ) -> Option<Taken> {
        let offered = section.direction;
        let (kind, direction, formats) = match section.kind {
            Kind::Audio => {
                let (formats, receivable) =
                    self.numbers.take(&section.formats, supported.red_first);
                let direction = Direction {
                    sends: offered.receives,
                    receives: offered.sends && receivable && supported.microphone,
                };
                (TakenKind::Audio, direction, formats)
            }
            Kind::Video => {
                let formats = section.formats.iter().filter(|format| supported.has(format));
                // Nobody here looks at pictures.
                let direction = Direction { sends: offered.receives, receives: false };
                (TakenKind::Video, direction, formats.cloned().collect())
            }
            Kind::Data => (TakenKind::Data, Direction::DEFAULT, Vec::new()),
            Kind::Other => return None,
        };
        let slot = match self.slot_of(index, section) {
            Some(slot) => slot,
            // The stack has one place for data channels, for good.
            None if kind == TakenKind::Data
                && self.slots.iter().any(|slot| slot.kind == Kind::Data) =>
            {
                return None;
            }
            None => self.new_slot(index, section, kind, free),
        };
        if kind != TakenKind::Data && formats.is_empty() {
            self.slots[slot].holder = None;
            return None;
        }
        for (place, id) in section.extensions.iter().enumerate() {
            if id.is_some() && self.extensions[place].is_none() && !self.extensions.contains(id) {
                self.extensions[place] = *id;
            }
        }
        Some(Taken {
            name: self.slots[slot].name.clone(),
            mid: section.mid.clone(),
            kind,
            direction,
            formats,
            extensions: section.extensions,
        })
    }

    /// A slot of the stack's for a section that had none: one that is known to be free, or a new one.
    fn new_slot(
        &mut self,
        index: usize,
        section: &Section,
        kind: TakenKind,
        free: &mut impl Iterator<Item = usize>,
    ) -> usize {
        let slot = Slot {
            name: self.new_name(section.mid.as_deref().unwrap_or_default()),
            kind: section.kind,
            holder: Some((index, section.mid.clone())),
        };
        // Only media takes the place of other media.
        match (kind != TakenKind::Data).then(|| free.next()).flatten() {
            Some(place) => {
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        }
    }

    /// A name that the stack does not use yet: the mid, if it can be one, so that packets that carry it are recognised.
    fn new_name(&self, mid: &str) -> String {
        let plain = mid.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let fits = |name: &String| {
            (1..=MAX_NAME_BYTES).contains(&name.len())
                && self.slots.iter().all(|slot| slot.name != *name)
        };
        let others = (0_u32..).map(|n| format!("section{n}"));
        std::iter::once(plain).chain(others).find(fits).unwrap_or_default()
    }

    /// Notes how the other side is reached, and returns its other attributes.
    fn transport<'o>(
        &mut self,
        offer: &'o Offer,
        chosen: &[usize],
    ) -> Result<(Setup, &'o [String]), NegotiateError> {
        // The first section of a group has the transport of the others, which may leave it out, also where it is
        // rejected (RFC 9143 §7.1.3, §7.3).
        let group =
            offer.groups.iter().find(|group| chosen.first().is_some_and(|n| group.contains(n)));
        let all = group.map_or(chosen, Vec::as_slice).iter().map(|&index| &offer.sections[index]);
        let living = all.filter(|section| !section.disabled);
        let transports = || living.clone().map(|section| &section.transport);
        let Some(with_ice) = transports().find(|transport| transport.has_credentials()) else {
            // Everything is disabled: the connection stays what it is.
            return match chosen.is_empty() && self.remote.is_some() {
                true => Ok((Setup::ActPass, &[])),
                false => Err(NegotiateError::Sdp(SdpError::NoIce)),
            };
        };
        let fingerprint = with_ice.fingerprint.as_ref();
        let fingerprint = fingerprint
            .or_else(|| transports().find_map(|transport| transport.fingerprint.as_ref()));
        let Some(fingerprint) = fingerprint else {
            return Err(NegotiateError::Sdp(SdpError::NoFingerprint));
        };
        if self.remote.as_ref().is_some_and(|remote| remote.fingerprint != *fingerprint) {
            return Err(NegotiateError::OtherConnection);
        }
        // RFC 4145 §4.1: who says nothing is active.
        let setup = transports().find_map(|transport| transport.setup).unwrap_or(Setup::Active);
        if self.role.is_some_and(|ours| ours == setup) {
            return Err(NegotiateError::Sdp(SdpError::Setup));
        }
        self.remote = Some(Remote {
            ufrag: with_ice.ufrag.clone(),
            password: with_ice.password.clone(),
            fingerprint: fingerprint.clone(),
        });
        Ok((setup, &with_ice.candidates))
    }

    /// What the stack is given: all slots there ever were, in their order.
    fn text(
        &mut self,
        offer: &Offer,
        taken: &[Option<Taken>],
        (setup, candidates): (Setup, &[String]),
    ) -> String {
        let mut out = String::with_capacity(2 << 10);
        out.push_str("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
        for slot in self.slots.iter().filter(|slot| slot.holder.is_some()) {
            let _ = write!(out, " {}", slot.name);
        }
        out.push_str("\r\n");
        if offer.ice_lite {
            out.push_str("a=ice-lite\r\n");
        }
        if let Some(Remote { ufrag, password, fingerprint }) = &self.remote {
            let _ = write!(
                out,
                "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:{fingerprint}\r\n"
            );
        }
        let setup = match setup {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        let _ = write!(out, "a=setup:{setup}\r\n");
        for candidate in candidates {
            let _ = write!(out, "a={candidate}\r\n");
        }
        for slot in 0..self.slots.len() {
            let Slot { name, kind, holder } = self.slots[slot].clone();
            let held = holder.and_then(|(index, _)| Some((index, taken.get(index)?.as_ref()?)));
            match (kind, held) {
                (Kind::Data, _) => {
                    let _ = write!(
                        out,
                        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
                         a=mid:{name}\r\na=sctp-port:5000\r\n"
                    );
                    if let Some(max) = offer.max_message() {
                        let _ = write!(out, "a=max-message-size:{max}\r\n");
                    }
                }
                (_, Some((index, taken))) => {
                    self.write_media(&name, &offer.sections[index], taken, &mut out);
                }
                (kind, None) => {
                    let media = if kind == Kind::Video { "video" } else { "audio" };
                    let _ = write!(
                        out,
                        "m={media} 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:{name}\r\na=inactive\r\n"
                    );
                }
            }
        }
        out
    }

    fn write_media(&mut self, name: &str, section: &Section, taken: &Taken, out: &mut String) {
        let video = taken.kind == TakenKind::Video;
        let (media, direction) = if video { ("video", "recvonly") } else { ("audio", "sendrecv") };
        let mut formats = String::new();
        let _ = write!(out, "m={media} 9 UDP/TLS/RTP/SAVPF");
        for format in &taken.formats {
            let (number, rtx, red) = match format.codec.inner_numbers() {
                Some((number, rtx)) => (number, Some(rtx), None),
                None => {
                    let number = self.numbers.get(format.codec).unwrap_or(format.number);
                    (number, None, self.numbers.red.filter(|_| format.codec == Codec::Opus))
                }
            };
            for number in [red, Some(number), rtx].into_iter().flatten() {
                let _ = write!(out, " {number}");
            }
            write_inner(format.codec, number, (rtx, red), &mut formats);
        }
        let _ = write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=mid:{name}\r\na={direction}\r\na=rtcp-mux\r\n{formats}"
        );
        for (place, id) in section.extensions.iter().enumerate() {
            if let Some(id) = id.filter(|id| self.extensions[place] == Some(*id)) {
                let _ = write!(out, "a=extmap:{id} {}\r\n", EXTENSIONS[place]);
            }
        }
        if !taken.direction.receives {
            return;
        }
        for ssrc in &section.ssrcs {
            let known = self.announced.contains(ssrc);
            if known || self.announced.len() < MAX_ANNOUNCED {
                if !known {
                    self.announced.push(*ssrc);
                }
                let _ = write!(out, "a=ssrc:{ssrc} cname:viewer\r\n");
            }
        }
    }
}

impl Plan<'_> {
    /// What the peer's sections are from now on, once the stack has accepted them. `role` is ours in DTLS.
    pub(crate) fn commit(self, role: Setup) -> (Sections, Vec<Taken>) {
        let next = Sections { role: Some(role), ..self.next };
        (next, self.taken.into_iter().flatten().collect())
    }

    pub(super) fn version(&self) -> u32 {
        self.next.answers
    }
}

impl Supported {
    fn has(self, format: &Format) -> bool {
        format.codec.video().is_none_or(|codec| self.video.contains(codec))
    }
}

impl SoundNumbers {
    fn get(self, codec: Codec) -> Option<u8> {
        match codec {
            Codec::Opus => self.opus,
            Codec::Pcmu => self.pcmu,
            Codec::Pcma => self.pcma,
            _ => None,
        }
    }

    fn claimed(self, number: u8) -> bool {
        [self.opus, self.red, self.pcmu, self.pcma].contains(&Some(number))
    }

    /// The formats of a section that can be used beside those of others, and whether what comes in them can be
    /// told apart. A codec that has another number in another section can be sent, but not received; a number
    /// that means something else there cannot be used at all.
    fn take(&mut self, offered: &[Format], red_first: bool) -> (Vec<Format>, bool) {
        let mut receivable = true;
        let mut taken = Vec::new();
        for format in offered {
            let mut format = format.clone();
            format.red_first = red_first;
            let Self { opus, pcmu, pcma, .. } = self;
            let place = match format.codec {
                Codec::Opus => opus,
                Codec::Pcmu => pcmu,
                _ => pcma,
            };
            match *place {
                None => {
                    let number = format.number;
                    if self.claimed(number) {
                        continue;
                    }
                    match format.codec {
                        Codec::Opus => self.opus = Some(number),
                        Codec::Pcmu => self.pcmu = Some(number),
                        _ => self.pcma = Some(number),
                    }
                    format.red = format.red.filter(|&red| !self.claimed(red));
                    self.red = self.red.or(format.red);
                }
                Some(number) if number == format.number => {
                    format.red = format.red.filter(|_| self.red == format.red);
                }
                Some(_) => {
                    format.red = None;
                    receivable = false;
                }
            }
            taken.push(format);
        }
        (taken, receivable)
    }
}
