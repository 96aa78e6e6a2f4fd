//! A description as lines and sections (RFC 8866 §5), before anybody asks what they mean.

use super::error::SdpError;
use super::limits::{MAX_BYTES, MAX_LINE_BYTES, MAX_SECTIONS, MAX_SESSION_LINES};

/// One `x=value` line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The letter before the equals sign.
    pub(super) kind: u8,
    /// What follows it, without the line's end.
    pub(super) value: &'a str,
}

impl<'a> Line<'a> {
    /// Name and value of an attribute; a property has the empty value.
    pub(super) fn attribute(&self) -> Option<(&'a str, &'a str)> {
        if self.kind != b'a' {
            return None;
        }
        let (name, value) = self.value.split_once(':').unwrap_or((self.value, ""));
        Some((name.trim(), value.trim()))
    }
}

/// A description, taken apart.
#[derive(Debug)]
pub(super) struct Description<'a> {
    /// Lines before the first section.
    pub(super) session: Vec<Line<'a>>,
    pub(super) sections: Vec<RawSection<'a>>,
}

/// A section: its `m=` line and those that follow.
#[derive(Debug)]
pub(super) struct RawSection<'a> {
    pub(super) media: &'a str,
    pub(super) lines: Vec<Line<'a>>,
}

impl<'a> Description<'a> {
    /// Takes a text apart. Lines may end in LF alone, and those that are no `x=value` are passed over:
    /// order, and what a line means, are left to its readers.
    pub(super) fn read(text: &'a str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if !text
            .strip_prefix("v=0")
            .is_some_and(|rest| rest.trim_start_matches(' ').starts_with(['\r', '\n']))
        {
            return Err(SdpError::NotSdp);
        }
        if text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c)) {
            return Err(SdpError::ControlCharacter);
        }
        if text.split(['\r', '\n']).any(|line| line.len() > MAX_LINE_BYTES) {
            return Err(SdpError::LineTooLong);
        }
        let description = Self::split(text);
        if description.session.len() > MAX_SESSION_LINES {
            return Err(SdpError::TooManyLines);
        }
        match description.sections.len() {
            0 => Err(SdpError::NoSections),
            1..=MAX_SECTIONS => Ok(description),
            _ => Err(SdpError::TooManySections),
        }
    }

    /// The same for a text that is ours.
    pub(super) fn split(text: &'a str) -> Self {
        let mut description = Self { session: Vec::new(), sections: Vec::new() };
        for line in text.split(['\r', '\n']) {
            let Some((kind, value)) = line.split_once('=') else { continue };
            let &[kind] = kind.trim_start().as_bytes() else { continue };
            if kind == b'm' {
                description.sections.push(RawSection { media: value, lines: Vec::new() });
                continue;
            }
            let line = Line { kind, value };
            match description.sections.last_mut() {
                Some(section) => section.lines.push(line),
                None => description.session.push(line),
            }
        }
        description
    }
}

/// The value of the first attribute of this name.
pub(super) fn attribute<'a>(lines: &[Line<'a>], name: &str) -> Option<&'a str> {
    attributes(lines, name).next()
}

/// The values of all attributes of this name.
pub(super) fn attributes<'a>(lines: &[Line<'a>], name: &str) -> impl Iterator<Item = &'a str> {
    lines
        .iter()
        .filter_map(Line::attribute)
        .filter(move |(of, _)| *of == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_end_either_way_and_odd_ones_are_passed_over() {
        let text = "v=0\no=- 1 2 IN IP4 0.0.0.0\r\ngarbage\r\n\r\na=one:1\nm=audio 9 X 0\na = two : 2 \na=three";
        let description = Description::read(text).unwrap();
        assert_eq!(attribute(&description.session, "one"), Some("1"));
        let [section] = &*description.sections else { panic!("{description:?}") };
        assert_eq!(section.media, "audio 9 X 0");
        assert_eq!(attribute(&section.lines, "three"), Some(""));
        assert_eq!(attribute(&section.lines, "one"), None);
    }

    #[test]
    fn what_is_too_much_is_refused_before_it_is_read() {
        let refused = |text: &str| Description::read(text).unwrap_err();
        assert_eq!(refused(&format!("v=0\r\n{}", "a=x\r\n".repeat(8_000))), SdpError::TooLong);
        assert_eq!(
            refused(&format!("v=0\r\n{}", "m=a 0 X 0\r\n".repeat(17))),
            SdpError::TooManySections
        );
        assert_eq!(refused(&format!("v=0\r\na={}\r\n", "x".repeat(5_000))), SdpError::LineTooLong);
        assert_eq!(refused("v=0\r\ns=-\r\n"), SdpError::NoSections);
        let session = "a=extmap:1 x\r\n".repeat(256);
        assert_eq!(refused(&format!("v=0\r\n{session}m=a 0 X 0\r\n")), SdpError::TooManyLines);
        let own = format!("v=0\r\nm=a 0 X 0\r\n{}", "a=x\r\n".repeat(1_000));
        assert!(Description::read(&own).is_ok(), "lines of a section are read once");
        for text in ["", "hello", "v=1\r\n", "v=00\r\nm=a 0 X 0\r\n", "m=audio 9 X 0\r\n"] {
            assert_eq!(refused(text), SdpError::NotSdp, "{text:?}");
        }
    }
}
