//! A request for a session, as JSON.

use serde::Deserialize;
use serde_json::{Map, Value};
use visavis::video::FrameSize;

use super::request::CreateRequest;

/// The body of `POST /webrtc/sessions/create`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RequestBody {
    id: Option<String>,
    idle: Option<String>,
    video_codec: Option<Names>,
    audio_codec: Option<Names>,
    size: Option<Size>,
    fps: Option<u32>,
    video_bitrate: Option<u64>,
    min_video_bitrate: Option<u64>,
    rungs: Option<Vec<String>>,
    audio_bitrate: Option<u64>,
    packet_ms: Option<u64>,
    idle_grace_ms: Option<u64>,
    max_viewers: Option<usize>,
    private: Option<bool>,
    lifetime_seconds: Option<u64>,
    idle_timeout_seconds: Option<u64>,
    metadata: Option<Map<String, Value>>,
}

/// A name, or several in order of preference.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a name or a list of names")]
enum Names {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    width: u32,
    height: u32,
}

impl RequestBody {
    /// What it asks for; the error is a sentence for the client.
    pub(crate) fn into_request(self) -> Result<CreateRequest, String> {
        let size = self.size.map(|Size { width, height }| FrameSize::new(width, height));
        Ok(CreateRequest {
            id: self.id,
            idle: self.idle,
            video_codec: self.video_codec.map(Names::into),
            audio_codec: self.audio_codec.map(Names::into),
            size: size.transpose().map_err(|error| format!("`size`: {error}"))?,
            fps: self.fps,
            video_bitrate: self.video_bitrate,
            min_video_bitrate: self.min_video_bitrate,
            rungs: self.rungs,
            audio_bitrate: self.audio_bitrate,
            packet_ms: self.packet_ms,
            idle_grace_ms: self.idle_grace_ms,
            max_viewers: self.max_viewers,
            private: self.private,
            lifetime_seconds: self.lifetime_seconds,
            idle_timeout_seconds: self.idle_timeout_seconds,
            for_visitor: false,
            metadata: self.metadata.map(|object| Value::Object(object).to_string()),
        })
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        match names {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        }
    }
}
