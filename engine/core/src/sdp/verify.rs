//! The rules by which the other side accepts or refuses an answer (RFC 3264 §6, RFC 9429 §5.11, RFC 9143 §7.3),
//! written from the texts alone: what read the offer and wrote the answer has no part in it.

use super::direction::Direction;
use super::error::SdpError;
use super::lines::{Description, Line, RawSection, attribute, attributes};

/// What an answer to an offer may be.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    sections: Vec<ExpectedSection>,
    /// BUNDLE groups, by mid.
    groups: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
struct ExpectedSection {
    media: String,
    protocol: String,
    port: String,
    formats: Vec<String>,
    mid: Option<String>,
    direction: Direction,
    setup: Option<String>,
    rtcp_mux: bool,
    /// `number name/clock/channels`, lower case.
    maps: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
    feedback: Vec<(String, String)>,
    extensions: Vec<(String, String)>,
    simulcast: bool,
}

/// Checks an answer against the offer it is for, by the rules that browsers apply.
///
/// # Errors
///
/// An offer that cannot be read, or what the answer does wrong, as a sentence for developers.
pub fn verify(offer: &str, answer: &str) -> Result<(), String> {
    let description = Description::read(offer).map_err(|error: SdpError| error.to_string())?;
    Expected::of(&description).check(answer)
}

impl Expected {
    pub(super) fn of(offer: &Description<'_>) -> Self {
        let sections = offer.sections.iter();
        let sections: Vec<_> =
            sections.map(|raw| ExpectedSection::of(raw, &offer.session)).collect();
        // Names that no section has are nobody's, and there may be thousands.
        let known = |mid: &str| sections.iter().any(|section| section.mid.as_deref() == Some(mid));
        let groups = bundles(&offer.session, known);
        Self { sections, groups }
    }

    /// Checks an answer. The error is what it does wrong.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        check_lines(text)?;
        let answer = Description::split(text);
        if answer.sections.len() != self.sections.len() {
            return Err(format!("{} sections for {}", answer.sections.len(), self.sections.len()));
        }
        let group = self.check_group(&answer)?;
        let of_group = self.setup_of(&group);
        let mut ssrcs = Vec::new();
        let mut alone = 0;
        for (n, (raw, offered)) in answer.sections.iter().zip(&self.sections).enumerate() {
            let given = ExpectedSection::of(raw, &[]);
            let bundled = given.mid.as_ref().is_some_and(|mid| group.contains(mid));
            let wrong = |what: &str| format!("section {n}: {what}");
            let rejected = given.port == "0";
            offered.check_shape(&given).map_err(|what| wrong(&what))?;
            let in_offered_group = given
                .mid
                .as_ref()
                .is_some_and(|mid| self.groups.iter().any(|group| group.contains(mid)));
            match rejected {
                true if bundled => return Err(wrong("rejected, and in the group")),
                true => continue,
                false if offered.port == "0" && !in_offered_group => {
                    return Err(wrong("disabled in the offer, and taken"));
                }
                false => {}
            }
            alone += usize::from(!bundled);
            offered.check_media(&given, bundled).map_err(|what| wrong(&what))?;
            let setup = if bundled { of_group } else { offered.setup.as_deref() };
            check_transport(&raw.lines, setup).map_err(|what| wrong(&what))?;
            check_ssrcs(&raw.lines, &mut ssrcs).map_err(|what| wrong(&what))?;
        }
        // Each section outside of the group has a transport of its own, and there is one.
        match alone {
            0 => Ok(()),
            1 if group.is_empty() => Ok(()),
            _ => Err(format!("{alone} sections without a group share one transport")),
        }
    }

    /// What the offer says of who begins, for the sections of a group of the answer: the first that says anything
    /// speaks for the others (RFC 9143 §7.1.3).
    fn setup_of(&self, group: &[String]) -> Option<&str> {
        let offered =
            self.groups.iter().find(|of| group.first().is_some_and(|mid| of.contains(mid)))?;
        let named =
            |mid: &String| self.sections.iter().find(|section| section.mid.as_ref() == Some(mid));
        offered.iter().filter_map(named).find_map(|section| section.setup.as_deref())
    }

    /// The mids in the answer's group.
    fn check_group(&self, answer: &Description<'_>) -> Result<Vec<String>, String> {
        let mut groups = bundles(&answer.session, |_| true);
        let Some(group) = groups.pop() else { return Ok(Vec::new()) };
        if !groups.is_empty() {
            return Err("two BUNDLE groups".to_owned());
        }
        let Some(offered) =
            self.groups.iter().find(|offered| group.iter().all(|mid| offered.contains(mid)))
        else {
            return Err(format!("the group {group:?} was not offered"));
        };
        let order: Vec<_> = offered.iter().filter(|mid| group.contains(mid)).collect();
        if !group.iter().eq(order) {
            return Err(format!(
                "the group {group:?} is in another order than offered, or names one twice"
            ));
        }
        Ok(group)
    }
}

impl ExpectedSection {
    fn of(raw: &RawSection<'_>, session: &[Line<'_>]) -> Self {
        let mut words = raw.media.split_ascii_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (media, port, protocol) = (word(), word(), word());
        let lines = &*raw.lines;
        let pairs = |name: &str| -> Vec<(String, String)> {
            attributes(lines, name)
                .filter_map(|value| value.split_once([' ', '\t']))
                .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                .collect()
        };
        let direction = |lines: &[Line<'_>]| {
            lines.iter().filter_map(Line::attribute).find_map(|(name, _)| Direction::parse(name))
        };
        let value = |name: &str| attribute(lines, name).or_else(|| attribute(session, name));
        let mut extensions = pairs("extmap");
        extensions.extend(
            attributes(session, "extmap")
                .filter_map(|value| value.split_once([' ', '\t']))
                .map(|(id, uri)| (id.to_owned(), uri.to_owned())),
        );
        Self {
            media,
            protocol,
            port,
            formats: words.collect(),
            mid: attribute(lines, "mid").map(str::to_owned),
            direction: direction(lines)
                .or_else(|| direction(session))
                .unwrap_or(Direction::DEFAULT),
            setup: value("setup").map(str::to_owned),
            rtcp_mux: value("rtcp-mux").is_some() || value("rtcp-mux-only").is_some(),
            maps: pairs("rtpmap"),
            parameters: pairs("fmtp"),
            feedback: pairs("rtcp-fb"),
            extensions,
            simulcast: attribute(lines, "simulcast").is_some() || attribute(lines, "rid").is_some(),
        }
    }

    /// What holds for rejected sections too.
    fn check_shape(&self, given: &Self) -> Result<(), String> {
        if (&given.media, &given.protocol, &given.mid) != (&self.media, &self.protocol, &self.mid) {
            let Self { media, protocol, mid, .. } = given;
            return Err(format!("{media} {protocol} {mid:?} is not what was offered"));
        }
        if given.port != "0" && given.port.parse::<u16>().is_err() {
            return Err(format!("port {:?}", given.port));
        }
        if given.formats.is_empty() {
            return Err("no format".to_owned());
        }
        Ok(())
    }

    /// What holds for sections that are taken.
    fn check_media(&self, given: &Self, bundled: bool) -> Result<(), String> {
        if !matches!(&*self.media, "audio" | "video") {
            return Ok(());
        }
        let (ours, theirs) = (given.direction, self.direction);
        if ours.sends && !theirs.receives || ours.receives && !theirs.sends {
            return Err(format!("{} for {}", ours.name(), theirs.name()));
        }
        if !given.rtcp_mux || !self.rtcp_mux && !bundled {
            return Err("RTCP on the port of RTP without both saying so".to_owned());
        }
        for number in &given.formats {
            if !self.formats.contains(number) {
                return Err(format!("{number} was not offered"));
            }
            let meant = self.encoding(number);
            if meant.is_none() || meant != given.encoding(number) {
                return Err(format!("{number} meant something else"));
            }
            self.check_format(given, number)?;
        }
        let known = |(number, _): &&(String, String)| given.formats.contains(number);
        for list in [&given.maps, &given.parameters, &given.feedback] {
            if let Some((number, what)) = list.iter().find(|entry| !known(entry)) {
                return Err(format!("{what:?} is said of {number}, which is not taken"));
            }
        }
        if let Some((id, uri)) = given.extensions.iter().find(|extension| {
            !self.extensions.iter().any(|offered| {
                offered.0.split('/').next() == extension.0.split('/').next()
                    && offered.1.split_ascii_whitespace().next()
                        == extension.1.split_ascii_whitespace().next()
            })
        }) {
            return Err(format!("the extension {id} {uri} was not offered"));
        }
        if given.simulcast {
            return Err("simulcast, of which there is none here".to_owned());
        }
        Ok(())
    }

    /// `name/clock/channels` of a number, by its map or by RFC 3551.
    fn encoding(&self, number: &str) -> Option<String> {
        let (_, map) = match self.maps.iter().find(|(of, _)| of == number) {
            Some((of, map)) => (of.as_str(), map.to_ascii_lowercase()),
            None if number == "0" => ("0", "pcmu/8000".to_owned()),
            None if number == "8" => ("8", "pcma/8000".to_owned()),
            None => return None,
        };
        Some(map.strip_suffix("/1").map_or_else(|| map.clone(), str::to_owned))
    }

    fn check_format(&self, given: &Self, number: &str) -> Result<(), String> {
        let roles = |section: &Self| {
            let of = section.parameters.iter().find(|(of, _)| of == number);
            of.map(|(_, parameters)| parameters.to_ascii_lowercase()).unwrap_or_default()
        };
        let one = |text: &str, name: &str| {
            let mut all = text.split(';').filter_map(|one| one.split_once('='));
            all.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
        };
        let (ours, theirs) = (roles(given), roles(self));
        match given.encoding(number).as_deref() {
            Some("rtx/90000") => {
                let apt = one(&ours, "apt");
                if apt.as_ref().is_none_or(|apt| !given.formats.contains(apt))
                    || apt != one(&theirs, "apt")
                {
                    return Err(format!("{number} repeats what is not there"));
                }
            }
            Some("h264/90000") => {
                // The level may be another one (RFC 6184 §8.2.2); mode and profile may not.
                let mode = |text: &str| one(text, "packetization-mode").unwrap_or("0".to_owned());
                let profile = |text: &str| {
                    let id = one(text, "profile-level-id").unwrap_or("42000a".to_owned());
                    id.get(..4).map(str::to_owned)
                };
                if mode(&ours) != mode(&theirs) || profile(&ours) != profile(&theirs) {
                    return Err(format!("{number} has another mode or profile than offered"));
                }
            }
            Some("vp9/90000") => {
                let profile = |text: &str| one(text, "profile-id").unwrap_or("0".to_owned());
                if profile(&ours) != profile(&theirs) {
                    return Err(format!("{number} has another profile than offered"));
                }
            }
            _ => {}
        }
        for (_, kind) in given.feedback.iter().filter(|(of, _)| of == number) {
            let offered = self.feedback.iter().any(|(of, offered)| {
                (of == number || of == "*") && offered.eq_ignore_ascii_case(kind)
            });
            if !offered {
                return Err(format!("feedback {kind:?} was not offered for {number}"));
            }
        }
        Ok(())
    }
}

/// RFC 8866 §5: which lines there are, in which order, and how each ends.
fn check_lines(text: &str) -> Result<(), String> {
    const SESSION: [&str; 4] = ["v=0", "o=", "s=", "t="];
    if !text.ends_with("\r\n") {
        return Err("the last line does not end".to_owned());
    }
    for (n, line) in text.trim_end_matches("\r\n").split("\r\n").enumerate() {
        if line.chars().any(char::is_control) || line.get(1..2) != Some("=") || line.len() < 3 {
            return Err(format!("line {n} is no line: {line:?}"));
        }
        if SESSION.get(n).is_some_and(|begins| !line.starts_with(begins)) {
            return Err(format!("line {n} is {line:?}"));
        }
    }
    Ok(())
}

fn check_transport(lines: &[Line<'_>], setup: Option<&str>) -> Result<(), String> {
    let length = |name: &str| attribute(lines, name).map_or(0, str::len);
    if length("ice-ufrag") < 4 || length("ice-pwd") < 22 {
        return Err("no ICE credentials".to_owned());
    }
    if attribute(lines, "fingerprint").is_none_or(|value| value.len() <= 40) {
        return Err("no fingerprint".to_owned());
    }
    let wrong = match (setup, attribute(lines, "setup")) {
        (_, None) => true,
        (Some("active"), ours) => ours != Some("passive"),
        (Some("passive"), ours) => ours != Some("active"),
        (_, ours) => !matches!(ours, Some("active" | "passive")),
    };
    if wrong { Err("setup does not fit the offer's".to_owned()) } else { Ok(()) }
}

/// SSRCs are of one section each, and groups are of those that are named.
fn check_ssrcs(lines: &[Line<'_>], others: &mut Vec<String>) -> Result<(), String> {
    let mut own: Vec<String> = Vec::new();
    for value in attributes(lines, "ssrc") {
        let ssrc = value.split(' ').next().unwrap_or_default();
        if ssrc.parse::<u32>().map_or(true, |number| number == 0)
            || others.iter().any(|other| other == ssrc)
        {
            return Err(format!("SSRC {ssrc}"));
        }
        if own.iter().all(|other| other != ssrc) {
            own.push(ssrc.to_owned());
        }
    }
    for group in attributes(lines, "ssrc-group") {
        if group.split(' ').skip(1).any(|ssrc| own.iter().all(|other| other != ssrc)) {
            return Err(format!("group of unknown SSRCs: {group}"));
        }
    }
    others.append(&mut own);
    Ok(())
}

/// BUNDLE groups, by those mids that are `known`; a mid that is named twice counts once.
fn bundles(session: &[Line<'_>], known: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    attributes(session, "group")
        .filter_map(|value| {
            let mut words = value.split_ascii_whitespace();
            (words.next() == Some("BUNDLE")).then(|| {
                let mut mids: Vec<String> = Vec::new();
                for mid in words.filter(|mid| known(mid)) {
                    if mids.iter().all(|other| other != mid) {
                        mids.push(mid.to_owned());
                    }
                }
                mids
            })
        })
        .collect()
}
