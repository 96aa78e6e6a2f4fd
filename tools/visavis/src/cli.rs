//! The command line, made from the definitions of the settings.

use std::ffi::OsString;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::settings::{Definition, Flags, Given, Shape, definitions, wrap};

/// Columns of lists in the help.
const WIDTH: usize = 90;

const EXAMPLES: &str = "\
Examples:
  visavis serve                               a talking face on http://localhost:8081/
  visavis serve --play talk.mp4               your own video and sound, in a loop
  visavis serve --echo                        the face repeats what you say into your microphone
  visavis serve --per-visitor                 a separate face for each visitor
  visavis serve --api --listen 127.0.0.1:8081 your program creates sessions over HTTP (docs/http.md)
  visavis serve --listen 127.0.0.1:0 --json   any free port, printed in a line of JSON
  visavis serve --announce 203.0.113.7 --udp 0.0.0.0:40000
                                              on a cloud machine behind 1:1 NAT; open UDP 40000
";

const MORE_EXAMPLES: &str = "  \
  visavis serve --rtp-video 127.0.0.1:5004 --rtp-audio 127.0.0.1:5006
                                              what ffmpeg or GStreamer encode, sent as it is:
      ffmpeg -re -stream_loop -1 -i talk.mp4 \
        -an -c:v libx264 -profile:v baseline -tune zerolatency -g 30 -f rtp rtp://127.0.0.1:5004 \
        -vn -c:a libopus -ac 1 -f rtp rtp://127.0.0.1:5006
      gst-launch-1.0 videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=30 \
        ! rtph264pay config-interval=-1 ! udpsink host=127.0.0.1 port=5004 \
        audiotestsrc is-live=true ! opusenc ! rtpopuspay ! udpsink host=127.0.0.1 port=5006
  visavis serve --tls-cert cert.pem --tls-key key.pem
                                              HTTPS, which browsers require for a microphone on
                                              anything but localhost
  visavis serve --config visavis.toml         settings from a file; docs/visavis.toml has all keys
";

/// Reads the arguments of this process. Ends it for `--help` (0), `--version` (0) and usage errors (2).
pub fn parse() -> Flags {
    flags(&command().get_matches())
}

/// Reads these arguments, the name of the program first.
///
/// # Errors
///
/// Usage errors; `--help` and `--version` too.
pub fn try_parse_from<T: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = T>,
) -> Result<Flags, clap::Error> {
    command().try_get_matches_from(arguments).map(|matches| flags(&matches))
}

fn command() -> Command {
    let more_help = format!("{EXAMPLES}\n`visavis serve --help` explains every setting.");
    let serve = Command::new("serve")
        .about("Serve a page and stream to everyone who opens it")
        .after_help(more_help.clone())
        .after_long_help(long_help())
        .arg(config())
        .args(definitions().into_iter().filter_map(argument))
        .arg(demo());
    Command::new("visavis")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Puts a live face on a web page")
        .after_help(more_help)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve)
}

fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE.toml")
        .value_parser(value_parser!(std::path::PathBuf))
        .help("TOML file with settings; docs/visavis.toml has all keys, with their defaults")
}

fn demo() -> Arg {
    Arg::new("demo").long("demo").action(ArgAction::SetTrue).help_heading("Source").help(
        "Show the built-in talking face, 512x512, whatever source the file names [the default]",
    )
}

/// The flag of a setting, if it has one.
fn argument(definition: Definition) -> Option<Arg> {
    let spec = definition.spec;
    let help = summary(&definition);
    let long_help = match definition.details() {
        Some(details) => format!("{help}\n\n{details}"),
        None => help.clone(),
    };
    let arg = Arg::new(definition.key)
        .long(spec.flag)
        .help_heading(definition.section)
        .help(help)
        .long_help(long_help)
        .conflicts_with_all(spec.conflicts);
    let arg = match spec.shape {
        Shape::NoFlag => return None,
        Shape::Switch => return Some(arg.action(ArgAction::SetTrue)),
        Shape::Toggle => arg.num_args(0..=1).default_missing_value("true"),
        Shape::Value => arg,
        Shape::List => arg.action(ArgAction::Append),
        Shape::Preferences => arg.action(ArgAction::Append).value_delimiter(','),
    };
    Some(arg.value_name(spec.value_name).value_parser(parser(&definition)).ignore_case(true))
}

/// The help of a setting, with its default and its range.
fn summary(definition: &Definition) -> String {
    let mut text = definition.help();
    let default = match definition.spec.shape {
        Shape::Switch => None,
        _ => definition.default.as_deref().or(definition.spec.unset),
    };
    if let Some(default) = default {
        text.push_str(&format!(" [default: {default}]"));
    }
    match definition.spec.range {
        Some((least, u64::MAX)) => text.push_str(&format!(" [at least {least}]")),
        Some((least, greatest)) => text.push_str(&format!(" [range: {least} to {greatest}]")),
        None => {}
    }
    text
}

/// Takes the values that the setting takes.
fn parser(definition: &Definition) -> ValueParser {
    let (spec, check) = (definition.spec, definition.check);
    if spec.shape == Shape::Toggle {
        return PossibleValuesParser::new(["true", "false"]).into();
    }
    if !spec.choices.is_empty() {
        return PossibleValuesParser::new(spec.choices).into();
    }
    ValueParser::from(move |text: &str| {
        let given = match spec.shape {
            Shape::List => Given::Texts(vec![text.to_owned()]),
            _ => Given::Text(text.to_owned()),
        };
        check(&given, &spec).map(|()| text.to_owned()).map_err(|invalid| invalid.reason)
    })
}

fn long_help() -> String {
    let variables: Vec<String> =
        definitions().iter().filter_map(|definition| definition.variables().pop()).collect();
    let variables: Vec<String> =
        wrap(&variables.join(", "), WIDTH).iter().map(|line| format!("     {line}")).collect();
    format!(
        "{EXAMPLES}{MORE_EXAMPLES}
Settings come from four places, each overriding the one before:
  1. the defaults named above
  2. the file given with --config
  3. the environment; lists are separated by commas:
{}
  4. the flags

SIGINT (Ctrl-C) and SIGTERM disconnect every viewer and end the program with exit code 0; a second
one ends it at once. SIGHUP reloads the certificate. Exit codes: 1 for errors, 2 for a wrong command
line, 70 for a fault of the program itself.",
        variables.join("\n")
    )
}

/// What was given.
fn flags(matches: &ArgMatches) -> Flags {
    let Some((_, matches)) = matches.subcommand() else { return Flags::default() };
    let mut flags = Flags {
        config: matches.get_one("config").cloned(),
        demo: matches.get_flag("demo"),
        ..Flags::default()
    };
    for definition in definitions() {
        if let Some(given) = given(&definition, matches) {
            flags.values.insert(definition.key, given);
        }
    }
    flags
}

fn given(definition: &Definition, matches: &ArgMatches) -> Option<Given> {
    let key = definition.key;
    match definition.spec.shape {
        Shape::NoFlag => None,
        Shape::Switch => matches.get_flag(key).then(|| Given::Text("true".to_owned())),
        Shape::Toggle | Shape::Value => matches.get_one::<String>(key).cloned().map(Given::Text),
        Shape::List | Shape::Preferences => {
            matches.get_many::<String>(key).map(|texts| Given::Texts(texts.cloned().collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn contradictions_and_nonsense_are_usage_errors() {
        for bad in [
            &["visavis", "serve", "--demo", "--play", "a.mp4"][..],
            &["visavis", "serve", "--demo", "--rtp-video", "127.0.0.1:0"],
            &["visavis", "serve", "--play", "a.mp4", "--rtp-audio", "127.0.0.1:0"],
            &["visavis", "serve", "--echo", "--play", "a.mp4"],
            &["visavis", "serve", "--echo", "--rtp-video", "127.0.0.1:0"],
            &["visavis", "serve", "--rtp-video-pt", "128"],
            &["visavis", "serve", "--fps", "0"],
            &["visavis", "serve", "--video-codec", "mpeg2"],
            &["visavis", "serve", "--audio-codec", "opus,g729"],
            &["visavis", "serve", "--packet-ms", "30"],
            &["visavis", "serve", "--listen", "8081"],
            &["visavis"],
        ] {
            assert!(try_parse_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn usage_errors_name_flag_value_and_range() {
        let text = try_parse_from(["visavis", "serve", "--fps", "200"]).unwrap_err().to_string();
        for part in ["'200'", "--fps", "expected a number from 1 to 120"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn help_names_every_default() {
        let help = command().find_subcommand_mut("serve").unwrap().render_long_help();
        let help = help.to_string();
        for default in ["0.0.0.0:8081", "0.0.0.0:0", "[default: info]", "1500", "[default: 100]"] {
            assert!(help.contains(default), "{default}");
        }
        for variable in definitions().iter().flat_map(Definition::variables) {
            // Lists have two, of which one is named.
            let known = help.contains(&variable) || variable.ends_with('S');
            assert!(known || variable == "VISAVIS_TRUSTED_PROXIES", "{variable}");
        }
    }
}
