//! docs/visavis.toml, made from the definitions.

use super::definition::{Definition, Shape};
use super::table::definitions;

/// Columns of the file.
const WIDTH: usize = 100;

const HEAD: &str = "\
Settings of `visavis serve`, with their defaults. Use it with `visavis serve --config visavis.toml`.

Every key can also be set by an environment variable, such as VISAVIS_LISTEN for `listen` (those of STUN and TURN: \
WEBRTC_STUN_URLS and so on), and, but for those of STUN and TURN, by a flag, such as --listen. Variables override the \
file, flags override variables. Keys that are commented out have no default. An unknown key is an error. A list may \
also be one text with commas.";

/// A settings file with every key, its help and its default.
pub fn example() -> String {
    let mut out = String::new();
    let definitions = definitions();
    for paragraph in HEAD.split("\n\n") {
        comment(&mut out, paragraph);
        out.push_str("#\n");
    }
    out.truncate(out.len() - 2);
    let mut section = "";
    for definition in &definitions {
        if definition.section != section {
            section = definition.section;
            let rule = format!("# --- {section} ");
            let dashes = "-".repeat(WIDTH.saturating_sub(rule.len()));
            out.push_str(&format!("\n{rule}{dashes}\n"));
        }
        out.push('\n');
        describe(&mut out, definition, &definitions);
        match &definition.default_toml {
            Some(default) => out.push_str(&format!("{} = {default}\n", definition.key)),
            None => out.push_str(&format!("# {} = {}\n", definition.key, definition.spec.example)),
        }
    }
    out
}

fn describe(out: &mut String, definition: &Definition, all: &[Definition]) {
    // In a file a list needs no repetition.
    let mut text = format!("{}.", definition.help().replace("; repeat for several", ""));
    match definition.spec.range {
        Some((least, u64::MAX)) => text.push_str(&format!(" At least {least}.")),
        Some((least, greatest)) => text.push_str(&format!(" From {least} to {greatest}.")),
        None => {}
    }
    if !definition.spec.choices.is_empty() {
        text.push_str(&format!(" Values: {}.", definition.spec.choices.join(", ")));
    }
    if let Some(details) = definition.details() {
        text.push_str(&format!(" {details}"));
    }
    let mut text = with_keys(&text, all);
    if let Some(unset) = definition.spec.unset {
        text.push_str(&format!(" If not set: {unset}."));
    }
    comment(out, &text);
}

/// Names settings by their keys instead of their flags.
fn with_keys(text: &str, all: &[Definition]) -> String {
    let mut flags: Vec<_> =
        all.iter().filter(|definition| definition.spec.shape != Shape::NoFlag).collect();
    // `--rtp-video-codec` before `--rtp-video`.
    flags.sort_by_key(|definition| std::cmp::Reverse(definition.spec.flag.len()));
    flags.iter().fold(text.to_owned(), |text, definition| {
        text.replace(&format!("--{}", definition.spec.flag), &format!("`{}`", definition.key))
    })
}

/// Adds a paragraph of comment lines.
fn comment(out: &mut String, text: &str) {
    for line in wrap(text, WIDTH - 2) {
        out.push_str(&format!("# {line}\n"));
    }
}

/// Breaks a paragraph into lines.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
