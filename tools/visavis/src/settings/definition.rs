//! The definition of a setting, of any type: names, help, default, range.

use super::given::{Given, Invalid};

/// How a setting is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not at all.
    NoFlag,
    /// `--flag`
    Switch,
    /// `--flag`, or `--flag true|false`
    Toggle,
    /// `--flag VALUE`
    Value,
    /// `--flag VALUE`, once for each item
    List,
    /// `--flag VALUE,VALUE`: at least one item, none of them twice
    Preferences,
}

/// The rest of a setting's definition, besides key, type, default and help.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// The flag, without its dashes.
    pub(crate) flag: &'static str,
    pub(crate) shape: Shape,
    /// Placeholder of the value in the help.
    pub(crate) value_name: &'static str,
    /// The least and the greatest number.
    pub(crate) range: Option<(u64, u64)>,
    /// The values there are, where these are few. Upper and lower case are the same.
    pub(crate) choices: &'static [&'static str],
    /// Keys of settings whose flags exclude this one's.
    pub(crate) conflicts: &'static [&'static str],
    /// What holds where nothing is set and there is no default value.
    pub(crate) unset: Option<&'static str>,
    /// A value as it is written in a file, for settings without a default value.
    pub(crate) example: &'static str,
}

impl Spec {
    const fn new(flag: &'static str, shape: Shape, value_name: &'static str) -> Self {
        let (choices, conflicts): (&[&str], &[&str]) = (&[], &[]);
        Self { flag, shape, value_name, range: None, choices, conflicts, unset: None, example: "" }
    }

    pub(super) const fn without_flag() -> Self {
        Self::new("", Shape::NoFlag, "")
    }

    pub(super) const fn switch(flag: &'static str) -> Self {
        Self::new(flag, Shape::Switch, "")
    }

    pub(super) const fn toggle(flag: &'static str, value_name: &'static str) -> Self {
        Self::new(flag, Shape::Toggle, value_name)
    }

    pub(super) const fn value(flag: &'static str, value_name: &'static str) -> Self {
        Self::new(flag, Shape::Value, value_name)
    }

    pub(super) const fn list(flag: &'static str, value_name: &'static str) -> Self {
        Self::new(flag, Shape::List, value_name)
    }

    pub(super) const fn preferences(flag: &'static str, value_name: &'static str) -> Self {
        Self::new(flag, Shape::Preferences, value_name)
    }

    pub(super) const fn range(mut self, least: u64, greatest: u64) -> Self {
        self.range = Some((least, greatest));
        self
    }

    pub(super) const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    pub(super) const fn conflicts(mut self, keys: &'static [&'static str]) -> Self {
        self.conflicts = keys;
        self
    }

    pub(super) const fn unset(mut self, text: &'static str) -> Self {
        self.unset = Some(text);
        self
    }

    pub(super) const fn example(mut self, toml: &'static str) -> Self {
        self.example = toml;
        self
    }

    /// The range or the choices, as text.
    pub(super) fn expected(&self) -> Option<String> {
        match (self.range, self.choices) {
            (Some((least, u64::MAX)), _) => Some(format!("a number of at least {least}")),
            (Some((least, greatest)), _) => Some(format!("a number from {least} to {greatest}")),
            (None, [others @ .., last]) if !others.is_empty() => {
                Some(format!("{} or {last}", others.join(", ")))
            }
            _ => None,
        }
    }
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its key in a settings file, and the name of its field.
    pub(crate) key: &'static str,
    /// What it belongs to.
    pub(crate) section: &'static str,
    /// The lines of its help.
    pub(super) doc: &'static [&'static str],
    pub(crate) spec: Spec,
    /// Its default as it is written on a command line, if there is one.
    pub(crate) default: Option<String>,
    /// Its default as it is written in a file, if there is one.
    pub(super) default_toml: Option<String>,
    /// Whether a value can be used.
    pub(crate) check: fn(&Given, &Spec) -> Result<(), Invalid>,
}

impl Definition {
    /// Its help in one sentence, without the full stop.
    pub(crate) fn help(&self) -> String {
        self.paragraphs().next().unwrap_or_default()
    }

    /// The rest of its help.
    pub(crate) fn details(&self) -> Option<String> {
        let paragraphs: Vec<_> = self.paragraphs().skip(1).collect();
        (!paragraphs.is_empty()).then(|| paragraphs.join("\n\n"))
    }

    fn paragraphs(&self) -> impl Iterator<Item = String> {
        let join =
            |lines: &[&str]| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        self.doc.split(|line| line.is_empty()).map(join)
    }

    /// The environment variables that set it; the last one wins.
    pub(crate) fn variables(&self) -> Vec<String> {
        if self.spec.shape == Shape::NoFlag {
            return vec![format!("WEBRTC_{}", self.key.to_uppercase())];
        }
        // A list's flag names one item; its variable may be named after either.
        let key = format!("VISAVIS_{}", self.key.to_uppercase());
        let flag = format!("VISAVIS_{}", self.spec.flag.replace('-', "_").to_uppercase());
        if key == flag { vec![key] } else { vec![key, flag] }
    }
}
