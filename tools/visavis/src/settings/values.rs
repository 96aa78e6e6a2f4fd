//! How single values are written in files, in the environment and in flags.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use visavis::{FrameSize, VideoCodec};

/// A file and the name it goes by: `NAME=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    pub name: String,
    pub path: PathBuf,
}

impl std::str::FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                Ok(Self { name: name.to_owned(), path: path.into() })
            }
            _ => Err("expected NAME=FILE".to_owned()),
        }
    }
}

impl Serialize for NamedFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}={}", self.name, self.path.display()))
    }
}

/// A list, or a text of items separated by commas.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts, or one text with commas")]
    enum Either {
        Many(Vec<String>),
        One(String),
    }
    let items = match Either::deserialize(deserializer)? {
        Either::Many(items) => items,
        Either::One(text) => text.split(',').map(str::to_owned).collect(),
    };
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items
        .map(|item| item.parse().map_err(|e| de::Error::custom(format!("{item:?}: {e}"))))
        .collect()
}

/// What [`list`] reads.
pub(crate) fn texts<T: std::fmt::Display, S: Serializer>(
    items: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(ToString::to_string))
}

pub(super) fn codec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VideoCodec, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(de::Error::custom)
}

/// Codecs in order of preference, none of them twice.
pub(super) fn codecs<'de, D, C>(deserializer: D) -> Result<Vec<C>, D::Error>
where
    D: Deserializer<'de>,
    C: std::str::FromStr<Err: std::fmt::Display> + PartialEq,
{
    let mut codecs: Vec<C> = Vec::new();
    for codec in list(deserializer)? {
        if codecs.contains(&codec) {
            return Err(de::Error::custom("the same codec twice"));
        }
        codecs.push(codec);
    }
    if codecs.is_empty() {
        return Err(de::Error::custom("no codec"));
    }
    Ok(codecs)
}

pub(super) fn codec_names<S: Serializer, C: std::fmt::Display>(
    codecs: &[C],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(codecs.iter().map(ToString::to_string))
}

pub(super) fn codec_name<S: Serializer>(
    codec: &VideoCodec,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(codec.name())
}

pub(super) fn size<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<FrameSize>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

pub(crate) fn size_text<S: Serializer>(
    size: &Option<FrameSize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    size.map(|size| size.to_string()).serialize(serializer)
}
