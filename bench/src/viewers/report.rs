//! What came out, for people and for machines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::stream::Counts;
use crate::{Check, Machine, Spread, Table};

/// Figures of all viewers of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// Viewers that had ICE and DTLS done.
    pub connected: usize,
    /// From opening the WebSocket to a finished DTLS handshake, in milliseconds.
    pub connect_ms: Option<Spread>,
    /// From opening the WebSocket to a complete keyframe, in milliseconds.
    pub first_picture_ms: Option<Spread>,
    /// Between complete frames, over all frames of all viewers, in milliseconds.
    pub frame_gap_ms: Option<Spread>,
    /// From the capture time that the server announced to the complete frame, in milliseconds; where
    /// it announces one (abs-capture-time).
    pub latency_ms: Option<Spread>,
    /// Processor time of the viewers themselves, in seconds.
    pub own_cpu_seconds: f64,
    /// Viewers that decrypted media; the others counted and timed its packets.
    pub decrypting: usize,
    /// From the first viewer's start until the last one's picture, guests aside, in milliseconds;
    /// where all got one.
    pub all_joined_ms: Option<f64>,
    /// The measuring window, where one was set. The spreads above hold for it alone, those of joining
    /// excepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// One by one.
    pub viewers: Vec<ViewerReport>,
}

/// What the viewers saw in the measuring window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Its length.
    pub seconds: f64,
    /// RTP packets received by all viewers, retransmissions and padding included.
    pub packets: u64,
    /// Bytes of these, all headers inside UDP included.
    pub bytes: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that were not decrypted, from the start of the process on.
    pub skipped: u64,
    /// Frames that reached every viewer.
    pub frames: u64,
    /// Frames that did not reach every viewer, or not within one and a half seconds.
    pub incomplete_frames: u64,
    /// Frames whose push time no viewer could determine.
    pub unknown_frames: u64,
    /// From the push of a frame to its last packet at the last viewer, over all frames, in
    /// milliseconds.
    pub last_viewer_ms: Option<Spread>,
    /// From the push of a frame to its last packet at a viewer, over all frames and viewers, in
    /// milliseconds.
    pub every_viewer_ms: Option<Spread>,
    /// Processor time of the viewers themselves.
    pub own_cpu_seconds: f64,
}

/// Figures of one viewer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ViewerReport {
    /// From opening the WebSocket to a finished DTLS handshake, in milliseconds.
    pub connect_ms: Option<f64>,
    /// From opening the WebSocket to a complete keyframe, in milliseconds.
    pub first_picture_ms: Option<f64>,
    /// The codec that was sent.
    pub video_codec: Option<String>,
    /// Its video.
    pub video: StreamReport,
    /// Its audio.
    pub audio: StreamReport,
    /// Keyframe requests.
    pub keyframe_requests: u32,
    /// Error message, if it failed.
    pub error: Option<String>,
}

/// Figures of one received stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamReport {
    /// Packets received.
    pub packets: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// Packets that never came, not by retransmission either.
    pub lost: u64,
    /// Packets that came after later ones: reordered or retransmitted.
    pub recovered: u64,
    /// Complete frames since the first keyframe; for audio, packets.
    pub frames: u64,
    /// Frames with a packet missing.
    pub damaged: u64,
    /// Complete keyframes.
    pub keyframes: u64,
    /// The longest time between two complete frames, in milliseconds.
    pub longest_gap_ms: f64,
}

impl StreamReport {
    pub(super) fn new(counts: Counts, longest_gap: Duration) -> Self {
        Self {
            packets: counts.packets,
            bytes: counts.bytes,
            lost: counts.lost,
            recovered: counts.recovered,
            frames: counts.frames,
            damaged: counts.damaged,
            keyframes: counts.keyframes,
            longest_gap_ms: longest_gap.as_secs_f64() * 1_000.0,
        }
    }
}

impl Report {
    /// Packets lost by all viewers, video and audio.
    pub fn lost(&self) -> u64 {
        self.viewers.iter().map(|viewer| viewer.video.lost + viewer.audio.lost).sum()
    }

    /// The longest time between two complete video frames that any viewer saw, in milliseconds.
    pub fn longest_video_gap_ms(&self) -> f64 {
        self.viewers.iter().map(|viewer| viewer.video.longest_gap_ms).fold(0.0, f64::max)
    }

    /// The fewest complete video frames that any viewer got.
    pub fn fewest_frames(&self) -> u64 {
        self.viewers.iter().map(|viewer| viewer.video.frames).min().unwrap_or(0)
    }

    /// What went wrong, by viewer.
    pub fn errors(&self) -> Vec<String> {
        let numbered = self.viewers.iter().enumerate();
        numbered
            .filter_map(|(index, viewer)| {
                viewer.error.as_ref().map(|error| format!("viewer {index}: {error}"))
            })
            .collect()
    }

    /// What a quiet machine with two cores should reach and this run did not.
    pub fn missed(&self) -> Vec<String> {
        let mut check = Check::default();
        check.at_least("viewers connected:", self.connected as f64, self.viewers.len() as f64);
        let connect = self.connect_ms.map_or(f64::NAN, |ms| ms.max);
        check.at_most("the slowest connect, ms,", connect, 5_000.0);
        check.at_most("packets lost:", self.lost() as f64, 0.0);
        check.at_most("the longest gap, ms,", self.longest_video_gap_ms(), 100.0);
        let mut missed = check.missed();
        missed.extend(self.errors());
        missed
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut spreads = Table::new(["ms", "p50", "p95", "p99", "max"]);
        let rows = [
            ("connect (WebSocket → DTLS)", self.connect_ms),
            ("first picture", self.first_picture_ms),
            ("between frames", self.frame_gap_ms),
            ("capture → complete frame", self.latency_ms),
        ];
        for (name, spread) in rows {
            if let Some(spread) = spread {
                spreads.row(spread.row(name));
            }
        }
        let sum = |of: fn(&ViewerReport) -> u64| self.viewers.iter().map(of).sum::<u64>();
        let bits = 8 * sum(|viewer| viewer.video.bytes + viewer.audio.bytes);
        let mut counts = Table::new(["all viewers", ""]);
        counts
            .row(["connected".to_owned(), format!("{} of {}", self.connected, self.viewers.len())]);
        counts.row(["video frames".to_owned(), sum(|viewer| viewer.video.frames).to_string()]);
        counts.row(["keyframes".to_owned(), sum(|viewer| viewer.video.keyframes).to_string()]);
        counts.row([
            "keyframes asked for".to_owned(),
            sum(|viewer| viewer.keyframe_requests.into()).to_string(),
        ]);
        counts.row([
            "packets".to_owned(),
            sum(|viewer| viewer.video.packets + viewer.audio.packets).to_string(),
        ]);
        counts.row(["lost".to_owned(), self.lost().to_string()]);
        counts.row([
            "late (reordered, retransmitted)".to_owned(),
            sum(|viewer| viewer.video.recovered + viewer.audio.recovered).to_string(),
        ]);
        counts.row([
            "Mbit/s".to_owned(),
            format!("{:.1}", bits as f64 / 1e6 / self.seconds.max(0.001)),
        ]);
        counts.row([
            "decrypting viewers".to_owned(),
            format!("{} of {}", self.decrypting, self.viewers.len()),
        ]);
        counts.row(["the viewers' own CPU, s".to_owned(), format!("{:.1}", self.own_cpu_seconds)]);
        let mut text = format!("{}\n\n{spreads}\n{counts}", self.machine.line());
        for error in self.errors() {
            text.push_str(&format!("\n{error}"));
        }
        text
    }
}
