//! The figures side by side.

use serde::Serialize;

use super::load::Load;
use super::server_kind::ServerKind;
use crate::{Error, Machine, Spread, Table, floor};

/// All servers of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// What encryption and the best send path alone cost with as many viewers; where visavis was
    /// measured too.
    pub floor: Option<floor::Report>,
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
    /// Viewers.
    pub viewers: usize,
    /// What was measured; nothing where it could not be.
    pub figures: Option<Figures>,
    /// Why it could not be measured.
    pub error: Option<String>,
}

/// What one server costs, and how fast it is.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// How long it was measured, in seconds.
    pub seconds: f64,
    /// Processor time of all its processes per viewer and second, in milliseconds.
    pub cpu_ms_per_viewer_second: f64,
    /// Cores that were busy with neither the server nor the viewers and the feeder: where this is not
    /// next to nothing, something else ran on the machine and the figures mean less.
    pub other_cores: f64,
    /// Resident memory per viewer, in KiB: what the viewers added to the memory before the first.
    pub resident_kib_per_viewer: f64,
    /// From the push of a frame to its last packet at a viewer, over all frames and viewers, in
    /// milliseconds; nothing where the server makes its own media.
    pub every_viewer_ms: Option<Spread>,
    /// From the push of a frame to its last packet at the last viewer, over all frames, in
    /// milliseconds.
    pub last_viewer_ms: Option<Spread>,
    /// Between complete frames, over all frames of all viewers, in milliseconds.
    pub frame_gap_ms: Option<Spread>,
    /// RTP packets that a viewer received in a second.
    pub packets_per_viewer_second: f64,
    /// Packets that never came.
    pub lost: u64,
    /// Frames that did not reach every viewer within one and a half seconds.
    pub incomplete_frames: u64,
    /// Processor time of the viewers themselves per viewer and second, in milliseconds.
    pub own_cpu_ms_per_viewer_second: f64,
}

impl Row {
    pub(super) fn new(server: ServerKind, viewers: usize, outcome: Result<Load, Error>) -> Self {
        let (figures, error) = match outcome {
            Ok(load) => (Some(Figures::new(&load, viewers)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let (name, description) = (server.name(), server.description());
        Self { name, description, viewers, figures, error }
    }
}

impl Figures {
    fn new(load: &Load, viewers: usize) -> Self {
        let viewers = viewers.max(1) as f64;
        let viewer_seconds = load.duration.as_secs_f64() * viewers;
        let (before, after) = load.resident;
        let measured = &load.measured;
        Self {
            seconds: load.duration.as_secs_f64(),
            cpu_ms_per_viewer_second: load.cpu.as_secs_f64() * 1_000.0 / viewer_seconds,
            other_cores: load.others.as_secs_f64() / load.duration.as_secs_f64(),
            resident_kib_per_viewer: after.saturating_sub(before) as f64 / 1_024.0 / viewers,
            every_viewer_ms: measured.every_viewer_ms,
            last_viewer_ms: measured.last_viewer_ms,
            frame_gap_ms: load.viewers.frame_gap_ms,
            packets_per_viewer_second: measured.packets as f64 / measured.seconds / viewers,
            lost: measured.lost,
            incomplete_frames: measured.incomplete_frames,
            own_cpu_ms_per_viewer_second: measured.own_cpu_seconds * 1_000.0
                / (measured.seconds * viewers),
        }
    }
}

impl Report {
    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new([
            "server",
            "viewers",
            "CPU ms/viewer-s",
            "× visavis",
            "KiB/viewer",
            "p50 ms",
            "p99 ms",
            "× visavis",
            "last p99 ms",
            "packets/s",
            "lost",
            "other cores",
        ]);
        let ours = self.rows.iter().find(|row| row.name == ServerKind::Visavis.name());
        let ours = ours.and_then(|row| row.figures.as_ref());
        for row in &self.rows {
            let Some(figures) = &row.figures else { continue };
            let p99 = |figures: &Figures| figures.every_viewer_ms.map(|spread| spread.p99);
            table.row([
                row.description.to_owned(),
                row.viewers.to_string(),
                format!("{:.2}", figures.cpu_ms_per_viewer_second),
                ratio(
                    Some(figures.cpu_ms_per_viewer_second),
                    ours.map(|ours| ours.cpu_ms_per_viewer_second),
                ),
                format!("{:.0}", figures.resident_kib_per_viewer),
                cell(figures.every_viewer_ms.map(|spread| spread.p50)),
                cell(p99(figures)),
                ratio(p99(figures), ours.and_then(p99)),
                cell(figures.last_viewer_ms.map(|spread| spread.p99)),
                format!("{:.0}", figures.packets_per_viewer_second),
                figures.lost.to_string(),
                format!("{:.2}", figures.other_cores),
            ]);
        }
        let mut text = format!(
            "{}\n\n{table}\np50, p99: from the push of a frame to its last packet at a viewer, over \
             all frames and viewers; last: at the last viewer, over all frames; other cores: busy with \
             neither the server nor the load\n",
            self.machine.line()
        );
        if let Some(floor) = &self.floor {
            let floor = floor.cpu_ms_per_viewer_second;
            text.push_str(&format!(
                "floor (encryption and the best send path alone): {floor:.2} CPU ms/viewer-s; visavis is \
                 {} ×\n",
                ratio(ours.map(|ours| ours.cpu_ms_per_viewer_second), Some(floor))
            ));
        }
        for row in &self.rows {
            if let Some(error) = &row.error {
                text.push_str(&format!("\n{}: not measured: {error}", row.description));
            }
        }
        text
    }
}

fn cell(millis: Option<f64>) -> String {
    millis.map_or("–".to_owned(), |millis| format!("{millis:.1}"))
}

fn ratio(figure: Option<f64>, ours: Option<f64>) -> String {
    match (figure, ours) {
        (Some(figure), Some(ours)) if ours > 0.0 => format!("{:.1}", figure / ours),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: ServerKind, cpu: Option<f64>) -> Row {
        let spread = Spread { count: 1, p50: 1.0, p95: 2.0, p99: 4.0, max: 5.0 };
        let figures = cpu.map(|cpu| Figures {
            seconds: 20.0,
            cpu_ms_per_viewer_second: cpu,
            other_cores: 0.05,
            resident_kib_per_viewer: 300.0,
            every_viewer_ms: (server != ServerKind::AiortcEncoding).then_some(spread),
            last_viewer_ms: None,
            frame_gap_ms: None,
            packets_per_viewer_second: 324.0,
            lost: 0,
            incomplete_frames: 0,
            own_cpu_ms_per_viewer_second: 1.0,
        });
        let error = figures.is_none().then(|| "no such program".to_owned());
        let (name, description) = (server.name(), server.description());
        Row { name, description, viewers: 100, figures, error }
    }

    #[test]
    fn ratios_are_to_visavis() {
        let report = Report {
            machine: Machine::here(),
            floor: None,
            rows: vec![
                row(ServerKind::Visavis, Some(0.5)),
                row(ServerKind::Naive, Some(2.0)),
                row(ServerKind::JanusTuned, None),
                row(ServerKind::AiortcEncoding, Some(100.0)),
            ],
        };
        let table = report.table();
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("naive").contains("2.00"), "{table}");
        assert!(line("naive").contains(" 4.0 "), "{table}");
        assert!(line("aiortc, encoding").contains("200.0"), "{table}");
        assert!(line("aiortc, encoding").contains('–'), "{table}");
        assert!(line("Janus").ends_with("not measured: no such program"), "{table}");
    }

    #[test]
    fn without_visavis_there_are_no_ratios() {
        let rows = vec![row(ServerKind::Naive, Some(2.0))];
        let table = Report { machine: Machine::here(), floor: None, rows }.table();
        assert!(table.contains('–'), "{table}");
    }
}
