//! A logo of the operator's own, for the pages.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::{LogoError, SignalingError};

/// The longest file that is taken: every visitor loads it.
const MAX_BYTES: usize = 512 << 10;

/// A picture that browsers show, known by its content and not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    WebP,
    Svg,
}

/// What is served of it.
#[derive(Debug)]
pub(super) struct Logo {
    /// The name it is served under; its extension is that of the type.
    pub(super) name: &'static str,
    pub(super) content: Vec<u8>,
}

impl Logo {
    pub(super) fn read(path: &Path) -> Result<Self, SignalingError> {
        let unusable = |reason| SignalingError::Logo { path: path.to_owned(), reason };
        let mut content = Vec::new();
        // Reading one byte more than the limit detects a file that is too long, even if its metadata are wrong.
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut content))
            .map_err(|error| unusable(error.into()))?;
        if content.len() > MAX_BYTES {
            return Err(unusable(LogoError::TooLarge));
        }
        let kind = Kind::of(&content).ok_or_else(|| unusable(LogoError::Format))?;
        Ok(Self { name: kind.file_name(), content })
    }
}

impl Kind {
    fn of(content: &[u8]) -> Option<Self> {
        match content {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => is_svg(content).then_some(Self::Svg),
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Png => "logo.png",
            Self::Jpeg => "logo.jpg",
            Self::WebP => "logo.webp",
            Self::Svg => "logo.svg",
        }
    }
}

/// Whether its first element is `svg`, behind what an XML document may begin with.
fn is_svg(content: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content) else { return false };
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let skipped = [("<?", "?>"), ("<!--", "-->"), ("<!DOCTYPE", ">")]
            .into_iter()
            .find_map(|(start, end)| Some(rest.strip_prefix(start)?.split_once(end)?.1));
        match skipped {
            Some(behind) => rest = behind.trim_start(),
            None => break,
        }
    }
    let ends_name = |c: char| c.is_whitespace() || c == '>' || c == '/';
    rest.strip_prefix("<svg").is_some_and(|behind| behind.starts_with(ends_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_content() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
        let before =
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- <svg> -->\n<!DOCTYPE svg PUBLIC \"a\" \"b\">\n";
        for (content, kind) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], Some(Kind::Png)),
            (b"\xff\xd8\xff\xe0", Some(Kind::Jpeg)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Kind::WebP)),
            (svg.as_bytes(), Some(Kind::Svg)),
            (format!("{before}{svg}").as_bytes(), Some(Kind::Svg)),
            (b"<svg>", Some(Kind::Svg)),
            (b"<svgx>", None),
            (b"<html><svg></svg></html>", None),
            (b"<!-- <svg>", None),
            (b"GIF89a", None),
            (b"RIFF\x10\0\0\0WAVE", None),
            (b"\xff\xfe<\0s\0v\0g\0", None),
            (b"", None),
        ] {
            assert_eq!(Kind::of(content), kind, "{}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logo.png");
        let refused = || Logo::read(&path).unwrap_err().to_string();
        assert!(refused().contains("logo.png"), "{}", refused());
        std::fs::write(&path, "GIF89a").unwrap();
        assert!(refused().contains("expected SVG"), "{}", refused());
        std::fs::write(&path, [b"\x89PNG\r\n\x1a\n", &[0; MAX_BYTES][..]].concat()).unwrap();
        assert!(refused().contains("512 KiB"), "{}", refused());
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
        assert_eq!(Logo::read(&path).unwrap().name, "logo.png");
    }
}
