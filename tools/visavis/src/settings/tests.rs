use std::path::PathBuf;

use tempfile::TempDir;
use visavis::encoder::Encoders;
use visavis::video::VideoCodec;

use super::example::example;
use super::layers::load_with;
use super::*;
use crate::cli;

const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/visavis.toml"));

/// A settings file, an environment and a command line.
struct Layers {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Layers {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    fn file(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("visavis.toml")
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// With these flags, and without the file.
    fn load(&self, line: &str) -> Result<Settings, SettingsError> {
        self.load_flags(&flags(line))
    }

    fn load_with_file(&self, line: &str) -> Result<Settings, SettingsError> {
        self.load_flags(&Flags { config: Some(self.path()), ..flags(line) })
    }

    fn load_flags(&self, flags: &Flags) -> Result<Settings, SettingsError> {
        load_with(flags, self.environment.iter().cloned())
    }

    /// The error for this file.
    fn refused(&self, file: &str) -> String {
        self.file(file);
        self.load_with_file("").unwrap_err().to_string()
    }
}

fn flags(line: &str) -> Flags {
    let words = ["visavis", "serve"].into_iter().chain(line.split_ascii_whitespace());
    cli::try_parse_from(words).unwrap()
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let mut layers = Layers::new();
    assert_eq!(layers.load(""), Ok(Settings::default()));
    layers.file(
        "bitrate = 900\nfps = 25\nmax_clients = 7\nannounce = ['10.0.0.1', '203.0.113.7:20638']\n",
    );
    layers.set("VISAVIS_FPS", "50");
    layers.set("VISAVIS_MAX_CLIENTS", "8");
    layers.set("VISAVIS_PAGE_TITLE", "2026");
    let settings = layers.load_with_file("--max-clients 9").unwrap();
    assert_eq!((settings.bitrate, settings.fps, settings.max_clients), (900, Some(50), 9));
    let announced: Vec<String> = settings.announce.iter().map(ToString::to_string).collect();
    assert_eq!(announced, ["10.0.0.1", "203.0.113.7:20638"]);
    assert_eq!(settings.log, "info");
    assert_eq!(settings.page_title.as_deref(), Some("2026"));
    let settings = layers.load("--page-title Anna --page-logo anna.svg").unwrap();
    assert_eq!(settings.page_title.as_deref(), Some("Anna"));
    assert_eq!(settings.page_logo, Some("anna.svg".into()));
}

#[test]
fn the_environment_has_lists_and_texts_that_look_like_numbers() {
    let mut layers = Layers::new();
    layers.set("VISAVIS_ANNOUNCE", "10.0.0.1, 2001:db8::1");
    layers.set("WEBRTC_STUN_URLS", "stun:a:3478,stun:b:3478");
    layers.set("WEBRTC_TURN_URLS", "turn:c:3478?transport=udp");
    layers.set("WEBRTC_TURN_USER", "12345");
    layers.set("WEBRTC_TURN_PASS", "true");
    layers.set("visavis_timecode", "true");
    layers.set("VISAVIS_LOG", "");
    layers.set("VISAVIS_SOMETHING_ELSE", "1");
    let settings = layers.load("").unwrap();
    assert_eq!(settings.announce.len(), 2);
    assert_eq!(settings.stun_urls, ["stun:a:3478", "stun:b:3478"]);
    assert_eq!(settings.turn_user.as_deref(), Some("12345"));
    assert_eq!(settings.turn_pass.as_deref(), Some("true"));
    assert!(settings.timecode);
    assert_eq!(settings.log, "info");
}

#[test]
fn each_flag_has_a_variable_of_its_name() {
    for definition in definitions().iter().filter(|d| d.spec.shape != Shape::NoFlag) {
        let variable = format!("VISAVIS_{}", definition.spec.flag.replace('-', "_").to_uppercase());
        assert!(definition.variables().contains(&variable), "{variable}");
    }
    let mut layers = Layers::new();
    layers.set("VISAVIS_ALLOWED_HOST", "a.example,b.example");
    layers.set("VISAVIS_TRUSTED_PROXY", "none");
    layers.set("VISAVIS_IDLE_LOOP", "rest=a.png");
    let settings = layers.load("").unwrap();
    assert_eq!(settings.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(settings.trusted_proxies, ["none"]);
    assert_eq!(settings.idle_loops.len(), 1);
}

#[test]
fn smaller_pictures_are_given_by_side_bitrate_and_rate() {
    let mut layers = Layers::new();
    let rungs =
        |settings: Settings| settings.rungs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let settings = layers.load("--rung 50%:300 --rung 25%:120:15").unwrap();
    assert_eq!(rungs(settings), ["50%:300", "25%:120:15"]);
    layers.set("VISAVIS_RUNG", "75%:600,40%:200");
    assert_eq!(rungs(layers.load("").unwrap()), ["75%:600", "40%:200"]);
    let text = layers.refused("rungs = ['half:300']\n");
    assert!(text.contains("\"half:300\"; expected SIDE%:KBPS"), "{text}");
}

#[test]
fn every_setting_is_read_from_flag_variable_and_file() {
    for definition in definitions() {
        let (key, spec) = (definition.key, definition.spec);
        let text = match (&spec.choices, &definition.default, spec.example) {
            ([first, ..], ..) => (*first).to_owned(),
            (_, _, example) if !example.is_empty() => example.trim_matches('"').to_owned(),
            (_, Some(default), _) => default.clone(),
            _ if key == "announce" => "10.0.0.1".to_owned(),
            _ if key == "rungs" => "50%:300".to_owned(),
            _ => "name=value".to_owned(),
        };
        let given = Given::Text(text.clone());
        let mut expected = Settings::default();
        expected.set(&definition, &given).unwrap();
        let mut from_toml = Settings::default();
        let number = text.parse::<i64>().map(toml::Value::Integer);
        let switch = text.parse::<bool>().map(toml::Value::Boolean);
        let value = number.or(switch).unwrap_or_else(|_| toml::Value::String(text.clone()));
        from_toml.set(&definition, &Given::Toml(value)).unwrap();
        assert_eq!(from_toml, expected, "{key}");
        if matches!(spec.shape, Shape::NoFlag | Shape::Switch) {
            continue;
        }
        let flags = flags(&format!("--{} {text}", spec.flag));
        let mut from_flag = Settings::default();
        from_flag.set(&definition, &flags.values[key]).unwrap();
        assert_eq!(from_flag, expected, "{key}");
    }
}

#[test]
fn errors_name_the_place_the_key_the_value_and_the_range() {
    let mut layers = Layers::new();
    let text = layers.refused("bitrat = 900\n");
    assert!(text.contains("visavis.toml") && text.contains("`bitrat`"), "{text}");
    let text = layers.refused("listen = 'here'\n");
    assert!(text.contains("visavis.toml") && text.contains("`listen`"), "{text}");
    assert!(text.contains("\"here\"; expected IP:PORT"), "{text}");
    let text = layers.refused("video_codec = 'mpeg2'\n");
    assert!(text.contains("H264, VP8"), "{text}");
    if !Encoders::software().codecs().contains(VideoCodec::Av1) {
        assert!(layers.refused("video_codec = 'av1'\n").contains("`--features av1`"));
    }
    let text = layers.refused("fps = 0\n");
    assert!(text.contains("1 to 120") && text.contains("invalid value 0"), "{text}");
    assert!(layers.refused("bitrate = 49\n").contains("50 to 50000"));
    assert!(layers.refused("packet_ms = 15\n").contains("10 or 20"));
    assert!(layers.refused("loops = 65\n").contains("1 to 64"));
    assert!(layers.refused("max_clients = 0\n").contains("at least 1"));
    assert!(layers.refused("max_sessions = -1\n").contains("at least 1"));
    assert!(layers.refused("fps = '30'\n").contains("a number"));
    assert!(layers.refused("json = 1\n").contains("true or false"));
    assert!(layers.refused("audio_codec = ['opus', 'OPUS']\n").contains("twice"));
    assert!(layers.refused("audio_codec = []\n").contains("at least one"));
    assert!(layers.refused("size = '512'\n").contains("WIDTHxHEIGHT"));
    assert!(layers.refused("size = '511x512'\n").contains("must be even"));
    assert!(layers.refused("tls_cert = 'a.pem'\n").contains("tls_key"));
    assert!(layers.refused("turn_user = 'a'\n").contains("turn_urls"));
    assert!(layers.refused("\nbitrate = \n").contains("line 2"));
    layers.set("VISAVIS_BITRATE", "lots");
    let text = layers.load("").unwrap_err().to_string();
    assert!(text.contains("environment") && text.contains("`bitrate`"), "{text}");
    assert!(text.contains("VISAVIS_BITRATE") && text.contains("\"lots\""), "{text}");
}

#[test]
fn errors_of_settings_together_name_where_they_were_set() {
    let mut layers = Layers::new();
    layers.set("VISAVIS_TLS_CERT", "a.pem");
    let text = layers.load("").unwrap_err().to_string();
    assert!(text.contains("VISAVIS_TLS_CERT"), "{text}");
    let text = Layers::new().load("--tls-key a.pem").unwrap_err().to_string();
    assert!(text.contains("--tls-key") && text.contains("`tls_cert`"), "{text}");
}

#[test]
fn a_named_file_has_to_be_there() {
    let text = Layers::new().load_with_file("").unwrap_err().to_string();
    assert!(text.contains("cannot read ") && text.contains("visavis.toml"), "{text}");
}

#[test]
fn demo_wins_over_a_file_that_says_play() {
    let layers = Layers::new();
    layers.file("play = 'a.mp4'\n");
    assert_eq!(layers.load_with_file("").unwrap().play, Some("a.mp4".into()));
    assert_eq!(layers.load_with_file("--demo").unwrap().play, None);
}

#[test]
fn there_is_one_source_and_flags_choose_it() {
    let layers = Layers::new();
    let rtp = "rtp_video = '127.0.0.1:5004'\nrtp_video_codec = 'vp8'\n";
    layers.file(rtp);
    let settings = layers.load_with_file("").unwrap();
    assert_eq!(settings.rtp_video, Some("127.0.0.1:5004".parse().unwrap()));
    assert_eq!(settings.rtp_video_codec, VideoCodec::Vp8);
    assert_eq!(layers.load_with_file("--play a.mp4").unwrap().rtp_video, None);
    for (other, what) in [
        ("play = 'a.mp4'", "two sources"),
        ("timecode = true", "timecode"),
        ("per_visitor = true", "per_visitor"),
        ("rtp_video_pt = 200", "0 to 127"),
    ] {
        let text = layers.refused(&format!("{rtp}{other}\n"));
        assert!(text.contains(what), "{text}");
    }
    layers.file(rtp);
    let settings = layers.load_with_file("--echo").unwrap();
    assert_eq!((settings.echo, settings.rtp_video), (true, None));
    layers.file("play = 'a.mp4'\necho = true\n");
    assert!(layers.load_with_file("").unwrap_err().to_string().contains("echo"));
    assert!(!layers.load_with_file("--demo").unwrap().echo);
    for beside in [
        "rtp_audio = '127.0.0.1:5006'",
        "rtp_video_feedback = '127.0.0.1:5009'",
        "rtp_video_adaptive = true",
    ] {
        assert!(layers.refused(&format!("{beside}\n")).contains("goes with"), "{beside}");
    }
}

#[test]
fn the_annotated_example_says_what_the_defaults_are() {
    let layers = Layers::new();
    layers.file(EXAMPLE);
    assert_eq!(layers.load_with_file(""), Ok(Settings::default()));
}

#[test]
fn the_annotated_example_shows_every_key() {
    for definition in definitions() {
        let shown = EXAMPLE.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            line.strip_prefix(definition.key).is_some_and(|rest| rest.starts_with(" = "))
        });
        assert!(shown, "{}", definition.key);
    }
}

/// `BLESS=1 cargo test --workspace --lib annotated` rewrites the file.
#[test]
fn the_annotated_example_is_what_the_definitions_give() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/visavis.toml");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, example()).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap();
    assert!(
        file == example(),
        "docs/visavis.toml is not what tools/visavis/src/settings/table.rs gives; \
         BLESS=1 cargo test -p visavis-cli --lib annotated writes it anew"
    );
}
