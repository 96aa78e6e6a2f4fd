//! The figure that is kept, and where it holds.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// A figure and what it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub instructions_per_viewer_interval: f64,
    pub environment: Environment,
}

/// What changes a count without a change of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub rustc: String,
    pub libc: String,
    pub valgrind: String,
    pub target: String,
}

/// What comes of comparing two records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Within {
        kept: f64,
        off: f64,
        band: f64,
    },
    Outside {
        kept: f64,
        off: f64,
        band: f64,
    },
    /// Made elsewhere, or with something else.
    NotComparable {
        kept: f64,
        off: f64,
        differences: Vec<String>,
    },
}

impl Environment {
    pub(crate) fn here() -> Outcome<Self> {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        Ok(Self {
            rustc: first_line(&rustc, "--version")?,
            libc: first_line("ldd", "--version")?,
            valgrind: first_line("valgrind", "--version")?,
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        })
    }

    fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = [
            (&self.rustc, &other.rustc),
            (&self.libc, &other.libc),
            (&self.valgrind, &other.valgrind),
            (&self.target, &other.target),
        ];
        let different = pairs.into_iter().filter(|(a, b)| a != b);
        different.map(|(kept, here)| format!("{kept} then, {here} here")).collect()
    }
}

fn first_line(program: &str, argument: &str) -> Outcome<String> {
    let output = Command::new(program).arg(argument).output();
    let output = output.map_err(|error| format!("{program} {argument}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

impl Record {
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}; `make instructions BLESS=1`", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) fn write(&self, path: &Path) -> Outcome<()> {
        Ok(fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Compares a new record with this one.
    pub(crate) fn judge(&self, now: &Self, band: f64) -> Verdict {
        let kept = self.instructions_per_viewer_interval;
        let off = now.instructions_per_viewer_interval / kept - 1.0;
        let differences = self.environment.differences(&now.environment);
        if !differences.is_empty() {
            Verdict::NotComparable { kept, off, differences }
        } else if off.abs() <= band {
            Verdict::Within { kept, off, band }
        } else {
            Verdict::Outside { kept, off, band }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Within { kept, off, .. }
        | Self::Outside { kept, off, .. }
        | Self::NotComparable { kept, off, .. }) = self;
        write!(f, "{:+.2} % against the {kept:.0} that are kept: ", off * 100.0)?;
        match self {
            Self::Within { band, .. } => write!(f, "within ±{:.0} %", band * 100.0),
            Self::Outside { band, off, .. } => write!(
                f,
                "FAILED, outside ±{:.0} %. {}, keep the new figure with `make instructions BLESS=1` \
                 and say why in the commit.",
                band * 100.0,
                if *off < 0.0 { "An improvement" } else { "If it cannot be helped" }
            ),
            Self::NotComparable { differences, .. } => write!(
                f,
                "NOT JUDGED, the figure was made with something else ({}). \
                 `make instructions BLESS=1` keeps this one.",
                differences.join("; ")
            ),
        }
    }
}
