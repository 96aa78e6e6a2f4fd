//! What the commands of `visavis-bench` share: how reports are printed, and values of their arguments.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use crate::{Error, viewers};

/// A video codec that viewers decode.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Codec {
    #[value(name = "H264", alias = "h264")]
    H264,
    #[value(name = "VP8", alias = "vp8")]
    Vp8,
}

impl Codec {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
        }
    }
}

impl From<Codec> for viewers::VideoCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264,
            Codec::Vp8 => Self::Vp8,
        }
    }
}

/// Prints a report: as JSON, or as a table.
pub(crate) fn print<T: Serialize>(
    json: bool,
    report: &T,
    table: impl FnOnce() -> String,
) -> Result<(), Error> {
    let text = if json { serde_json::to_string(report)? } else { table() };
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}

/// Prints a line of progress to the standard error stream.
pub(crate) fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Fails with `--check` when figures are outside their limits.
pub(crate) fn check(check: bool, missed: Vec<String>) -> Result<(), Error> {
    if check && !missed.is_empty() { Err(Error::Missed(missed.join("; "))) } else { Ok(()) }
}

/// The one of `all` that has this name.
pub(crate) fn one_of<T: Copy>(
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
    name: &str,
) -> Result<T, String> {
    all.iter().copied().find(|&one| name_of(one) == name).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|&one| name_of(one)).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// A measuring time.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.1, 86_400.0)
}

/// A number of viewers.
pub(crate) fn viewers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=100_000) => Ok(count),
        _ => Err("expected a number from 1 to 100000".to_owned()),
    }
}

/// A number within a range.
pub(crate) fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_senseless_counts_of_viewers() {
        for text in ["0", "-1", "100001", "many"] {
            assert!(viewers(text).is_err(), "{text}");
        }
        assert_eq!(viewers("100"), Ok(100));
    }

    #[test]
    fn refuses_senseless_times() {
        assert!(seconds("0").is_err());
        assert!(seconds("NaN").is_err());
        assert!(seconds("ten").is_err());
        assert_eq!(seconds("2.5"), Ok(2.5));
    }
}
