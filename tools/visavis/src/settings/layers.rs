use std::path::Path;

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Uncased, UncasedStr, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::check::SettingsError;
use super::fields::Settings;
use crate::cli::ServeFlags;

/// Variables named `VISAVIS_` and one of these. Others of that prefix belong to somebody else.
pub(super) const OWN_VARIABLES: [&str; 38] = [
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
    "page_title",
    "page_logo",
    "loops",
    "media_core",
    "realtime",
    "timecode",
    "json",
];

/// Variables named `WEBRTC_` and one of these.
const ICE_VARIABLES: [&str; 4] = ["stun_urls", "turn_urls", "turn_user", "turn_pass"];

/// The variable as the key of its setting: flags that are given once for each item are named after one.
pub(super) fn key_of(variable: &UncasedStr) -> Uncased<'_> {
    let items = [
        ("idle_loop", "idle_loops"),
        ("allowed_host", "allowed_hosts"),
        ("trusted_proxy", "trusted_proxies"),
    ];
    let key = items.into_iter().find(|(item, _)| variable == item).map(|(_, key)| key);
    key.map_or_else(|| variable.into(), Uncased::from)
}

/// Puts the layers together and checks the result.
pub fn load(flags: &ServeFlags) -> Result<Settings, SettingsError> {
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    if let Some(path) = &flags.config {
        figment = figment.merge(file(path)?);
    }
    figment = figment
        .merge(Text(Env::prefixed("VISAVIS_").map(key_of).only(&OWN_VARIABLES)))
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
