//! Settings in four layers: defaults, file, environment, flags.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use visavis::{AnnouncedAddress, AudioCodec, ENCODERS, FrameSize, VideoCodec};

use crate::cli::ServeFlags;

/// Everything `visavis serve` can be told. The keys of a settings file are the names of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the page, the HTTP API and the WebSocket listen (TCP).
    pub listen: SocketAddr,
    /// Where the one UDP socket for all media listens.
    pub udp: SocketAddr,
    /// Addresses told to browsers, each with a port where that is mapped; empty: every address of this machine.
    #[serde(deserialize_with = "list", serialize_with = "texts")]
    pub announce: Vec<AnnouncedAddress>,
    /// Certificate chain for HTTPS, as PEM; with `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// Private key for HTTPS, as PEM.
    pub tls_key: Option<PathBuf>,
    /// The file to play; without one it is the demo face.
    pub play: Option<PathBuf>,
    /// Whether the demo face says what visitors say.
    pub echo: bool,
    /// What is seen while nothing is sent: an image or a film; without one it is a face at rest.
    pub idle: Option<PathBuf>,
    /// Idle loops that sessions made over HTTP may ask for, each `NAME=FILE`.
    #[serde(deserialize_with = "list")]
    pub idle_loops: Vec<NamedFile>,
    /// Where an encoder sends its video as RTP; then that is shown.
    pub rtp_video: Option<SocketAddr>,
    /// What that encoder makes.
    #[serde(deserialize_with = "codec", serialize_with = "codec_name")]
    pub rtp_video_codec: VideoCodec,
    /// The payload type of that video; `None`: of the first packet.
    pub rtp_video_pt: Option<u8>,
    /// Where an encoder sends its sound (Opus) as RTP.
    pub rtp_audio: Option<SocketAddr>,
    /// A level or a filter for the log.
    pub log: String,
    /// Video codecs in order of preference.
    #[serde(deserialize_with = "codecs", serialize_with = "codec_names")]
    pub video_codec: Vec<VideoCodec>,
    /// Audio codecs in order of preference.
    #[serde(deserialize_with = "codecs", serialize_with = "codec_names")]
    pub audio_codec: Vec<AudioCodec>,
    /// How many milliseconds of sound are in one packet, 10 or 20.
    pub packet_ms: u32,
    /// Whether Opus carries coarse copies against loss.
    pub opus_fec: bool,
    /// Whether Opus rests while nobody speaks.
    pub opus_dtx: bool,
    /// Whether Opus is sent twice.
    pub opus_red: bool,
    /// What all pictures are scaled to; `None`: each keeps its own size.
    #[serde(deserialize_with = "size", serialize_with = "size_text")]
    pub size: Option<FrameSize>,
    /// Frames per second of the demo; a file keeps its own rate.
    pub fps: Option<u32>,
    /// Target rate of the video in kbit/s.
    pub bitrate: u64,
    /// Viewers at once.
    pub max_clients: usize,
    /// Whether sessions can be made, listed and ended over HTTP.
    pub api: bool,
    /// Whether each visitor gets a session of its own.
    pub per_visitor: bool,
    /// Sessions made over HTTP and for visitors at once.
    pub max_sessions: usize,
    /// Origins whose pages may use the HTTP API and the WebSocket; `*`: all.
    #[serde(deserialize_with = "list")]
    pub cors: Vec<String>,
    /// Where visitors find the server, if that is behind a proxy.
    pub public_url: Option<String>,
    /// Names that the server goes by.
    #[serde(deserialize_with = "list")]
    pub allowed_hosts: Vec<String>,
    /// Proxies that are believed: addresses, networks, `loopback`, `private`, `none`.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// Media loops that share out the viewers.
    pub loops: usize,
    /// The processor core the media loop stays on.
    pub media_core: Option<usize>,
    /// Whether the threads that keep time run with real-time priority.
    pub realtime: bool,
    /// Whether the time of sending is painted into each picture.
    pub timecode: bool,
    /// Whether the ready line is JSON.
    pub json: bool,
    /// STUN servers told to browsers.
    #[serde(deserialize_with = "list")]
    pub stun_urls: Vec<String>,
    /// TURN servers told to browsers.
    #[serde(deserialize_with = "list")]
    pub turn_urls: Vec<String>,
    /// The user for the TURN servers.
    pub turn_user: Option<String>,
    /// The password for the TURN servers.
    pub turn_pass: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            listen: any(8081),
            udp: any(0),
            announce: Vec::new(),
            tls_cert: None,
            tls_key: None,
            play: None,
            idle: None,
            idle_loops: Vec::new(),
            echo: false,
            rtp_video: None,
            rtp_video_codec: VideoCodec::H264,
            rtp_video_pt: None,
            rtp_audio: None,
            log: String::from("info"),
            video_codec: vec![VideoCodec::H264],
            audio_codec: vec![AudioCodec::Opus],
            packet_ms: 20,
            opus_fec: true,
            opus_dtx: false,
            opus_red: false,
            size: None,
            fps: None,
            bitrate: 1_500,
            max_clients: 100,
            api: false,
            per_visitor: false,
            max_sessions: 100,
            cors: Vec::new(),
            public_url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: vec![String::from("loopback")],
            loops: 1,
            media_core: None,
            realtime: false,
            timecode: false,
            json: false,
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            turn_user: None,
            turn_pass: None,
        }
    }
}

/// Variables named `VISAVIS_` and one of these. Others of that prefix belong to somebody else.
const OWN_VARIABLES: [&str; 36] = [
    "listen",
    "udp",
    "announce",
    "tls_cert",
    "tls_key",
    "play",
    "idle",
    "idle_loops",
    "echo",
    "rtp_video",
    "rtp_video_codec",
    "rtp_video_pt",
    "rtp_audio",
    "log",
    "video_codec",
    "audio_codec",
    "packet_ms",
    "opus_fec",
    "opus_dtx",
    "opus_red",
    "size",
    "fps",
    "bitrate",
    "max_clients",
    "api",
    "per_visitor",
    "max_sessions",
    "cors",
    "public_url",
    "allowed_hosts",
    "trusted_proxies",
    "loops",
    "media_core",
    "realtime",
    "timecode",
    "json",
];

/// Variables named `WEBRTC_` and one of these.
const ICE_VARIABLES: [&str; 4] = ["stun_urls", "turn_urls", "turn_user", "turn_pass"];

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

/// Settings that cannot be used, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

/// Puts the layers together and checks the result.
pub fn load(flags: &ServeFlags) -> Result<Settings, SettingsError> {
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    if let Some(path) = &flags.config {
        figment = figment.merge(file(path)?);
    }
    figment = figment
        .merge(Text(Env::prefixed("VISAVIS_").only(&OWN_VARIABLES)))
        .merge(Text(Env::prefixed("WEBRTC_").only(&ICE_VARIABLES)))
        .merge(Flags(flags));
    let mut settings: Settings = figment.extract().map_err(|error| describe(&error))?;
    // A source named on the command line wins over one in the file.
    let rtp = flags.rtp_video.is_some() || flags.rtp_audio.is_some();
    if flags.demo || flags.play.is_some() || flags.echo {
        (settings.rtp_video, settings.rtp_audio) = (None, None);
    }
    if flags.demo || flags.echo || rtp {
        settings.play = None;
    }
    if flags.demo || flags.play.is_some() || rtp {
        settings.echo = false;
    }
    settings.check()?;
    Ok(settings)
}

/// Reads the settings file, of which there has to be one if it is named.
fn file(path: &Path) -> Result<figment::providers::Data<Toml>, SettingsError> {
    // Figment skips a file that is not there.
    if let Err(error) = std::fs::File::open(path) {
        return Err(SettingsError(format!("cannot read {}: {error}", path.display())));
    }
    Ok(Toml::file_exact(path))
}

/// Where a wrong setting came from, its key, and what is wrong with it.
fn describe(error: &figment::Error) -> SettingsError {
    use figment::error::Kind;
    let place = match &error.metadata {
        Some(metadata) => match &metadata.source {
            Some(source) => format!("{source}: "),
            None => format!("{}: ", metadata.name),
        },
        None => String::new(),
    };
    let key = error.path.join(".");
    let what = match &error.kind {
        Kind::UnknownField(field, known) => {
            format!("unknown key `{field}`; known are {}", known.join(", "))
        }
        other if key.is_empty() => other.to_string(),
        other => format!("`{key}`: {other}"),
    };
    SettingsError(format!("{place}{what}"))
}

impl Settings {
    fn check(&self) -> Result<(), SettingsError> {
        let refuse = |text: &str| Err(SettingsError(text.to_owned()));
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refuse("`tls_cert` and `tls_key` go together; one of them is missing");
        }
        if self.fps.is_some_and(|fps| !(1..=120).contains(&fps)) {
            return refuse("`fps` must be from 1 to 120");
        }
        if !(50..=50_000).contains(&self.bitrate) {
            return refuse("`bitrate` must be from 50 to 50000 (kbit/s)");
        }
        let rtp = self.rtp_video.is_some() || self.rtp_audio.is_some();
        if rtp && self.play.is_some() {
            return refuse("`play` and `rtp_video` or `rtp_audio` are two sources; name one");
        }
        if self.echo && (rtp || self.play.is_some()) {
            return refuse(
                "`echo` is a source of its own: it goes with neither `play` nor `rtp_video`",
            );
        }
        if rtp && self.per_visitor {
            return refuse(
                "`per_visitor`: what comes as RTP is one face for all; it goes with the talking face, `play` or `echo`",
            );
        }
        if rtp && self.timecode {
            return refuse("`timecode` cannot be painted into pictures that come encoded");
        }
        if self.rtp_video.is_none() && self.rtp_audio.is_some() {
            return refuse("`rtp_audio` goes with `rtp_video`");
        }
        if self.rtp_video_pt.is_some_and(|number| number > 127) {
            return refuse("`rtp_video_pt` must be from 0 to 127");
        }
        if let Some(codec) = self.video_codec.iter().find(|&&codec| !ENCODERS.contains(codec)) {
            return Err(SettingsError(format!(
                "`video_codec`: this build has no {codec} encoder; build it with `--features av1`"
            )));
        }
        if !matches!(self.packet_ms, 10 | 20) {
            return refuse("`packet_ms` must be 10 or 20");
        }
        if self.loops == 0 || self.loops > 64 {
            return refuse("`loops` must be from 1 to 64");
        }
        if self.max_clients == 0 {
            return refuse("`max_clients` must be at least 1");
        }
        if self.max_sessions == 0 {
            return refuse("`max_sessions` must be at least 1");
        }
        if self.turn_urls.is_empty() && (self.turn_user.is_some() || self.turn_pass.is_some()) {
            return refuse("`turn_user` and `turn_pass` are of no use without `turn_urls`");
        }
        Ok(())
    }
}

/// The environment as plain text: an address such as `10.0.0.1` or a password of digits is not to be
/// taken for a number, so only what is wanted as a number or a switch is made one.
struct Text(Env);

impl Provider for Text {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variable")
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        let typed = |key: &str, text: String| match key {
            "fps" | "bitrate" | "max_clients" | "max_sessions" | "loops" | "media_core"
            | "rtp_video_pt" | "packet_ms" => {
                text.parse::<u64>().map_or(Value::from(text), Value::from)
            }
            "api" | "per_visitor" | "realtime" | "timecode" | "json" | "opus_fec" | "opus_dtx"
            | "opus_red" => text.parse::<bool>().map_or(Value::from(text), Value::from),
            _ => Value::from(text),
        };
        // An empty variable is one that is not set.
        let given = self.0.iter().filter(|(_, text)| !text.is_empty());
        let dict = given.map(|(key, text)| (key.to_string(), typed(key.as_str(), text))).collect();
        Ok(Profile::Default.collect(dict))
    }
}

/// The flags that were given.
struct Flags<'a>(&'a ServeFlags);

impl Provider for Flags<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("command line")
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(self.0).data()
    }
}

/// A list, or a text of items separated by commas.
fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
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

fn codec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VideoCodec, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(de::Error::custom)
}

/// Codecs in order of preference, none of them twice.
fn codecs<'de, D, C>(deserializer: D) -> Result<Vec<C>, D::Error>
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

fn codec_names<S: Serializer, C: std::fmt::Display>(
    codecs: &[C],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(codecs.iter().map(ToString::to_string))
}

fn codec_name<S: Serializer>(codec: &VideoCodec, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(codec.name())
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FrameSize>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

pub(crate) fn size_text<S: Serializer>(
    size: &Option<FrameSize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    size.map(|size| size.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Jail;

    const EXAMPLE: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/visavis.toml"));

    fn with_file() -> ServeFlags {
        ServeFlags { config: Some("visavis.toml".into()), ..ServeFlags::default() }
    }

    /// Figment's jail gives each test a folder and an environment of its own.
    #[expect(clippy::result_large_err, reason = "the type is figment's")]
    fn jailed(test: impl FnOnce(&mut Jail)) {
        Jail::expect_with(|jail| {
            jail.clear_env();
            test(jail);
            Ok(())
        });
    }

    #[test]
    fn each_layer_lies_over_the_one_before() {
        jailed(|jail| {
            assert_eq!(load(&ServeFlags::default()), Ok(Settings::default()));
            let file = "bitrate = 900\nfps = 25\nmax_clients = 7\nannounce = ['10.0.0.1', '203.0.113.7:20638']\n";
            jail.create_file("visavis.toml", file).unwrap();
            jail.set_env("VISAVIS_FPS", "50");
            jail.set_env("VISAVIS_MAX_CLIENTS", "8");
            let flags = ServeFlags { max_clients: Some(9), ..with_file() };
            let settings = load(&flags).unwrap();
            assert_eq!((settings.bitrate, settings.fps, settings.max_clients), (900, Some(50), 9));
            let announced: Vec<String> =
                settings.announce.iter().map(ToString::to_string).collect();
            assert_eq!(announced, ["10.0.0.1", "203.0.113.7:20638"]);
            assert_eq!(settings.log, "info");
        });
    }

    #[test]
    fn the_environment_has_lists_and_texts_that_look_like_numbers() {
        jailed(|jail| {
            jail.set_env("VISAVIS_ANNOUNCE", "10.0.0.1, 2001:db8::1");
            jail.set_env("WEBRTC_STUN_URLS", "stun:a:3478,stun:b:3478");
            jail.set_env("WEBRTC_TURN_URLS", "turn:c:3478?transport=udp");
            jail.set_env("WEBRTC_TURN_USER", "12345");
            jail.set_env("WEBRTC_TURN_PASS", "true");
            jail.set_env("VISAVIS_TIMECODE", "true");
            jail.set_env("VISAVIS_LOG", "");
            jail.set_env("VISAVIS_SOMETHING_ELSE", "1");
            let settings = load(&ServeFlags::default()).unwrap();
            assert_eq!(settings.announce.len(), 2);
            assert_eq!(settings.stun_urls, ["stun:a:3478", "stun:b:3478"]);
            assert_eq!(settings.turn_user.as_deref(), Some("12345"));
            assert_eq!(settings.turn_pass.as_deref(), Some("true"));
            assert!(settings.timecode);
            assert_eq!(settings.log, "info");
        });
    }

    #[test]
    fn errors_name_the_place_and_the_key() {
        jailed(|jail| {
            let refused = |jail: &mut Jail, file: &str| {
                jail.create_file("visavis.toml", file).unwrap();
                load(&with_file()).unwrap_err().to_string()
            };
            let text = refused(jail, "bitrat = 900\n");
            assert!(text.contains("visavis.toml") && text.contains("`bitrat`"), "{text}");
            let text = refused(jail, "listen = 'here'\n");
            assert!(text.contains("visavis.toml") && text.contains("`listen`"), "{text}");
            let text = refused(jail, "video_codec = 'mpeg2'\n");
            assert!(text.contains("H264, VP8"), "{text}");
            if !ENCODERS.contains(VideoCodec::Av1) {
                assert!(refused(jail, "video_codec = 'av1'\n").contains("`--features av1`"));
            }
            assert!(refused(jail, "fps = 0\n").contains("1 to 120"));
            assert!(refused(jail, "size = '512'\n").contains("WIDTHxHEIGHT"));
            assert!(refused(jail, "size = '511x512'\n").contains("must be even"));
            assert!(refused(jail, "tls_cert = 'a.pem'\n").contains("tls_key"));
            assert!(refused(jail, "turn_user = 'a'\n").contains("turn_urls"));
            refused(jail, "bitrate = \n");
            jail.set_env("VISAVIS_BITRATE", "lots");
            let text = load(&ServeFlags::default()).unwrap_err().to_string();
            assert!(text.contains("environment") && text.contains("`bitrate`"), "{text}");
        });
    }

    #[test]
    fn a_named_file_has_to_be_there() {
        jailed(|_| {
            let text = load(&with_file()).unwrap_err().to_string();
            assert!(text.contains("cannot read visavis.toml"), "{text}");
        });
    }

    #[test]
    fn demo_wins_over_a_file_that_says_play() {
        jailed(|jail| {
            jail.create_file("visavis.toml", "play = 'a.mp4'\n").unwrap();
            assert_eq!(load(&with_file()).unwrap().play, Some("a.mp4".into()));
            let flags = ServeFlags { demo: true, ..with_file() };
            assert_eq!(load(&flags).unwrap().play, None);
        });
    }

    #[test]
    fn there_is_one_source_and_flags_choose_it() {
        jailed(|jail| {
            let rtp = "rtp_video = '127.0.0.1:5004'\nrtp_video_codec = 'vp8'\n";
            jail.create_file("visavis.toml", rtp).unwrap();
            let settings = load(&with_file()).unwrap();
            assert_eq!(settings.rtp_video, Some("127.0.0.1:5004".parse().unwrap()));
            assert_eq!(settings.rtp_video_codec, VideoCodec::Vp8);
            let flags = ServeFlags { play: Some("a.mp4".into()), ..with_file() };
            assert_eq!(load(&flags).unwrap().rtp_video, None);
            for (other, what) in [
                ("play = 'a.mp4'", "two sources"),
                ("timecode = true", "timecode"),
                ("rtp_video_pt = 200", "0 to 127"),
            ] {
                jail.create_file("visavis.toml", &format!("{rtp}{other}\n")).unwrap();
                let text = load(&with_file()).unwrap_err().to_string();
                assert!(text.contains(what), "{text}");
            }
            let echo = ServeFlags { echo: true, ..with_file() };
            jail.create_file("visavis.toml", rtp).unwrap();
            let settings = load(&echo).unwrap();
            assert_eq!((settings.echo, settings.rtp_video), (true, None));
            jail.create_file("visavis.toml", "play = 'a.mp4'\necho = true\n").unwrap();
            assert!(load(&with_file()).unwrap_err().to_string().contains("echo"));
            let flags = ServeFlags { demo: true, ..with_file() };
            assert!(!load(&flags).unwrap().echo);
            jail.create_file("visavis.toml", "rtp_audio = '127.0.0.1:5006'\n").unwrap();
            assert!(load(&with_file()).unwrap_err().to_string().contains("goes with"));
        });
    }

    #[test]
    fn the_annotated_example_says_what_the_defaults_are() {
        jailed(|jail| {
            jail.create_file("visavis.toml", EXAMPLE).unwrap();
            assert_eq!(load(&with_file()), Ok(Settings::default()));
        });
    }

    #[test]
    fn the_annotated_example_shows_every_key() {
        let all = serde_json::to_value(Settings::default()).unwrap();
        for key in all.as_object().unwrap().keys() {
            let shown = EXAMPLE.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(" = "))
            });
            assert!(shown, "{key}");
        }
    }
}
