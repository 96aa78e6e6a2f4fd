use figment::Jail;
use visavis::{Encoders, VideoCodec};

use super::*;
use crate::cli::ServeFlags;

const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/visavis.toml"));

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
        jail.set_env("VISAVIS_PAGE_TITLE", "2026");
        let flags = ServeFlags { max_clients: Some(9), ..with_file() };
        let settings = load(&flags).unwrap();
        assert_eq!((settings.bitrate, settings.fps, settings.max_clients), (900, Some(50), 9));
        let announced: Vec<String> = settings.announce.iter().map(ToString::to_string).collect();
        assert_eq!(announced, ["10.0.0.1", "203.0.113.7:20638"]);
        assert_eq!(settings.log, "info");
        assert_eq!(settings.page_title.as_deref(), Some("2026"));
        let flags = ServeFlags {
            page_title: Some("Anna".to_owned()),
            page_logo: Some("anna.svg".into()),
            ..ServeFlags::default()
        };
        let settings = load(&flags).unwrap();
        assert_eq!(settings.page_title.as_deref(), Some("Anna"));
        assert_eq!(settings.page_logo, Some("anna.svg".into()));
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
fn each_flag_has_a_variable_of_its_name() {
    use clap::CommandFactory;
    let cli = crate::cli::Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    for flag in serve.get_arguments().filter_map(clap::Arg::get_long) {
        let variable = flag.replace('-', "_");
        let key = layers::key_of(variable.as_str().into());
        let known = layers::OWN_VARIABLES.iter().any(|own| key == *own);
        assert!(known || ["config", "demo", "help"].contains(&flag), "{flag}");
    }
    jailed(|jail| {
        jail.set_env("VISAVIS_ALLOWED_HOST", "a.example,b.example");
        jail.set_env("VISAVIS_TRUSTED_PROXY", "none");
        jail.set_env("VISAVIS_IDLE_LOOP", "rest=a.png");
        let settings = load(&ServeFlags::default()).unwrap();
        assert_eq!(settings.allowed_hosts, ["a.example", "b.example"]);
        assert_eq!(settings.trusted_proxies, ["none"]);
        assert_eq!(settings.idle_loops.len(), 1);
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
        if !Encoders::software().codecs().contains(VideoCodec::Av1) {
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
