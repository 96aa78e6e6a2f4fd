//! The servers side by side.

use serde::Serialize;

use super::sum::Sum;
use crate::{Machine, Spread, Table};

/// All servers of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// One server each.
    pub rows: Vec<Row>,
}

/// One server.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its short name, as the command line takes it.
    pub name: &'static str,
    /// Its name for people.
    pub description: &'static str,
    /// Lines of its source, the renderer left out.
    pub lines: Option<usize>,
    /// Viewers.
    pub viewers: usize,
    /// How long it was measured, in seconds.
    pub seconds: f64,
    /// Cores that the server kept busy, its renderer included.
    pub cores: f64,
    /// From push to the time at which the browser expects the picture on the display, in ms.
    pub to_display_ms: Option<Spread>,
    /// From push to the frame callback, in ms.
    pub to_callback_ms: Option<Spread>,
    /// Different pictures presented per second.
    pub fps: f64,
    /// The longest time between two presented pictures, in ms.
    pub longest_gap_ms: f64,
    /// From the start of the navigation to the first presented picture, in ms: one figure a round.
    pub first_picture_ms: Vec<f64>,
    /// Why it could not be measured.
    pub error: Option<String>,
}

impl Row {
    pub(super) fn new(sum: Sum, viewers: usize) -> Self {
        let measured = sum.seconds > 0.0;
        Self {
            name: sum.kind.name(),
            description: sum.kind.description(),
            lines: sum.kind.lines(),
            viewers,
            seconds: sum.seconds,
            cores: if measured { sum.cpu.as_secs_f64() / sum.seconds } else { 0.0 },
            to_display_ms: sum.glass.to_display(),
            to_callback_ms: sum.glass.to_callback(),
            fps: if measured { sum.glass.fps() } else { 0.0 },
            longest_gap_ms: sum.glass.longest_gap_ms(),
            first_picture_ms: sum.first_picture_ms,
            error: sum.error.map(|error| error.to_string()),
        }
    }
}

impl Report {
    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new([
            "server",
            "lines",
            "viewers",
            "cores",
            "CPU ms/viewer-s",
            "display p50 ms",
            "p99 ms",
            "page p50 ms",
            "p99 ms",
            "fps",
            "longest gap ms",
        ]);
        for row in self.rows.iter().filter(|row| row.error.is_none()) {
            let of = |spread: Option<Spread>, figure: fn(&Spread) -> f64| {
                spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.1}", figure(&spread)))
            };
            table.row([
                row.description.to_owned(),
                row.lines.map_or_else(|| "–".to_owned(), |lines| lines.to_string()),
                row.viewers.to_string(),
                format!("{:.2}", row.cores),
                format!("{:.1}", row.cores * 1_000.0 / row.viewers.max(1) as f64),
                of(row.to_display_ms, |spread| spread.p50),
                of(row.to_display_ms, |spread| spread.p99),
                of(row.to_callback_ms, |spread| spread.p50),
                of(row.to_callback_ms, |spread| spread.p99),
                format!("{:.1}", row.fps),
                format!("{:.0}", row.longest_gap_ms),
            ]);
        }
        let mut text = format!("{}\n\n{table}", self.machine.line());
        for row in &self.rows {
            if let Some(error) = &row.error {
                text.push_str(&format!("{}: not measured: {error}\n", row.description));
            }
        }
        text
    }
}
