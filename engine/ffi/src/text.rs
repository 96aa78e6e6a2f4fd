//! Settings as TOML or JSON.

use serde_json::Value as Json;
use toml::Value as Toml;

use crate::settings::{
    ENGINE_KEYS, KEYS_OF_THE_COMMAND, SERVER_KEYS, SESSION_KEYS, Settings, Value,
};
use crate::status::{Error, Result};

/// More than any settings have.
const MAX_BYTES: usize = 1 << 20;

/// Reads settings, those of engine, session and server alike: one text can have all of them. What begins with `{` is
/// JSON, anything else TOML.
pub(crate) fn settings(text: &str) -> Result<Settings> {
    if text.len() > MAX_BYTES {
        return Err(Error::config(format_args!(
            "the settings are {} bytes long; expected at most {MAX_BYTES}",
            text.len()
        )));
    }
    let given: Vec<(String, Option<Value>, String)> = match text.trim_start().starts_with('{') {
        true => {
            let read: serde_json::Map<String, Json> = serde_json::from_str(text)
                .map_err(|error| Error::config(format_args!("invalid JSON: {error}")))?;
            read.into_iter().map(|(key, value)| (key, of_json(&value), value.to_string())).collect()
        }
        false => {
            let read: toml::Table = text
                .parse()
                .map_err(|error| Error::config(format_args!("invalid TOML: {error}")))?;
            read.into_iter()
                .map(|(key, value)| (key, of_toml(&value), format!("{value:?}")))
                .collect()
        }
    };
    let mut settings = Settings::default();
    for (key, value, shown) in given {
        let known = known(&key)?;
        let value = value.ok_or_else(|| {
            let expected = "expected a text, a number, true, false, or a list of texts";
            Error::config(format_args!("invalid {key} {shown}; {expected}"))
        })?;
        settings.set(known, value);
    }
    Ok(settings)
}

fn known(key: &str) -> Result<&'static str> {
    let mut all = [ENGINE_KEYS, SESSION_KEYS, SERVER_KEYS].into_iter().flatten().copied();
    if let Some(known) = all.find(|known| *known == key) {
        return Ok(known);
    }
    if let Some((_, instead)) = KEYS_OF_THE_COMMAND.iter().find(|(known, _)| *known == key) {
        return Err(Error::config(format_args!(
            "{key} is a setting of the visavis command; with the library, {instead}"
        )));
    }
    let all: Vec<_> = [ENGINE_KEYS, SESSION_KEYS, SERVER_KEYS].concat();
    Err(Error::config(format_args!("unknown setting {key:?}; expected one of {}", all.join(", "))))
}

fn of_json(value: &Json) -> Option<Value> {
    Some(match value {
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => Value::Number(number.as_i64()?),
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Array(items) => Value::List(
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        ),
        Json::Null | Json::Object(_) => return None,
    })
}

fn of_toml(value: &Toml) -> Option<Value> {
    Some(match value {
        Toml::String(text) => Value::Text(text.clone()),
        Toml::Integer(number) => Value::Number(*number),
        Toml::Boolean(flag) => Value::Flag(*flag),
        Toml::Array(items) => Value::List(
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        ),
        Toml::Float(_) | Toml::Datetime(_) | Toml::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use visavis::video::VideoCodec;

    use super::*;
    use crate::settings::{engine_config, server_config, session_config};

    fn refused(text: &str) -> String {
        let read = settings(text).and_then(|settings| {
            engine_config(&settings)?;
            session_config(&settings)?;
            server_config(&settings)
        });
        read.map(|_| ()).unwrap_err().text
    }

    #[test]
    fn one_text_has_the_settings_of_all_three_in_toml_and_json() {
        let toml = r#"
            udp = "127.0.0.1:0"
            max_clients = 7
            listen = "127.0.0.1:0"
            video_codec = ["VP9", "H264"]
            bitrate = 900
            opus_dtx = true
            stun_urls = "stun:a, stun:b"
        "#;
        let json = r#" {"udp": "127.0.0.1:0", "max_clients": 7, "listen": "127.0.0.1:0",
            "video_codec": "VP9,H264", "bitrate": 900, "opus_dtx": true, "stun_urls": ["stun:a", "stun:b"]}"#;
        for text in [toml, json] {
            let settings = settings(text).unwrap();
            let engine = engine_config(&settings).unwrap();
            assert_eq!((engine.udp.to_string().as_str(), engine.max_peers), ("127.0.0.1:0", 7));
            let session = session_config(&settings).unwrap();
            assert_eq!(session.video_codecs, [VideoCodec::Vp9, VideoCodec::H264]);
            assert_eq!((session.video_bitrate.bps(), session.opus.dtx), (900_000, true));
            let server = server_config(&settings).unwrap();
            assert_eq!((server.max_clients, server.video_codec), (7, VideoCodec::Vp9));
            assert_eq!(server.ice_servers[0].urls, ["stun:a", "stun:b"]);
        }
        assert_eq!(settings("").unwrap(), Settings::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_expected() {
        let said = refused("bitrat = 5");
        assert!(said.starts_with("unknown setting \"bitrat\"; expected one of udp, "), "{said}");
        assert_eq!(
            refused("play = \"a.mp4\""),
            "play is a setting of the visavis command; with the library, push the pictures"
        );
        assert_eq!(refused("bitrate = 5"), "invalid bitrate 5; expected 50 to 50000");
        assert_eq!(refused("bitrate = \"5\""), "invalid bitrate \"5\"; expected 50 to 50000");
        assert_eq!(
            refused("size = \"x\""),
            "invalid size \"x\"; expected WIDTHxHEIGHT, such as 512x512"
        );
        assert_eq!(refused("packet_ms = 15"), "invalid packet_ms 15; expected 10 or 20");
        assert_eq!(
            refused("video_codec = []"),
            "invalid video_codec \"\"; expected H264, VP8, VP9 or AV1"
        );
        assert!(
            refused("udp = [1]").contains("expected a text, a number"),
            "{}",
            refused("udp = [1]")
        );
        assert!(refused("{\"udp\": 1").starts_with("invalid JSON: "));
        assert!(refused("udp = ").starts_with("invalid TOML: "));
        assert!(refused("tls_cert = \"a\"").contains("go together"));
        assert!(refused(&" ".repeat(MAX_BYTES + 1)).contains("at most"));
    }

    /// The keys that the command has too are those of docs/visavis.toml: none of them is unknown here.
    #[test]
    fn each_key_of_the_command_is_known_or_explained() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/visavis.toml");
        let example = std::fs::read_to_string(file).unwrap();
        let keys = example.lines().filter_map(|line| {
            let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
            key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(key)
        });
        let mut count = 0;
        for key in keys {
            count += 1;
            let said = known(key).map_or_else(|error| error.text, str::to_owned);
            assert!(said == key || said.contains("is a setting of the visavis command"), "{said}");
        }
        assert!(count > 40, "{count}");
    }
}
