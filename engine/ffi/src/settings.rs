//! Settings by name, as docs/visavis.toml has them, and the configurations that they amount to. They come from a struct
//! or from a text.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use visavis::address::AnnouncedAddress;
use visavis::audio::{AudioCodec, OpusSettings, PacketTime};
use visavis::encoder::EncoderChoice;
use visavis::engine::Scheduling;
use visavis::idle::IdleLoop;
use visavis::session::SessionId;
use visavis::units::Bitrate;
use visavis::video::{FrameSize, PlayoutDelay, RungConfig, VideoCodec};
use visavis::{EngineConfig, SessionConfig};
use visavis_film::idle;
use visavis_signaling::{IceServer, PageBranding, SessionApi, SignalingConfig, TlsFiles};

use crate::status::{Error, Result};

/// What a setting is given as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<String>),
}

/// The settings that were given.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings(BTreeMap<&'static str, Value>);

/// An hour, in milliseconds: more than anybody waits for.
const HOUR_MS: i64 = 3_600_000;

impl Settings {
    pub(crate) fn set(&mut self, key: &'static str, value: Value) {
        self.0.insert(key, value);
    }

    /// Sets a text, where there is one.
    pub(crate) fn text(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.set(key, Value::Text(text.to_owned()));
        }
    }

    pub(crate) fn number(&mut self, key: &'static str, number: impl Into<i64>) {
        self.set(key, Value::Number(number.into()));
    }

    pub(crate) fn flag(&mut self, key: &'static str, flag: u32) {
        self.set(key, Value::Flag(flag != 0));
    }

    fn take_text(&self, key: &str) -> Result<Option<&str>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(key, other, "a text")),
        }
    }

    fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>> {
        let Some(text) = self.take_text(key)? else { return Ok(None) };
        let value = text.parse();
        value.map(Some).map_err(|_| wrong(key, &Value::Text(text.to_owned()), expected))
    }

    /// A list, or one text with commas.
    fn list(&self, key: &str) -> Result<Option<Vec<String>>> {
        let texts: Vec<&str> = match self.0.get(key) {
            None => return Ok(None),
            Some(Value::Text(text)) => text.split(',').collect(),
            Some(Value::List(texts)) => texts.iter().map(String::as_str).collect(),
            Some(other) => {
                return Err(wrong(key, other, "a list of texts, or one text with commas"));
            }
        };
        let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
        Ok(Some(texts.map(str::to_owned).collect()))
    }

    fn parsed_list<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<Vec<T>>> {
        let Some(texts) = self.list(key)? else { return Ok(None) };
        let parse = |text: String| {
            let value = text.parse();
            value.map_err(|_| wrong(key, &Value::Text(text), expected))
        };
        texts.into_iter().map(parse).collect::<Result<_>>().map(Some)
    }

    /// Codecs in order of preference.
    fn codecs<T: FromStr + PartialEq>(&self, key: &str, known: &str) -> Result<Option<Vec<T>>> {
        let Some(codecs) = self.parsed_list::<T>(key, known)? else { return Ok(None) };
        if codecs.is_empty() {
            return Err(Error::config(format_args!("invalid {key} \"\"; expected {known}")));
        }
        if (1..codecs.len()).any(|at| codecs[..at].contains(&codecs[at])) {
            return Err(Error::config(format_args!("invalid {key}: a codec is there twice")));
        }
        Ok(Some(codecs))
    }

    fn take_number<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<T>> {
        let expected = || format!("{} to {}", range.start(), range.end());
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) if range.contains(number) => {
                let value = T::try_from(*number);
                value.map(Some).map_err(|_| wrong(key, &Value::Number(*number), &expected()))
            }
            Some(other) => Err(wrong(key, other, &expected())),
        }
    }

    fn milliseconds(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<Duration>> {
        Ok(self.take_number(key, range)?.map(Duration::from_millis))
    }

    fn take_flag(&self, key: &str) -> Result<Option<bool>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong(key, other, "true or false")),
        }
    }
}

const VIDEO_CODECS: &str = "H264, VP8, VP9 or AV1";
const AUDIO_CODECS: &str = "opus, pcmu or pcma";
const ADDRESS: &str = "IP:PORT, such as 0.0.0.0:8081";
const COUNT: RangeInclusive<i64> = 1..=1_000_000;

fn wrong(key: &str, value: &Value, expected: &str) -> Error {
    let value = match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(texts) => format!("{texts:?}"),
    };
    Error::config(format_args!("invalid {key} {value}; expected {expected}"))
}

/// Sets a field of a configuration where there is a value for it.
macro_rules! apply {
    ($config:ident, $($field:ident = $value:expr;)+) => {
        $(if let Some(value) = $value {
            $config.$field = value;
        })+
    };
}

/// Settings of the engine, by name.
pub(crate) const ENGINE_KEYS: &[&str] = &[
    "udp",
    "announce",
    "ice_tcp",
    "ice_tcp_port",
    "loops",
    "media_core",
    "realtime",
    "max_clients",
    "connect_timeout_ms",
    "event_capacity",
    "encoder",
    "gpu",
];

/// The settings of an engine.
pub(crate) fn engine_config(settings: &Settings) -> Result<EngineConfig> {
    let mut config = EngineConfig::default();
    let announced = "IP or IP:PORT, such as 203.0.113.7 or 203.0.113.7:20638";
    apply! { config,
        udp = settings.parsed("udp", ADDRESS)?;
        announce = settings.parsed_list::<AnnouncedAddress>("announce", announced)?;
        ice_tcp = settings.take_flag("ice_tcp")?;
        media_loops = settings.take_number("loops", 1..=64)?;
        max_peers = settings.take_number("max_clients", COUNT)?;
        connect_timeout = settings.milliseconds("connect_timeout_ms", 1..=HOUR_MS)?;
        event_capacity = settings.take_number("event_capacity", 1..=65_536)?;
        encoder = settings.parsed::<EncoderChoice>("encoder", "auto, nvenc or software")?;
        gpu = settings.take_number("gpu", 0..=63)?;
    }
    config.ice_tcp_port = settings.take_number("ice_tcp_port", 1..=65_535)?;
    let core = settings.take_number("media_core", 0..=65_535)?;
    let realtime = settings.take_flag("realtime")?.unwrap_or_default();
    config.scheduling = Scheduling::default().media_core(core).realtime(realtime);
    Ok(config)
}

/// Settings of a session, by name.
pub(crate) const SESSION_KEYS: &[&str] = &[
    "id",
    "video_codec",
    "encoded",
    "adaptive_encoder",
    "audio_codec",
    "packet_ms",
    "opus_fec",
    "opus_dtx",
    "opus_red",
    "size",
    "fps",
    "bitrate",
    "min_bitrate",
    "rungs",
    "audio_bitrate",
    "max_viewers",
    "playout_min_ms",
    "playout_max_ms",
    "microphone_rate",
    "audio_queue_ms",
    "utterance_bytes",
    "idle_grace_ms",
    "idle",
];

/// The settings of a session.
pub(crate) fn session_config(settings: &Settings) -> Result<SessionConfig> {
    let mut config = SessionConfig::default();
    let kbps = |key, range| {
        Ok::<_, Error>(settings.take_number::<u64>(key, range)?.map(Bitrate::from_kbps))
    };
    apply! { config,
        id = settings.parsed::<SessionId>("id", "1 to 64 characters from A-Z a-z 0-9 . _ -")?;
        video_codecs = settings.codecs("video_codec", VIDEO_CODECS)?;
        audio_codecs = settings.codecs::<AudioCodec>("audio_codec", AUDIO_CODECS)?;
        fps = settings.take_number("fps", 1..=120)?;
        video_bitrate = kbps("bitrate", 50..=50_000)?;
        min_video_bitrate = kbps("min_bitrate", 0..=50_000)?;
        rungs = settings.parsed_list::<RungConfig>("rungs", "SIDE%:KBPS or SIDE%:KBPS:FPS, such as 50%:300")?;
        audio_bitrate = kbps("audio_bitrate", 6..=510)?;
        microphone_rate = settings.take_number("microphone_rate", 8_000..=48_000)?;
        audio_queue = settings.milliseconds("audio_queue_ms", 100..=HOUR_MS)?;
        utterance_bytes = settings.take_number("utterance_bytes", 0..=i64::MAX)?;
        idle_grace = settings.milliseconds("idle_grace_ms", 0..=60_000)?;
    }
    if let Some(path) = settings.take_text("idle")? {
        config.idle = Some(idle::open(Path::new(path))?);
    }
    config.encoded = settings.parsed::<VideoCodec>("encoded", VIDEO_CODECS)?;
    config.adaptive_encoder = settings.take_flag("adaptive_encoder")?.unwrap_or_default();
    config.size = settings.parsed::<FrameSize>("size", "WIDTHxHEIGHT, such as 512x512")?;
    config.max_peers = settings.take_number("max_viewers", COUNT)?;
    config.packet_time = match settings.take_number::<i64>("packet_ms", 10..=20)? {
        Some(10) => PacketTime::Ms10,
        None | Some(20) => PacketTime::Ms20,
        Some(other) => return Err(wrong("packet_ms", &Value::Number(other), "10 or 20")),
    };
    let opus = OpusSettings::default();
    let (fec, dtx, red) = (opus.fec, opus.dtx, opus.red);
    config.opus = opus
        .fec(settings.take_flag("opus_fec")?.unwrap_or(fec))
        .dtx(settings.take_flag("opus_dtx")?.unwrap_or(dtx))
        .red(settings.take_flag("opus_red")?.unwrap_or(red));
    let delay = |key| settings.milliseconds(key, 0..=40_950);
    let (min, max) = (delay("playout_min_ms")?, delay("playout_max_ms")?);
    let min = min.unwrap_or_default();
    let max = max.unwrap_or(min);
    if max < min {
        return Err(Error::config(
            "invalid playout_max_ms; expected at least as much as playout_min_ms",
        ));
    }
    config.playout_delay = PlayoutDelay { min, max };
    Ok(config)
}

/// Settings of the signaling server, by name.
pub(crate) const SERVER_KEYS: &[&str] = &[
    "listen",
    "default_session",
    "video_codec",
    "audio_codec",
    "max_clients",
    "tls_cert",
    "tls_key",
    "public_url",
    "allowed_hosts",
    "trusted_proxies",
    "cors",
    "stun_urls",
    "turn_urls",
    "turn_user",
    "turn_pass",
    "api",
    "per_visitor",
    "max_sessions",
    "idle_loops",
    "page_title",
    "page_logo",
];

/// The settings of a signaling server.
pub(crate) fn server_config(settings: &Settings) -> Result<SignalingConfig> {
    let mut config = SignalingConfig::default();
    let owned = |key| Ok::<_, Error>(settings.take_text(key)?.map(str::to_owned));
    apply! { config,
        listen = settings.parsed::<SocketAddr>("listen", ADDRESS)?;
        default_session =
            settings.parsed("default_session", "1 to 64 characters from A-Z a-z 0-9 . _ -")?;
        video_codec = settings.codecs("video_codec", VIDEO_CODECS)?.and_then(|all| all.first().copied());
        audio_codec = settings.codecs("audio_codec", AUDIO_CODECS)?.and_then(|all| all.first().copied());
        max_clients = settings.take_number("max_clients", COUNT)?;
        allowed_hosts = settings.list("allowed_hosts")?;
        trusted_proxies = settings.list("trusted_proxies")?;
        cors = settings.list("cors")?;
    }
    config.tls = match (owned("tls_cert")?, owned("tls_key")?) {
        (Some(cert), Some(key)) => Some(TlsFiles::new(cert, key)),
        (None, None) => None,
        _ => return Err(Error::config("tls_cert and tls_key go together; one of them is missing")),
    };
    config.public_url = owned("public_url")?;
    let stun = settings.list("stun_urls")?.unwrap_or_default();
    if !stun.is_empty() {
        config.ice_servers.push(IceServer::new(stun));
    }
    let turn = settings.list("turn_urls")?.unwrap_or_default();
    let (user, password) = (owned("turn_user")?, owned("turn_pass")?);
    if !turn.is_empty() {
        config.ice_servers.push(IceServer::new(turn).username(user).credential(password));
    }
    let template = session_config(settings)?;
    let sessions = settings.take_number("max_sessions", COUNT)?;
    config.api = SessionApi::default()
        .manage(settings.take_flag("api")?.unwrap_or_default())
        .per_visitor(settings.take_flag("per_visitor")?.unwrap_or_default())
        .max_sessions(sessions.unwrap_or(100))
        .idle_loops(idle_loops(settings)?)
        .template(template.encoded(None));
    let logo = owned("page_logo")?.map(Into::into);
    config.page = PageBranding::default().title(owned("page_title")?).logo(logo);
    Ok(config)
}

/// What sessions that are made over HTTP can choose from, by name.
fn idle_loops(settings: &Settings) -> Result<BTreeMap<String, IdleLoop>> {
    let open = |named: String| {
        let (name, path) = named
            .split_once('=')
            .ok_or_else(|| wrong("idle_loops", &Value::Text(named.clone()), "NAME=FILE"))?;
        Ok((name.to_owned(), idle::open(Path::new(path))?))
    };
    settings.list("idle_loops")?.unwrap_or_default().into_iter().map(open).collect()
}

/// Settings of the `visavis` command that have no meaning for a library, and why.
pub(crate) const KEYS_OF_THE_COMMAND: &[(&str, &str)] = &[
    ("play", "push the pictures"),
    ("echo", "push the pictures"),
    ("timecode", "push the pictures"),
    ("rtp_video", "push encoded pictures"),
    ("rtp_video_codec", "push encoded pictures"),
    ("rtp_video_pt", "push encoded pictures"),
    ("rtp_video_feedback", "push encoded pictures"),
    ("rtp_video_adaptive", "push encoded pictures"),
    ("rtp_audio", "push Opus packets"),
    ("log", "set a log callback"),
    ("json", "ask the server for its URL"),
];
