//! What came out of a fan-out run.

use serde::{Deserialize, Serialize};

use crate::{Machine, Spread, Table};

/// Cores that other programs may use before the report has a warning.
const BUSY: f64 = 0.1;

/// Cost of one server against its number of viewers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// Where the server's media came from: `rtp` (encoded already) or `live` (the server encodes).
    pub source: String,
    /// Video bitrate.
    pub bitrate_kbps: u32,
    /// Length of each measuring window.
    pub seconds: f64,
    /// What encryption and sending alone cost on this machine in this run, where it was measured.
    pub floor_cpu_ms_per_viewer_second: Option<f64>,
    /// One for each number of viewers.
    pub rows: Vec<Row>,
}

/// Results for one number of viewers, in the measuring window unless documented otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Viewers.
    pub viewers: usize,
    /// Viewers that decrypted media. The others do ICE, DTLS and RTCP as these do, and count and time
    /// media packets without decrypting them.
    pub decrypting: usize,
    /// Processor time of the server, user and kernel, all threads, per viewer and second.
    pub cpu_ms_per_viewer_second: f64,
    /// The same as a share of one core.
    pub cpu_cores: f64,
    /// The same per RTP packet that a viewer received, retransmissions included.
    pub cpu_ns_per_packet: f64,
    /// `cpu_ms_per_viewer_second` over the floor's, where that was measured.
    pub ratio_to_floor: Option<f64>,
    /// RTP packets per viewer and second, retransmissions included.
    pub packets_per_viewer_second: f64,
    /// Resident memory of the server with its viewers, less that without, per viewer.
    pub rss_kib_per_viewer: f64,
    /// Resident memory of the server without viewers.
    pub rss_empty_kib: f64,
    /// Packets that never came to a viewer, in all.
    pub lost: u64,
    /// Datagrams that this machine dropped because a socket's receive buffer was full: losses of the
    /// viewers' making, not the sender's.
    pub receive_overflows: u64,
    /// Processor time of everything else on this machine, in cores. Where it is not near nothing, the
    /// times above are those of a machine that was busy otherwise.
    pub others_cpu_cores: f64,
    /// Frames that reached every viewer.
    pub frames: u64,
    /// Frames that did not.
    pub incomplete_frames: u64,
    /// Frames whose push time no viewer could determine; they are in no latency.
    pub unknown_frames: u64,
    /// From the push of a frame to its last packet at the last viewer, over all frames.
    pub last_viewer_ms: Option<Spread>,
    /// From the push of a frame to its last packet at a viewer, over all frames and viewers.
    pub every_viewer_ms: Option<Spread>,
    /// Between complete frames, over all viewers.
    pub frame_gap_ms: Option<Spread>,
    /// From the first viewer's start to the last one's first picture, all starting at once.
    pub all_joined_ms: Option<f64>,
    /// Processor time of the load generator per viewer and second.
    pub generator_cpu_ms_per_viewer_second: f64,
    /// Viewers for which something went wrong, with the reasons of the first few.
    pub errors: Vec<String>,
}

impl Report {
    /// Sets what the physical limit costs, and each row's ratio to it.
    pub fn set_floor(&mut self, cpu_ms_per_viewer_second: f64) {
        self.floor_cpu_ms_per_viewer_second = Some(cpu_ms_per_viewer_second);
        for row in &mut self.rows {
            row.ratio_to_floor = (cpu_ms_per_viewer_second > 0.0)
                .then(|| row.cpu_ms_per_viewer_second / cpu_ms_per_viewer_second);
        }
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut cost = Table::new([
            "viewers",
            "CPU ms/viewer-s",
            "× floor",
            "cores",
            "ns/packet",
            "packets/viewer-s",
            "RSS KiB/viewer",
            "lost",
            "overflows",
            "all joined ms",
        ]);
        let mut time = Table::new([
            "viewers",
            "push → last viewer p50",
            "p99",
            "max",
            "push → a viewer p50",
            "p99",
            "frame gap p99",
            "max",
            "frames",
            "incomplete",
        ]);
        for row in &self.rows {
            cost.row([
                row.viewers.to_string(),
                format!("{:.3}", row.cpu_ms_per_viewer_second),
                row.ratio_to_floor.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")),
                format!("{:.2}", row.cpu_cores),
                format!("{:.0}", row.cpu_ns_per_packet),
                format!("{:.0}", row.packets_per_viewer_second),
                format!("{:.0}", row.rss_kib_per_viewer),
                row.lost.to_string(),
                row.receive_overflows.to_string(),
                row.all_joined_ms.map_or("–".to_owned(), |took| format!("{took:.0}")),
            ]);
            let last = |of: fn(&Spread) -> f64| cell(row.last_viewer_ms.as_ref(), of);
            let every = |of: fn(&Spread) -> f64| cell(row.every_viewer_ms.as_ref(), of);
            let gap = |of: fn(&Spread) -> f64| cell(row.frame_gap_ms.as_ref(), of);
            time.row([
                row.viewers.to_string(),
                last(|spread| spread.p50),
                last(|spread| spread.p99),
                last(|spread| spread.max),
                every(|spread| spread.p50),
                every(|spread| spread.p99),
                gap(|spread| spread.p99),
                gap(|spread| spread.max),
                row.frames.to_string(),
                row.incomplete_frames.to_string(),
            ]);
        }
        let mut text = format!(
            "{}\nsource {}, {} kbit/s, {} s each; arrivals are the kernel's time stamps\n\n{cost}\n\
             milliseconds\n{time}\n",
            self.machine.line(),
            self.source,
            self.bitrate_kbps,
            self.seconds
        );
        for row in &self.rows {
            text.push_str(&format!(
                "{} viewers: {} decrypted media, {} counted and dropped it; the load generator took \
                 {:.2} ms of CPU per viewer-second\n",
                row.viewers,
                row.decrypting,
                row.viewers.saturating_sub(row.decrypting),
                row.generator_cpu_ms_per_viewer_second
            ));
            if row.others_cpu_cores > BUSY {
                let others = row.others_cpu_cores;
                text.push_str(&format!("  other programs used {others:.2} cores meanwhile\n"));
            }
            if row.unknown_frames > 0 {
                let unknown = row.unknown_frames;
                text.push_str(&format!("  {unknown} frames are in no latency: pushed when?\n"));
            }
            for error in &row.errors {
                text.push_str(&format!("  {error}\n"));
            }
        }
        if let Some(floor) = self.floor_cpu_ms_per_viewer_second {
            text.push_str(&format!("floor: {floor:.3} ms of CPU per viewer-second\n"));
        }
        text
    }
}

fn cell(spread: Option<&Spread>, of: fn(&Spread) -> f64) -> String {
    spread.map_or("–".to_owned(), |spread| format!("{:.2}", of(spread)))
}

/// A report with nothing but costs in it.
#[cfg(test)]
pub(super) fn example(costs: &[(usize, f64)]) -> Report {
    let row = |&(viewers, cost): &(usize, f64)| Row {
        viewers,
        decrypting: 2,
        cpu_ms_per_viewer_second: cost,
        cpu_cores: cost * viewers as f64 / 1_000.0,
        cpu_ns_per_packet: 0.0,
        ratio_to_floor: None,
        packets_per_viewer_second: 324.0,
        rss_kib_per_viewer: 0.0,
        rss_empty_kib: 0.0,
        lost: 0,
        receive_overflows: 0,
        others_cpu_cores: 0.0,
        frames: 0,
        incomplete_frames: 0,
        unknown_frames: 0,
        last_viewer_ms: None,
        every_viewer_ms: None,
        frame_gap_ms: None,
        all_joined_ms: None,
        generator_cpu_ms_per_viewer_second: 0.0,
        errors: Vec::new(),
    };
    Report {
        machine: Machine::here(),
        source: "rtp".to_owned(),
        bitrate_kbps: 2_000,
        seconds: 20.0,
        floor_cpu_ms_per_viewer_second: None,
        rows: costs.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_follow_the_floor() {
        let mut report = example(&[(10, 2.0), (100, 1.0)]);
        assert!(report.table().contains("–"));
        report.set_floor(0.5);
        let ratios: Vec<_> = report.rows.iter().map(|row| row.ratio_to_floor).collect();
        assert_eq!(ratios, [Some(4.0), Some(2.0)]);
        assert!(report.table().contains("floor: 0.500 ms"));
        report.set_floor(0.0);
        assert_eq!(report.rows[0].ratio_to_floor, None);
    }
}
