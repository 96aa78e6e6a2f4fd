//! The body of a request to create a session.

use serde::{Deserialize, Serialize};

/// The body of `POST /webrtc/sessions/create`. What it leaves open is as
/// [`SessionApi::template`](crate::SessionApi::template) has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CreateRequest {
    /// Its id; default: one that cannot be guessed.
    pub id: Option<String>,
    /// Which of [`SessionApi::idle_loops`](crate::SessionApi::idle_loops) it shows.
    pub idle: Option<String>,
    /// Video codecs in order of preference.
    pub video_codec: Option<OneOrMore>,
    /// Audio codecs in order of preference.
    pub audio_codec: Option<OneOrMore>,
    /// What all pictures are scaled to.
    pub size: Option<Size>,
    /// Frames per second, 1 to 120.
    pub fps: Option<u32>,
    /// Target rate of the video in bit/s.
    pub video_bitrate: Option<u64>,
    /// Target rate of the audio in bit/s.
    pub audio_bitrate: Option<u64>,
    /// Milliseconds of sound in one packet, 10 or 20.
    pub packet_ms: Option<u64>,
    /// How long, in milliseconds, the last picture stays before the idle loop is shown.
    pub idle_grace_ms: Option<u64>,
    /// Viewers at once.
    pub max_viewers: Option<usize>,
    /// For one viewer alone.
    pub private: Option<bool>,
    /// How long it lives, watched or not.
    pub lifetime_seconds: Option<u64>,
    /// How long it lives without viewers.
    pub idle_timeout_seconds: Option<u64>,
    /// Nobody has asked: a visitor came who named no session
    /// ([`SessionApi::per_visitor`](crate::SessionApi::per_visitor)).
    #[serde(skip)]
    pub for_visitor: bool,
    /// For the application: passed to its hook unchanged, and not shown to other clients.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A name, or several in order of preference.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a name or a list of names")]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::More(names) => names,
        }
    }
}

/// Pixels; both even, and from 16 to 4096.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}
