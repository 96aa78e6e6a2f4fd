//! How single values are written in files, in the environment and in flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use visavis::address::AnnouncedAddress;
use visavis::audio::AudioCodec;
use visavis::encoder::EncoderChoice;
use visavis::video::{FrameSize, InvalidFrameSize, RungConfig, VideoCodec};

use super::definition::{Shape, Spec};
use super::given::{Given, Invalid};

/// The type of a setting.
pub(super) trait Value: Sized {
    /// Reads it.
    fn read(given: &Given, spec: &Spec) -> Result<Self, Invalid>;

    /// As it is written on a command line; `None` where it is not set.
    fn plain(&self) -> Option<String>;

    /// As it is written in a file; `None` where it is not set.
    fn toml(&self) -> Option<String>;
}

/// A value that is written as one text.
pub(super) trait Text: Sized {
    /// What is expected, unless the definition has its own text.
    const EXPECTED: &'static str;

    /// Parses it. The error is what was expected.
    fn parse(text: &str) -> Result<Self, String>;

    fn text(&self) -> String;
}

/// A file and the name it goes by: `NAME=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// What it goes by.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Text for NamedFile {
    const EXPECTED: &'static str = "NAME=FILE";

    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                Ok(Self { name: name.to_owned(), path: path.into() })
            }
            _ => Err(expected(Self::EXPECTED)),
        }
    }

    fn text(&self) -> String {
        format!("{}={}", self.name, self.path.display())
    }
}

impl Text for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn text(&self) -> String {
        self.clone()
    }
}

impl Text for PathBuf {
    const EXPECTED: &'static str = "a file";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn text(&self) -> String {
        self.display().to_string()
    }
}

/// Types that a standard reader reads, and what it expects.
macro_rules! parsed {
    ($($type:ty: $expected:literal, $reason:expr;)+) => { $(
        impl Text for $type {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, String> {
                let reason: fn(<Self as FromStr>::Err) -> String = $reason;
                text.parse().map_err(reason)
            }

            fn text(&self) -> String {
                self.to_string()
            }
        }
    )+ };
}

parsed! {
    SocketAddr: "IP:PORT, such as 0.0.0.0:8081", |_| expected(Self::EXPECTED);
    AnnouncedAddress: "IP or IP:PORT, such as 203.0.113.7 or 203.0.113.7:20638",
        |_| expected(Self::EXPECTED);
    FrameSize: "WIDTHxHEIGHT, such as 512x512", |error| match error {
        InvalidFrameSize::Form(_) => expected(Self::EXPECTED),
        error => error.to_string(),
    };
    RungConfig: "SIDE%:KBPS or SIDE%:KBPS:FPS, such as 50%:300", |_| expected(Self::EXPECTED);
    EncoderChoice: "an encoder", |_| expected(Self::EXPECTED);
    VideoCodec: "a video codec", |_| expected(Self::EXPECTED);
    AudioCodec: "an audio codec", |_| expected(Self::EXPECTED);
}

/// A value of a file, for errors.
fn shown(value: &toml::Value) -> String {
    use toml::Value::{Array, Boolean, Datetime, Float, Integer, String, Table};
    match value {
        String(text) => format!("{text:?}"),
        Integer(number) => number.to_string(),
        Float(number) => number.to_string(),
        Boolean(value) => value.to_string(),
        Datetime(time) => time.to_string(),
        Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Table(_) => "{…}".to_owned(),
    }
}

fn expected(what: &str) -> String {
    format!("expected {what}")
}

/// The one text that was given.
fn one_text<'a>(given: &'a Given, wanted: &str) -> Result<&'a str, Invalid> {
    match given {
        Given::Text(text) | Given::Toml(toml::Value::String(text)) => Ok(text),
        Given::Texts(texts) => match &texts[..] {
            [text] => Ok(text),
            _ => Err(Invalid::new(texts.join(","), expected(wanted))),
        },
        Given::Toml(other) => {
            Err(Invalid::new(shown(other), format!("expected {wanted}, in quotes")))
        }
    }
}

fn read_text<T: Text>(text: &str, spec: &Spec) -> Result<T, Invalid> {
    T::parse(text).map_err(|reason| {
        let reason = spec.expected().map_or(reason, |choices| expected(&choices));
        Invalid::new(format_args!("{text:?}"), reason)
    })
}

/// Values of one text.
macro_rules! texts {
    ($($type:ty),+) => { $(
        impl Value for $type {
            fn read(given: &Given, spec: &Spec) -> Result<Self, Invalid> {
                read_text(one_text(given, <Self as Text>::EXPECTED)?, spec)
            }

            fn plain(&self) -> Option<String> {
                Some(self.text())
            }

            fn toml(&self) -> Option<String> {
                Some(format!("{:?}", self.text()))
            }
        }
    )+ };
}

texts!(SocketAddr, PathBuf, String, FrameSize, EncoderChoice, VideoCodec);

/// Whole numbers.
macro_rules! numbers {
    ($($type:ty),+) => { $(
        impl Value for $type {
            fn read(given: &Given, spec: &Spec) -> Result<Self, Invalid> {
                let (number, value): (Option<u64>, String) = match given {
                    Given::Toml(toml::Value::Integer(number)) => {
                        (u64::try_from(*number).ok(), number.to_string())
                    }
                    Given::Toml(other) => (None, shown(other)),
                    Given::Text(text) => (text.parse().ok(), format!("{text:?}")),
                    Given::Texts(texts) => (None, format!("{:?}", texts.join(","))),
                };
                let allowed = |number: &u64| {
                    spec.range.is_none_or(|(least, greatest)| (least..=greatest).contains(number))
                        && (spec.choices.is_empty()
                            || spec.choices.contains(&number.to_string().as_str()))
                };
                let number = number.filter(allowed).and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| {
                    let range = spec.expected();
                    Invalid::new(value, expected(range.as_deref().unwrap_or("a number")))
                })
            }

            fn plain(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+ };
}

numbers!(u8, u16, u32, u64, usize);

impl Value for bool {
    fn read(given: &Given, _: &Spec) -> Result<Self, Invalid> {
        let wrong = |value: String| Invalid::new(value, "expected true or false");
        match given {
            Given::Toml(toml::Value::Boolean(value)) => Ok(*value),
            Given::Toml(other) => Err(wrong(shown(other))),
            Given::Text(text) => text.parse().map_err(|_| wrong(format!("{text:?}"))),
            Given::Texts(texts) => Err(wrong(format!("{:?}", texts.join(",")))),
        }
    }

    fn plain(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// A setting that may be left unset.
impl<T: Value> Value for Option<T> {
    fn read(given: &Given, spec: &Spec) -> Result<Self, Invalid> {
        T::read(given, spec).map(Some)
    }

    fn plain(&self) -> Option<String> {
        self.as_ref().and_then(T::plain)
    }

    fn toml(&self) -> Option<String> {
        self.as_ref().and_then(T::toml)
    }
}

/// A list, or one text with commas.
impl<T: Text + PartialEq> Value for Vec<T> {
    fn read(given: &Given, spec: &Spec) -> Result<Self, Invalid> {
        let no_list = || "expected a list of texts, or one text with commas";
        let texts: Vec<&str> = match given {
            Given::Text(text) | Given::Toml(toml::Value::String(text)) => text.split(',').collect(),
            Given::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Given::Toml(value @ toml::Value::Array(items)) => {
                let texts = items.iter().map(|item| item.as_str());
                let texts = texts.collect::<Option<_>>();
                texts.ok_or_else(|| Invalid::new(shown(value), no_list()))?
            }
            Given::Toml(other) => return Err(Invalid::new(shown(other), no_list())),
        };
        let mut items = Vec::new();
        for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let item = read_text(text, spec)?;
            if spec.shape == Shape::Preferences && items.contains(&item) {
                return Err(Invalid::new(format_args!("{text:?}"), "it is there twice"));
            }
            items.push(item);
        }
        if spec.shape == Shape::Preferences && items.is_empty() {
            let choices = spec.expected().unwrap_or_default();
            return Err(Invalid::new("\"\"", format!("expected at least one of {choices}")));
        }
        Ok(items)
    }

    fn plain(&self) -> Option<String> {
        let texts: Vec<String> = self.iter().map(T::text).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }

    fn toml(&self) -> Option<String> {
        Some(format!("{:?}", self.iter().map(T::text).collect::<Vec<_>>()))
    }
}
