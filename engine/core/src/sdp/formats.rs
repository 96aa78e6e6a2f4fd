//! What a section offers to be sent as, of what we can send.

use std::fmt::Write as _;

use visavis_types::{AudioCodec, VideoCodec};

use super::h264::{Profile, ProfileLevel};
use super::lines::{Line, attributes};

/// Numbers that cannot be told from RTCP's packet types where both share a port (RFC 5761 §4).
const TAKEN_BY_RTCP: std::ops::RangeInclusive<u8> = 64..=95;
/// RFC 3551 §6.
const PCMU: u8 = 0;
const PCMA: u8 = 8;

/// What is sent, as the stack behind this knows it: each of these has its own place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Codec {
    Opus,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    Av1,
    H264ConstrainedBaseline,
    H264Baseline,
}

impl Codec {
    /// Of pictures.
    pub(crate) const VIDEO: [Self; 5] =
        [Self::Vp8, Self::Vp9, Self::Av1, Self::H264ConstrainedBaseline, Self::H264Baseline];

    pub(crate) const fn audio(self) -> Option<AudioCodec> {
        match self {
            Self::Opus => Some(AudioCodec::Opus),
            Self::Pcmu => Some(AudioCodec::Pcmu),
            Self::Pcma => Some(AudioCodec::Pcma),
            _ => None,
        }
    }

    pub(crate) const fn video(self) -> Option<VideoCodec> {
        match self {
            Self::Vp8 => Some(VideoCodec::Vp8),
            Self::Vp9 => Some(VideoCodec::Vp9),
            Self::Av1 => Some(VideoCodec::Av1),
            Self::H264ConstrainedBaseline | Self::H264Baseline => Some(VideoCodec::H264),
            _ => None,
        }
    }

    /// The numbers of a picture's stream and of its retransmissions inside the stack. They are on no wire:
    /// pictures are sent by ourselves, and none are received. All lie where no offered number can.
    pub(crate) const fn inner_numbers(self) -> Option<(u8, u8)> {
        match self {
            Self::Vp8 => Some((80, 81)),
            Self::Vp9 => Some((82, 83)),
            Self::Av1 => Some((84, 85)),
            Self::H264ConstrainedBaseline => Some((86, 87)),
            Self::H264Baseline => Some((88, 89)),
            _ => None,
        }
    }

    /// `name/clock` or `name/clock/channels`, as an `a=rtpmap` has it.
    pub(super) const fn encoding(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000/2",
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::Vp8 => "VP8/90000",
            Self::Vp9 => "VP9/90000",
            Self::Av1 => "AV1/90000",
            Self::H264ConstrainedBaseline | Self::H264Baseline => "H264/90000",
        }
    }

    /// The parameters by which the stack knows it.
    pub(super) const fn inner_parameters(self) -> Option<&'static str> {
        match self {
            Self::Opus => Some("minptime=10;useinbandfec=1"),
            Self::Vp9 => Some("profile-id=0"),
            Self::H264ConstrainedBaseline => {
                Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
            }
            Self::H264Baseline => {
                Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f")
            }
            _ => None,
        }
    }
}

/// Feedback messages that both sides know (RFC 4585 §4.2, RFC 5104 §7.1,
/// draft-holmer-rmcat-transport-wide-cc-extensions-01).
const FEEDBACK: [&str; 5] = ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"];
/// The places of `goog-remb` and `transport-cc` among them.
const RECEIVER_ESTIMATE: usize = 0;
const TRANSPORT_WIDE: usize = 1;

/// A format of an offer that we can send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    /// The offer's number for it.
    pub(crate) number: u8,
    pub(crate) codec: Codec,
    /// The number of its retransmissions (RFC 4588), where the offer has one.
    pub(crate) rtx: Option<u8>,
    /// The number of packets that carry copies of those before (RFC 2198), where the offer has one.
    pub(crate) red: Option<u8>,
    /// Whether those are what the viewer is to send: of what it may, it sends what the answer names first.
    pub(super) red_first: bool,
    /// Whether the viewer would rather hear two channels than one (RFC 7587 §6.1).
    pub(crate) stereo: bool,
    /// Which of [`FEEDBACK`] were offered.
    feedback: [bool; FEEDBACK.len()],
    /// The answer's parameters.
    parameters: Option<String>,
}

/// An `a=rtpmap` with the other attributes of its number.
#[derive(Debug)]
struct Payload<'a> {
    number: u8,
    /// Name, clock and channels.
    encoding: (&'a str, u32, u32),
    parameters: &'a str,
}

/// The formats of a section that we can send, in the order of its `m=` line; the first of each codec.
pub(super) fn read<'a>(offered: impl Iterator<Item = &'a str>, lines: &[Line<'_>]) -> Vec<Format> {
    let payloads = payloads(offered, lines);
    let mut formats: Vec<Format> = Vec::new();
    for payload in &payloads {
        let format = format(payload, &payloads, &formats, lines);
        formats.extend(format);
    }
    formats
}

/// The attributes of the numbers in an `m=` line, each of which counts once.
fn payloads<'a, 'l>(
    offered: impl Iterator<Item = &'a str>,
    lines: &[Line<'l>],
) -> Vec<Payload<'l>> {
    // One look at the lines, not one for each number: both are up to their sender.
    let mut by_number = [const { (None, None) }; 128];
    for (name, value) in lines.iter().filter_map(Line::attribute) {
        let place = match name {
            "rtpmap" | "fmtp" => value.split_once([' ', '\t']),
            _ => None,
        };
        let Some((number, what)) = place else { continue };
        let Some((map, parameters)) =
            number.parse().ok().and_then(|number: usize| by_number.get_mut(number))
        else {
            continue;
        };
        let place = if name == "rtpmap" { map } else { parameters };
        place.get_or_insert_with(|| what.trim());
    }
    let mut payloads: Vec<Payload<'_>> = Vec::new();
    for number in offered.filter_map(|number| number.parse::<u8>().ok()) {
        if number > 127
            || TAKEN_BY_RTCP.contains(&number)
            || payloads.iter().any(|other| other.number == number)
        {
            continue;
        }
        let Some(&(map, parameters)) = by_number.get(usize::from(number)) else { continue };
        let encoding = match map {
            Some(encoding) => parse_encoding(encoding),
            None if number == PCMU => Some(("PCMU", 8_000, 1)),
            None if number == PCMA => Some(("PCMA", 8_000, 1)),
            None => None,
        };
        let Some(encoding) = encoding else { continue };
        payloads.push(Payload { number, encoding, parameters: parameters.unwrap_or_default() });
    }
    payloads
}

/// The feedback that is offered for a number.
fn feedback_for<'a>(number: u8, lines: &[Line<'a>]) -> impl Iterator<Item = &'a str> {
    attributes(lines, "rtcp-fb").filter_map(move |value| {
        let (of, what) = value.split_once([' ', '\t'])?;
        (of == "*" || of.parse() == Ok(number)).then(|| what.trim())
    })
}

fn parse_encoding(text: &str) -> Option<(&str, u32, u32)> {
    let mut parts = text.split('/');
    let (name, clock) = (parts.next()?, parts.next()?.parse().ok()?);
    let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok())?;
    parts.next().is_none().then_some((name, clock, channels))
}

/// A parameter of an `a=fmtp`, whose names count in any case (RFC 6838 §4.3).
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut all = text.split(';').map(str::trim).filter_map(|one| one.split_once('='));
    all.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A format, where it is the first of its codec.
fn format(
    payload: &Payload<'_>,
    all: &[Payload<'_>],
    known: &[Format],
    lines: &[Line<'_>],
) -> Option<Format> {
    let (name, clock, channels) = payload.encoding;
    let is = |of: &str, hz: u32, with: u32| {
        name.eq_ignore_ascii_case(of) && clock == hz && channels == with
    };
    let value = |name: &str| parameter(payload.parameters, name);
    let number_value = |name: &str| value(name).map_or(Some(0), |value| value.parse::<u32>().ok());
    let stereo = value("stereo") == Some("1");
    let (codec, parameters) = if is("opus", 48_000, 2) {
        // Nothing of a microphone in two channels. Ours is announced as one that may have two.
        let sent = if stereo { ";sprop-stereo=1" } else { "" };
        (Codec::Opus, Codec::Opus.inner_parameters().map(|same| format!("{same}{sent}")))
    } else if is("PCMU", 8_000, 1) {
        (Codec::Pcmu, None)
    } else if is("PCMA", 8_000, 1) {
        (Codec::Pcma, None)
    } else if is("VP8", 90_000, 1) {
        (Codec::Vp8, None)
    } else if is("VP9", 90_000, 1) && number_value("profile-id") == Some(0) {
        (Codec::Vp9, Some("profile-id=0".to_owned()))
    } else if is("AV1", 90_000, 1) && number_value("profile") == Some(0) {
        // The level and tier are what the viewer takes; it gets no more than that.
        let parameters = (!payload.parameters.is_empty()).then(|| {
            let level = value("level-idx").and_then(|level| level.parse().ok()).unwrap_or(5_u8);
            let tier = value("tier").and_then(|tier| tier.parse().ok()).unwrap_or(0_u8);
            format!("level-idx={level};profile=0;tier={tier}")
        });
        (Codec::Av1, parameters)
    } else if is("H264", 90_000, 1) && value("packetization-mode") == Some("1") {
        // Units go in pieces and in packets of several, which is mode 1 (RFC 6184 §5.4).
        let id = match value("profile-level-id") {
            Some(id) => ProfileLevel::parse(id)?,
            None => ProfileLevel::DEFAULT,
        };
        let codec = match id.profile()? {
            Profile::ConstrainedBaseline => Codec::H264ConstrainedBaseline,
            Profile::Baseline => Codec::H264Baseline,
        };
        let asymmetry_allowed = value("level-asymmetry-allowed") == Some("1");
        (codec, Some(id.answer(asymmetry_allowed)))
    } else {
        return None;
    };
    if known.iter().any(|other| other.codec == codec) {
        return None;
    }
    let video = codec.video().is_some();
    let mut feedback = [false; FEEDBACK.len()];
    if video {
        for offered in feedback_for(payload.number, lines) {
            let place = FEEDBACK.iter().position(|known| known.eq_ignore_ascii_case(offered));
            place.into_iter().for_each(|place| feedback[place] = true);
        }
        // One estimate will do, and ours has more to go by.
        feedback[RECEIVER_ESTIMATE] &= !feedback[TRANSPORT_WIDE];
    }
    let rtx = all.iter().find(|other| {
        let (name, clock, channels) = other.encoding;
        let of = parameter(other.parameters, "apt").and_then(|apt| apt.parse().ok());
        video
            && name.eq_ignore_ascii_case("rtx")
            && (clock, channels) == (90_000, 1)
            && of == Some(payload.number)
    });
    let red = all.iter().find(|other| {
        let (name, clock, channels) = other.encoding;
        let mut copies = other.parameters.split('/').map(|copy| copy.trim().parse());
        codec == Codec::Opus
            && (clock, channels) == (48_000, 2)
            && name.eq_ignore_ascii_case("red")
            && other.parameters.contains('/')
            && copies.all(|copy| copy == Ok(payload.number))
    });
    Some(Format {
        number: payload.number,
        codec,
        rtx: rtx.map(|rtx| rtx.number),
        red: red.map(|red| red.number),
        red_first: false,
        stereo: stereo && codec == Codec::Opus,
        feedback,
        parameters,
    })
}

impl Format {
    /// Whether the viewer reports when each packet comes.
    pub(crate) fn reports_arrivals(&self) -> bool {
        self.feedback[TRANSPORT_WIDE]
    }

    /// All its numbers, in the order of an `m=` line.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> {
        let (first, last) = if self.red_first { (self.red, None) } else { (None, self.red) };
        [first, Some(self.number), self.rtx, last].into_iter().flatten()
    }

    /// Writes what an answer says of it.
    pub(super) fn write(&self, out: &mut String) {
        let (number, encoding) = (self.number, self.codec.encoding());
        // Writing to a string cannot fail.
        let _ = write!(out, "a=rtpmap:{number} {encoding}\r\n");
        for (name, _) in FEEDBACK.iter().zip(self.feedback).filter(|(_, offered)| *offered) {
            let _ = write!(out, "a=rtcp-fb:{number} {name}\r\n");
        }
        if let Some(parameters) = &self.parameters {
            let _ = write!(out, "a=fmtp:{number} {parameters}\r\n");
        }
        if let Some(rtx) = self.rtx {
            let _ = write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n");
        }
        if let Some(red) = self.red {
            let _ = write!(out, "a=rtpmap:{red} red/48000/2\r\na=fmtp:{red} {number}/{number}\r\n");
        }
    }
}

/// Writes what the stack is given of a codec under the numbers it has there.
pub(super) fn write_inner(
    codec: Codec,
    number: u8,
    (rtx, red): (Option<u8>, Option<u8>),
    out: &mut String,
) {
    let format = Format {
        number,
        codec,
        rtx,
        red,
        red_first: false,
        stereo: false,
        feedback: [codec.video().is_some(); FEEDBACK.len()],
        parameters: codec.inner_parameters().map(str::to_owned),
    };
    format.write(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(numbers: &str, attributes: &[&str]) -> Vec<Format> {
        let lines: Vec<_> = attributes.iter().map(|value| Line { kind: b'a', value }).collect();
        read(numbers.split(' '), &lines)
    }

    #[test]
    fn names_count_in_any_case_and_static_numbers_need_no_map() {
        let found = formats("0 8 111", &["rtpmap:111 OPUS/48000/2", "fmtp:111 stereo=1"]);
        let codecs: Vec<_> = found.iter().map(|format| (format.codec, format.number)).collect();
        assert_eq!(codecs, [(Codec::Pcmu, 0), (Codec::Pcma, 8), (Codec::Opus, 111)]);
        // A static number may mean something else where a map says so (RFC 3551 §3).
        assert_eq!(formats("0", &["rtpmap:0 vp8/90000"])[0].codec, Codec::Vp8);
    }

    #[test]
    fn two_channels_are_for_who_asks_for_them() {
        for (offered, stereo, answered) in [
            ("maxplaybackrate=48000; Stereo=1;useinbandfec=1", true, ";sprop-stereo=1"),
            ("minptime=10;stereo=0", false, ""),
            // Of what the viewer sends itself.
            ("sprop-stereo=1", false, ""),
        ] {
            let found =
                formats("111", &["rtpmap:111 opus/48000/2", &format!("fmtp:111 {offered}")]);
            let [opus] = &*found else { panic!("{found:?}") };
            assert_eq!(opus.stereo, stereo, "{offered}");
            let mut out = String::new();
            opus.write(&mut out);
            let expected = format!("a=fmtp:111 minptime=10;useinbandfec=1{answered}\r\n");
            assert!(out.ends_with(&expected), "{out}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_passed_over() {
        for (numbers, attributes) in [
            ("96", &["rtpmap:96 opus/48000"][..]),
            ("96", &["rtpmap:96 VP9/90000", "fmtp:96 profile-id=2"]),
            ("96", &["rtpmap:96 AV1/90000", "fmtp:96 profile=1"]),
            ("96", &["rtpmap:96 H264/90000"]),
            (
                "96",
                &["rtpmap:96 H264/90000", "fmtp:96 packetization-mode=1;profile-level-id=640c1f"],
            ),
            ("96", &["rtpmap:96"]),
            ("96", &["rtpmap:96 opus/48000/2/"]),
            ("96", &["rtpmap:97 VP8/90000"]),
            // RTCP's.
            ("72", &["rtpmap:72 VP8/90000"]),
            ("200 -1 x 4096", &["rtpmap:200 VP8/90000"]),
            ("96 97", &["rtpmap:96 rtx/90000", "fmtp:96 apt=97"]),
        ] {
            assert_eq!(formats(numbers, attributes), [], "{attributes:?}");
        }
    }

    #[test]
    fn feedback_for_all_formats_is_feedback_for_each() {
        let [vp8] =
            &*formats("96", &["rtpmap:96 VP8/90000", "rtcp-fb:* nack pli", "rtcp-fb:97 ccm fir"])
        else {
            panic!("one format");
        };
        let mut out = String::new();
        vp8.write(&mut out);
        assert_eq!(out, "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n");
    }

    #[test]
    fn retransmissions_and_redundancy_belong_to_their_format() {
        let found = formats(
            "63 111 96 97",
            &[
                "rtpmap:63 red/48000/2",
                "fmtp:63 111/111",
                "rtpmap:111 opus/48000/2",
                "rtpmap:96 VP8/90000",
                "rtpmap:97 rtx/90000",
                "fmtp:97 apt=96;rtx-time=1000",
            ],
        );
        let [opus, vp8] = &*found else { panic!("{found:?}") };
        assert_eq!((opus.red, opus.rtx), (Some(63), None));
        assert_eq!((vp8.red, vp8.rtx), (None, Some(97)));
        assert_eq!(opus.numbers().collect::<Vec<_>>(), [111, 63]);
        let first = Format { red_first: true, ..opus.clone() };
        assert_eq!(first.numbers().collect::<Vec<_>>(), [63, 111]);
        assert_eq!(vp8.numbers().collect::<Vec<_>>(), [96, 97]);
    }
}
