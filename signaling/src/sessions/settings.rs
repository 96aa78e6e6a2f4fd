//! What a request for a session amounts to.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use visavis::SessionConfig;
use visavis::audio::PacketTime;
use visavis::encoder::Encoders;
use visavis::session::SessionId;
use visavis::units::Bitrate;
use visavis::video::{FrameSize, RungConfig};

use super::api::SessionApi;
use super::request::CreateRequest;

/// A year, which is long enough for a face.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;
const VIDEO_BITRATES: RangeInclusive<u64> = 50_000..=50_000_000;
const MIN_VIDEO_BITRATES: RangeInclusive<u64> = 0..=50_000_000;
const AUDIO_BITRATES: RangeInclusive<u64> = 6_000..=510_000;
const MAX_GRACE_MS: u64 = 60_000;

/// How long a session lives, beside being ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) lifetime: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
}

impl CreateRequest {
    /// The settings it amounts to; the error is a sentence for the client. `fresh_id` is used where it
    /// names none.
    pub(crate) fn resolve(
        &self,
        api: &SessionApi,
        encoders: &Encoders,
        fresh_id: impl FnOnce() -> String,
    ) -> Result<(SessionConfig, Life), String> {
        let mut config = api.template.clone();
        let id = self.id.clone().unwrap_or_else(fresh_id);
        config.id = SessionId::new(&id).map_err(|error| format!("`id`: {error}"))?;
        if id == "create" {
            return Err("`id`: this name is reserved".to_owned());
        }
        if let Some(name) = &self.idle {
            let idle = api.idle_loops.get(name);
            config.idle = Some(idle.cloned().ok_or_else(|| unknown_idle(name, api))?);
        }
        if let Some(names) = &self.video_codec {
            config.video_codecs = codecs("videoCodec", names)?;
            if let Some(codec) = config.video_codecs.iter().find(|&&c| encoders.offer(c).is_err()) {
                return Err(format!("`videoCodec`: this server has no {codec} encoder"));
            }
        }
        if let Some(names) = &self.audio_codec {
            config.audio_codecs = codecs("audioCodec", names)?;
        }
        config.size = self.size.or(config.size);
        if let Some(fps) = self.fps {
            config.fps = within("fps", fps, &(1..=120))?;
        }
        if let Some(bps) = self.video_bitrate {
            let bps = within("videoBitrate", bps, &VIDEO_BITRATES)?;
            config.video_bitrate = Bitrate::from_bps(bps);
        }
        if let Some(bps) = self.min_video_bitrate {
            let bps = within("minVideoBitrate", bps, &MIN_VIDEO_BITRATES)?;
            config.min_video_bitrate = Bitrate::from_bps(bps);
        }
        if let Some(rungs) = &self.rungs {
            let parse = |text: &String| {
                text.parse::<RungConfig>().map_err(|error| format!("`rungs`: {error}"))
            };
            config.rungs = rungs.iter().map(parse).collect::<Result<_, _>>()?;
        }
        if let Some(bps) = self.audio_bitrate {
            let bps = within("audioBitrate", bps, &AUDIO_BITRATES)?;
            config.audio_bitrate = Bitrate::from_bps(bps);
        }
        match self.packet_ms {
            None => {}
            Some(10) => config.packet_time = PacketTime::Ms10,
            Some(20) => config.packet_time = PacketTime::Ms20,
            Some(_) => return Err("`packetMs` must be 10 or 20".to_owned()),
        }
        if let Some(ms) = self.idle_grace_ms {
            config.idle_grace =
                Duration::from_millis(within("idleGraceMs", ms, &(0..=MAX_GRACE_MS))?);
        }
        if let Some(viewers) = self.max_viewers {
            config.max_peers = Some(within("maxViewers", viewers, &(1..=1_000_000))?);
        }
        match (self.private, self.max_viewers) {
            (Some(true), Some(viewers)) if viewers > 1 => {
                return Err(
                    "`private` and `maxViewers`: a private session has one viewer".to_owned()
                );
            }
            (Some(true), _) => config.max_peers = Some(1),
            _ => {}
        }
        let seconds = |name, value: Option<u64>| match value {
            Some(value) => Ok(Some(Duration::from_secs(within(name, value, &(1..=MAX_SECONDS))?))),
            None => Ok::<_, String>(None),
        };
        let life = Life {
            lifetime: seconds("lifetimeSeconds", self.lifetime_seconds)?,
            idle_timeout: seconds("idleTimeoutSeconds", self.idle_timeout_seconds)?,
        };
        Ok((config, life))
    }
}

fn unknown_idle(name: &str, api: &SessionApi) -> String {
    let known: Vec<_> = api.idle_loops.keys().map(String::as_str).collect();
    match known.is_empty() {
        true => format!("`idle`: unknown idle loop {name:?}; this server has none"),
        false => {
            format!("`idle`: unknown idle loop {name:?}; expected one of {}", known.join(", "))
        }
    }
}

fn within<T: PartialOrd + Display>(
    name: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<T, String> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(format!("`{name}` must be from {} to {}", range.start(), range.end())),
    }
}

/// Codecs in order of preference, none of them twice.
fn codecs<C>(member: &str, names: &[String]) -> Result<Vec<C>, String>
where
    C: FromStr<Err: Display> + PartialEq,
{
    let mut codecs: Vec<C> = Vec::new();
    for name in names {
        let codec = name.parse().map_err(|error| format!("`{member}`: {error}"))?;
        if codecs.contains(&codec) {
            return Err(format!("`{member}` names the same codec twice"));
        }
        codecs.push(codec);
    }
    match codecs.is_empty() {
        true => Err(format!("`{member}` names no codec")),
        false => Ok(codecs),
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Size {
    width: u32,
    height: u32,
}

impl From<FrameSize> for Size {
    fn from(size: FrameSize) -> Self {
        Self { width: size.width(), height: size.height() }
    }
}

/// What a session came out as, as JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    video_codec: Vec<&'static str>,
    audio_codec: Vec<&'static str>,
    size: Option<Size>,
    fps: u32,
    /// Bit/s.
    video_bitrate: u64,
    /// Bit/s.
    min_video_bitrate: u64,
    rungs: Vec<String>,
    /// Bit/s.
    audio_bitrate: u64,
    idle_grace_ms: u64,
    max_viewers: Option<usize>,
    pub(crate) private: bool,
    lifetime_seconds: Option<u64>,
    idle_timeout_seconds: Option<u64>,
}

impl Settings {
    pub(crate) fn new(config: &SessionConfig, life: Life) -> Self {
        Self {
            video_codec: config.video_codecs.iter().map(|codec| codec.name()).collect(),
            audio_codec: config.audio_codecs.iter().map(|codec| codec.name()).collect(),
            size: config.size.map(Size::from),
            fps: config.fps,
            video_bitrate: config.video_bitrate.bps(),
            min_video_bitrate: config.min_video_bitrate.bps(),
            rungs: config.rungs.iter().map(ToString::to_string).collect(),
            audio_bitrate: config.audio_bitrate.bps(),
            idle_grace_ms: u64::try_from(config.idle_grace.as_millis()).unwrap_or(u64::MAX),
            max_viewers: config.max_peers,
            private: config.max_peers == Some(1),
            lifetime_seconds: life.lifetime.map(|time| time.as_secs()),
            idle_timeout_seconds: life.idle_timeout.map(|time| time.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use visavis::audio::AudioCodec;
    use visavis::video::VideoCodec;

    use super::*;
    use crate::sessions::request_body::RequestBody;

    fn resolve(body: Value) -> Result<(SessionConfig, Life), String> {
        let body: RequestBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        let request = body.into_request()?;
        request.resolve(&SessionApi::default(), &Encoders::software(), || "fresh".to_owned())
    }

    #[test]
    fn what_is_left_open_is_as_in_the_template() {
        let (config, life) = resolve(json!({})).unwrap();
        assert_eq!((config.id.as_str(), config.fps, config.max_peers), ("fresh", 30, None));
        assert_eq!(life, Life::default());
        let (config, life) = resolve(json!({
            "id": "anna", "videoCodec": ["vp9", "H264"], "audioCodec": "pcmu", "fps": 25,
            "size": {"width": 320, "height": 240}, "videoBitrate": 800_000, "minVideoBitrate": 200_000, "rungs": ["50%:300"], "private": true, "packetMs": 10, "idleGraceMs": 200,
            "lifetimeSeconds": 60, "metadata": {"voice": "low"},
        }))
        .unwrap();
        assert_eq!(config.id.as_str(), "anna");
        assert_eq!(config.video_codecs, [VideoCodec::Vp9, VideoCodec::H264]);
        assert_eq!(config.audio_codecs, [AudioCodec::Pcmu]);
        assert_eq!(
            (config.fps, config.video_bitrate.bps(), config.max_peers),
            (25, 800_000, Some(1))
        );
        assert_eq!(config.min_video_bitrate.bps(), 200_000);
        assert_eq!(config.rungs, [RungConfig::new(50, Bitrate::from_kbps(300))]);
        assert_eq!(life, Life { lifetime: Some(Duration::from_secs(60)), idle_timeout: None });
        let settings = serde_json::to_value(Settings::new(&config, life)).unwrap();
        assert_eq!(settings["videoCodec"], json!(["VP9", "H264"]));
        assert_eq!(settings["rungs"], json!(["50%:300"]));
        assert_eq!(settings["size"], json!({"width": 320, "height": 240}));
        assert_eq!((&settings["private"], &settings["maxViewers"]), (&json!(true), &json!(1)));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (body, named) in [
            (json!({"colour": "red"}), "colour"),
            (json!({"id": "a b"}), "`id`"),
            (json!({"id": "create"}), "`id`"),
            (json!({"idle": "../../etc/passwd"}), "`idle`"),
            (json!({"videoCodec": "mpeg2"}), "`videoCodec`"),
            (json!({"videoCodec": []}), "`videoCodec`"),
            (json!({"audioCodec": ["opus", "OPUS"]}), "`audioCodec`"),
            (json!({"videoCodec": 7}), "list of names"),
            (json!({"size": {"width": 321, "height": 240}}), "`size`"),
            (json!({"size": {"width": 8192, "height": 240}}), "`size`"),
            (json!({"size": {"width": 320}}), "height"),
            (json!({"fps": 0}), "`fps`"),
            (json!({"fps": 121}), "`fps`"),
            (json!({"videoBitrate": 1}), "`videoBitrate`"),
            (json!({"minVideoBitrate": 60_000_000}), "`minVideoBitrate`"),
            (json!({"rungs": ["half:300"]}), "`rungs`"),
            (json!({"audioBitrate": 1}), "`audioBitrate`"),
            (json!({"packetMs": 15}), "`packetMs`"),
            (json!({"maxViewers": 0}), "`maxViewers`"),
            (json!({"private": true, "maxViewers": 2}), "`private`"),
            (json!({"lifetimeSeconds": 0}), "`lifetimeSeconds`"),
            (json!({"idleTimeoutSeconds": 99_999_999_999_u64}), "`idleTimeoutSeconds`"),
        ] {
            let error = resolve(body.clone()).map(|_| ()).unwrap_err();
            assert!(error.contains(named), "{body}: {error}");
        }
    }
}
