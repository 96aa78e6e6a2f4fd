//! Puts the layers together: defaults, file, environment, flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::check::check;
use super::definition::Definition;
use super::error::SettingsError;
use super::given::Given;
use super::origin::{Origin, Origins};
use super::table::{Settings, definitions};

/// What was given on the command line.
#[derive(Debug, Default, Clone)]
pub struct Flags {
    /// The settings file.
    pub config: Option<PathBuf>,
    /// Whether `--demo` was given, which overrides the source in the file.
    pub demo: bool,
    /// The other flags, by the keys of their settings.
    pub(crate) values: BTreeMap<&'static str, Given>,
}

/// Puts the layers together and checks the result.
///
/// # Errors
///
/// When the file cannot be read, a key is not known, a value cannot be used, or settings do not go together.
pub fn load(flags: &Flags) -> Result<Settings, SettingsError> {
    let environment = std::env::vars_os().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    });
    load_with(flags, environment)
}

/// The same with another environment.
pub(super) fn load_with(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    // An empty variable is one that is not set.
    let environment: BTreeMap<String, String> = environment
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_uppercase(), value))
        .collect();
    let mut file = match &flags.config {
        Some(path) => read_file(path)?,
        None => toml::Table::new(),
    };
    let mut layers = Layers::default();
    for definition in definitions() {
        if let Some(path) = &flags.config
            && let Some(value) = file.remove(definition.key)
        {
            layers.set(&definition, &Given::Toml(value), Origin::File(path.clone()))?;
        }
        for name in definition.variables() {
            if let Some(value) = environment.get(&name) {
                layers.set(&definition, &Given::Text(value.clone()), Origin::Variable(name))?;
            }
        }
        if let Some(given) = flags.values.get(definition.key) {
            layers.set(&definition, given, Origin::Flag(definition.spec.flag))?;
        }
    }
    if let (Some(path), Some(key)) = (&flags.config, file.keys().next()) {
        let known: Vec<_> = definitions().iter().map(|definition| definition.key).collect();
        return Err(SettingsError::new(format!(
            "{}: unknown key `{key}`; expected one of {}",
            path.display(),
            known.join(", ")
        )));
    }
    let Layers { mut settings, origins } = layers;
    choose_source(&mut settings, flags);
    check(&settings, &origins)?;
    Ok(settings)
}

/// The settings so far, and where they come from.
#[derive(Default)]
struct Layers {
    settings: Settings,
    origins: Origins,
}

impl Layers {
    fn set(
        &mut self,
        definition: &Definition,
        given: &Given,
        origin: Origin,
    ) -> Result<(), SettingsError> {
        let key = definition.key;
        self.settings.set(definition, given).map_err(|invalid| {
            let (value, reason) = (invalid.value, invalid.reason);
            SettingsError::new(format!("{origin}: `{key}`: invalid value {value}; {reason}"))
        })?;
        self.origins.note(key, origin);
        Ok(())
    }
}

/// A source named on the command line wins over one that is named elsewhere.
fn choose_source(settings: &mut Settings, flags: &Flags) {
    let given = |key: &str| flags.values.contains_key(key);
    let (play, echo) = (given("play"), given("echo"));
    let rtp = given("rtp_video") || given("rtp_audio");
    if flags.demo || play || echo {
        (settings.rtp_video, settings.rtp_audio) = (None, None);
        (settings.rtp_video_feedback, settings.rtp_video_adaptive) = (None, false);
    }
    if flags.demo || echo || rtp {
        settings.play = None;
    }
    if flags.demo || play || rtp {
        settings.echo = false;
    }
}

fn read_file(path: &Path) -> Result<toml::Table, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::new(format!("cannot read {}: {error}", path.display())))?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        SettingsError::new(format!("{}, line {line}: {message}", path.display()))
    })
}
