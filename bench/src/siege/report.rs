//! What came out, as markdown for people and as JSON for machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Check, Machine};

/// A viewer's longest time without a picture that is promised, and that of 99 in 100 (contract of the project).
const GAP_P99_MS: f64 = 50.0;
const GAP_MAX_MS: f64 = 100.0;

/// A newcomer's first picture.
const NEWCOMER_MS: f64 = 2_000.0;

/// Memory after the last attack, against that before the first.
const MEMORY_RATIO: f64 = 1.10;

/// Sound packets of an encoded source, of 50 a second.
const SOUNDS: f64 = 45.0;

/// All attacks of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// Those who watch.
    pub viewers: usize,
    /// Seconds of each attack.
    pub seconds: f64,
    /// One by one.
    pub rows: Vec<Row>,
    /// The memory of each server, after its attacks.
    pub memory: Vec<Memory>,
}

/// What one attack did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The attack's name.
    pub attack: String,
    /// What the attackers sent: datagrams, requests, messages or connections, by what the attack is about.
    pub sent: u64,
    /// How many requests, messages and connections of these the server refused.
    pub turned_away: u64,
    /// Between complete frames over all viewers, in milliseconds.
    pub gap_p99_ms: f64,
    /// The longest that any viewer went without a picture, in milliseconds.
    pub gap_max_ms: f64,
    /// Viewers who lost their picture or their connection.
    pub dropped: usize,
    /// Sound packets a second at the viewer who got fewest; `None` if the source is not always audible.
    pub sounds: Option<f64>,
    /// From opening the WebSocket to the first complete picture, for each who came during the attack.
    pub newcomers_ms: Vec<f64>,
    /// Why a newcomer got none.
    pub kept_out: Vec<String>,
    /// Processor time of the server, in cores.
    pub server_cores: f64,
    /// Processor time of the attackers, who ran with a nice value of 10, in cores.
    pub attacker_cores: f64,
    /// Resident memory of the server before, in MiB.
    pub memory_before_mib: f64,
    /// Its peak meanwhile.
    pub memory_peak_mib: f64,
    /// Two seconds later.
    pub memory_after_mib: f64,
    /// What the server counted as refused, by kind.
    pub refused: BTreeMap<String, u64>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// What must not happen and did.
    pub faults: Vec<String>,
}

/// A server's memory over all attacks on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    /// What the server showed.
    pub source: String,
    /// Before the first attack, with all viewers there, in MiB.
    pub before_mib: f64,
    /// After the last.
    pub after_mib: f64,
    /// How long after.
    pub settled_seconds: f64,
}

impl Row {
    /// What should hold during an attack and did not.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        let name = &self.attack;
        check.at_most(&format!("{name}: gap p99, ms,"), self.gap_p99_ms, GAP_P99_MS);
        check.at_most(&format!("{name}: gap max, ms,"), self.gap_max_ms, GAP_MAX_MS);
        check.at_most(&format!("{name}: viewers dropped:"), self.dropped as f64, 0.0);
        if let Some(sounds) = self.sounds {
            check.at_least(&format!("{name}: sound packets a second:"), sounds, SOUNDS);
        }
        for &took in &self.newcomers_ms {
            check.at_most(&format!("{name}: a newcomer's first picture, ms,"), took, NEWCOMER_MS);
        }
        let mut missed = check.missed();
        let said = self.kept_out.iter().chain(&self.faults);
        missed.extend(said.map(|text| format!("{name}: {text}")));
        missed
    }

    fn cells(&self) -> [String; 12] {
        let newcomers = self.newcomers_ms.iter().copied().reduce(f64::max);
        let mut newcomer = newcomers.map_or("none".to_owned(), |took| format!("{took:.0}"));
        if !self.kept_out.is_empty() {
            newcomer.push_str(&format!(", {} kept out", self.kept_out.len()));
        }
        let refused: Vec<_> =
            self.refused.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        [
            self.attack.clone(),
            self.sent.to_string(),
            self.turned_away.to_string(),
            format!("{:.0}", self.gap_p99_ms),
            format!("{:.0}", self.gap_max_ms),
            self.dropped.to_string(),
            self.sounds.map_or("–".to_owned(), |sounds| format!("{sounds:.1}")),
            newcomer,
            format!("{:.2}", self.server_cores),
            format!("{:.2}", self.attacker_cores),
            format!(
                "{:.1} / {:.1} / {:.1}",
                self.memory_before_mib, self.memory_peak_mib, self.memory_after_mib
            ),
            refused.join(", "),
        ]
    }
}

impl Report {
    /// What this project promises on a quiet machine and this run did not keep.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        for memory in &self.memory {
            let what = format!(
                "memory of the server with {} {:.0} s after its attacks, of that before,",
                memory.source, memory.settled_seconds
            );
            let ratio = memory.after_mib / memory.before_mib.max(f64::EPSILON);
            check.at_most(&what, ratio, MEMORY_RATIO);
        }
        let mut missed: Vec<_> = self.rows.iter().flat_map(Row::missed).collect();
        missed.extend(check.missed());
        missed
    }

    /// The report as markdown.
    pub fn table(&self) -> String {
        const HEADING: [&str; 12] = [
            "attack",
            "sent",
            "turned away",
            "gap p99 ms",
            "gap max ms",
            "dropped",
            "sound/s",
            "newcomer ms",
            "server cores",
            "attackers' cores",
            "MiB before / peak / after",
            "refused, by kind",
        ];
        let mut text = format!(
            "{}\n{} viewers, {} s each; attackers run at nice 10 on the same cores\n\n",
            self.machine.line(),
            self.viewers,
            self.seconds
        );
        let mut row = |cells: [String; 12]| {
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        };
        row(HEADING.map(str::to_owned));
        row([(); 12].map(|()| "---".to_owned()));
        self.rows.iter().for_each(|line| row(line.cells()));
        text.push('\n');
        for memory in &self.memory {
            text.push_str(&format!(
                "Memory with {}: {:.1} MiB before the first attack, {:.1} MiB {:.0} s after the last.\n",
                memory.source, memory.before_mib, memory.after_mib, memory.settled_seconds
            ));
        }
        for row in &self.rows {
            for note in &row.notes {
                text.push_str(&format!("- {}: {note}\n", row.attack));
            }
        }
        for missed in self.missed() {
            text.push_str(&format!("- **not reached**: {missed}\n"));
        }
        text
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row() -> Row {
        Row {
            attack: "garbage".to_owned(),
            sent: 2_000_000,
            turned_away: 0,
            gap_p99_ms: 38.0,
            gap_max_ms: 52.0,
            dropped: 0,
            sounds: Some(50.0),
            newcomers_ms: vec![410.0, 520.0],
            kept_out: Vec::new(),
            server_cores: 0.4,
            attacker_cores: 0.5,
            memory_before_mib: 27.0,
            memory_peak_mib: 28.0,
            memory_after_mib: 27.5,
            refused: BTreeMap::from([("unknown-source".to_owned(), 1_999_000)]),
            notes: vec!["from one source".to_owned()],
            faults: Vec::new(),
        }
    }

    fn report(row: Row) -> Report {
        let memory = Memory {
            source: "RTP".to_owned(),
            before_mib: 27.0,
            after_mib: 28.0,
            settled_seconds: 60.0,
        };
        let (machine, rows) = (Machine::here(), vec![row]);
        Report { machine, viewers: 50, seconds: 20.0, rows, memory: vec![memory] }
    }

    #[test]
    fn a_quiet_run_misses_nothing_and_is_a_markdown_table() {
        let report = report(row());
        assert_eq!(report.missed(), Vec::<String>::new());
        let text = report.table();
        let line = "| garbage | 2000000 | 0 | 38 | 52 | 0 | 50.0 | 520 | 0.40 | 0.50 | 27.0 / 28.0 / 27.5 | unknown-source 1999000 |";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("- garbage: from one source"));
    }

    #[test]
    fn each_limit_is_held() {
        type Change = fn(&mut Row);
        let changes: [Change; 7] = [
            |row| row.gap_p99_ms = 51.0,
            |row| row.gap_max_ms = f64::NAN,
            |row| row.dropped = 1,
            |row| row.sounds = Some(12.0),
            |row| row.newcomers_ms.push(2_100.0),
            |row| row.kept_out.push("a newcomer: full".to_owned()),
            |row| row.faults.push("the server ended".to_owned()),
        ];
        for change in changes {
            let mut changed = row();
            change(&mut changed);
            assert_eq!(report(changed).missed().len(), 1);
        }
        let mut grown = report(row());
        grown.memory[0].after_mib = 30.0;
        assert_eq!(grown.missed().len(), 1);
    }
}
