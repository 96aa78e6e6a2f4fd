//! Figures: of each session, and of what was refused.
//!
//! Reading them takes some microseconds, from any thread, and disturbs nobody.
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! let status = session.status();
//! println!("{} viewers, {:.1} frames a second", status.peer_count, status.metrics.fps);
//! for stage in &status.stages {
//!     println!("{}: {} µs at the 99th percentile", stage.stage.name(), stage.p99_us);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

pub use visavis_core::{NetworkStatus, PictureStatus};
use visavis_types::{Bitrate, PeerId, Rung, UnixMillis, VideoCodec};
pub use visavis_types::{Refusal, Refusals, Stage};

use crate::rtp_input::status::RtpInputStatus;

/// What [`Session::status`](crate::Session::status) returns.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Viewers connected now.
    pub peer_count: usize,
    /// Counters and averages.
    pub metrics: Metrics,
    /// How long frames took to each stage since they were pushed; stages no frame has reached yet
    /// are absent.
    pub stages: Vec<StageSummary>,
    /// Encoders running now.
    pub encoders: Vec<VideoCodec>,
    /// What encodes live pictures now, and at which size. Empty while the idle loop is shown, and where pictures come
    /// encoded.
    pub video_encoders: Vec<VideoEncoderStatus>,
    /// Where an [`RtpInput`](crate::rtp_input::RtpInput) feeds the session: what became of what it took, and what is
    /// wrong with it.
    pub rtp_input: Option<RtpInputStatus>,
    /// The networks of the viewers. `None` while none of them reports when packets arrive.
    pub networks: Option<NetworkSummary>,
    /// What viewers get, by codec and from the smallest size up; what nobody gets is absent.
    pub rungs: Vec<RungSummary>,
}

/// An encoder of live pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoEncoderStatus {
    /// What it makes.
    pub codec: VideoCodec,
    /// Which size, counted from the smallest.
    pub rung: Rung,
    /// What it is: `nvenc`, `openh264`, `libvpx`, `libaom`, or as another maker calls itself.
    pub encoder: &'static str,
}

/// One of the sizes that a session's pictures are encoded in, and how many get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RungSummary {
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// Which size, counted from the smallest.
    pub rung: Rung,
    /// What it should take at most, headers not included. `None` where there is one size that is always the same. Where the
    /// encoder follows its only viewer, what it makes.
    pub bitrate: Option<Bitrate>,
    /// How many viewers get it.
    pub viewers: usize,
}

impl RungSummary {
    /// Sums up what viewers get.
    pub fn of(pictures: impl IntoIterator<Item = PictureStatus>) -> Vec<Self> {
        let mut rungs = BTreeMap::new();
        for PictureStatus { codec, rung, bitrate, .. } in pictures {
            let summary = rungs.entry((codec.index(), rung));
            let summary = summary.or_insert(Self { codec, rung, bitrate, viewers: 0 });
            summary.viewers += 1;
        }
        rungs.into_values().collect()
    }
}

/// The networks of a session's viewers, of all that report when packets arrive. Each figure stands for itself: the worst
/// round trip may be that of another viewer than the worst bitrate.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct NetworkSummary {
    /// How many report.
    pub viewers: usize,
    /// How many of them get less than the best picture, because their networks take no more.
    pub limited: usize,
    /// How many of them come by TCP, as their networks let no UDP through.
    pub by_tcp: usize,
    /// The medians.
    pub median: NetworkStatus,
    /// The least bitrate, and the most of all else; limiting, and by TCP, where one is.
    pub worst: NetworkStatus,
}

impl NetworkSummary {
    /// Sums networks up, of whichever viewers. `None` where there are none.
    pub fn of(networks: &[NetworkStatus]) -> Option<Self> {
        let median = |figure: fn(&NetworkStatus) -> f64| {
            let mut figures: Vec<f64> = networks.iter().map(figure).collect();
            let middle = figures.len() / 2;
            *figures.select_nth_unstable_by(middle, f64::total_cmp).1
        };
        let mut worst = *networks.first()?;
        for network in networks {
            worst.available_bitrate = worst.available_bitrate.min(network.available_bitrate);
            worst.round_trip = worst.round_trip.max(network.round_trip);
            worst.queue_delay = worst.queue_delay.max(network.queue_delay);
            worst.fraction_lost = worst.fraction_lost.max(network.fraction_lost);
            worst.is_limiting |= network.is_limiting;
            worst.is_by_tcp |= network.is_by_tcp;
        }
        let mut middle = worst;
        let bps = median(|network| network.available_bitrate.bps() as f64);
        middle.available_bitrate = Bitrate::from_bps(bps as u64);
        middle.round_trip = Duration::from_secs_f64(median(|n| n.round_trip.as_secs_f64()));
        middle.queue_delay = Duration::from_secs_f64(median(|n| n.queue_delay.as_secs_f64()));
        middle.fraction_lost = median(|network| network.fraction_lost);
        let count =
            |is_so: fn(&NetworkStatus) -> bool| networks.iter().filter(|n| is_so(n)).count();
        let (limited, by_tcp) = (count(|n| n.is_limiting), count(|n| n.is_by_tcp));
        let viewers = networks.len();
        middle.is_limiting = 2 * limited > viewers;
        middle.is_by_tcp = 2 * by_tcp > viewers;
        Some(Self { viewers, limited, by_tcp, median: middle, worst })
    }
}

/// A viewer, as [`Session::viewers`](crate::Session::viewers) lists it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ViewerStatus {
    /// Its id.
    pub peer: PeerId,
    /// What is known of its network. `None` before its first report, without pictures, and where it does not report when
    /// packets arrive (`transport-cc`).
    pub network: Option<NetworkStatus>,
    /// What it gets of the session's pictures. `None` for one that takes sound alone, and before it is in its session.
    pub picture: Option<PictureStatus>,
}

/// Counters and averages of one session, since it was created.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Frames accepted from the caller.
    pub video_frames: u64,
    /// Audio chunks accepted from the caller.
    pub audio_chunks: u64,
    /// Frames that came later than 1.5 frame intervals after their own timestamp. They are sent all
    /// the same.
    pub dropped_frames: u64,
    /// Frames replaced by a newer one before the encoder took them.
    pub replaced_frames: u64,
    /// Milliseconds of queued sound dropped because the queue was full.
    pub dropped_audio_ms: u64,
    /// Pictures and chunks of sound whose stamps could not be meant: so far from all others that they were dated by
    /// when they were pushed, or, in an utterance, before its beginning or going backwards.
    pub corrected_stamps: u64,
    /// Encoded frames dropped because the media loop did not keep up.
    pub dropped_units: u64,
    /// Frames encoded, over all codecs.
    pub encoded_frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Microphone packets received from viewers.
    pub mic_packets: u64,
    /// Those among them that were dropped because the audio loop did not keep up.
    pub dropped_mic_packets: u64,
    /// Chunks of microphones that were dropped because the application did not read them.
    pub unread_mic_chunks: u64,
    /// Packets of sound that were dropped because a media loop did not keep up.
    pub dropped_audio_packets: u64,
    /// Messages accepted for viewers; one that is for several counts as often.
    pub data_sent: u64,
    /// Those among them whose channel or connection ended before they left.
    pub data_undelivered: u64,
    /// Messages received from viewers.
    pub data_received: u64,
    /// Messages from viewers that were dropped: the application does not read them, or they are no UTF-8.
    pub data_dropped: u64,
    /// Times that pictures stopped coming without the end of an utterance or an interruption.
    pub stalls: u64,
    /// Milliseconds from a frame's timestamp to its last packet to the last viewer: exponential
    /// moving average, weight 0.1.
    pub avg_latency_ms: f64,
    /// When the last frame was pushed.
    pub last_frame_time: Option<UnixMillis>,
    /// Frames pushed during the last second.
    pub fps: f64,
    /// Whether the session is started and a frame came within the last two seconds.
    pub is_streaming: bool,
    /// Whether viewers see what is pushed; otherwise they see the idle loop.
    pub is_live: bool,
}

/// The distribution of the time from push to one stage.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StageSummary {
    /// The stage.
    pub stage: Stage,
    /// Frames measured.
    pub count: u64,
    /// Median, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// The largest, in microseconds.
    pub max_us: u64,
}

impl StageSummary {
    /// Of a stage that no frame has reached.
    pub const fn empty(stage: Stage) -> Self {
        Self { stage, count: 0, p50_us: 0, p99_us: 0, max_us: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::NetworkStatus;

    #[test]
    fn what_viewers_get_is_summed_up_by_codec_and_size() {
        use VideoCodec::{H264, Vp8};
        let picture = |codec, rung, kbps| {
            PictureStatus::new(codec, Rung::new(rung).unwrap()).bitrate(Bitrate::from_kbps(kbps))
        };
        let all = [picture(Vp8, 0, 120), picture(H264, 3, 1_500), picture(H264, 1, 300)];
        let summed = RungSummary::of(all.into_iter().chain([all[1]]));
        let told = summed.iter().map(|one| (one.codec, one.rung.index(), one.bitrate, one.viewers));
        let kbps = |kbps| Some(Bitrate::from_kbps(kbps));
        let expected = [(Vp8, 0, kbps(120), 1), (H264, 1, kbps(300), 1), (H264, 3, kbps(1_500), 2)];
        let by_codec = |codec| expected.into_iter().filter(move |row| row.0 == codec);
        assert!(told.eq(VideoCodec::ALL.into_iter().flat_map(by_codec)));
        assert_eq!(RungSummary::of([]), []);
    }

    #[test]
    fn networks_are_summed_up_by_their_medians_and_their_worst() {
        assert_eq!(NetworkSummary::of(&[]), None);
        let network = |kbps, ms, lost| {
            let time = Duration::from_millis(ms);
            NetworkStatus::new(Bitrate::from_kbps(kbps), (time, time / 2), lost)
        };
        let slow = network(300, 80, 0.1).limiting(true).by_tcp(true);
        let all = [network(900, 40, 0.0), slow, network(5_000, 30, 0.02)];
        let summary = NetworkSummary::of(&all).unwrap();
        assert_eq!((summary.viewers, summary.limited, summary.by_tcp), (3, 1, 1));
        assert_eq!(summary.median, network(900, 40, 0.02));
        assert_eq!(summary.worst, slow);
        let one = NetworkSummary::of(&all[..1]).unwrap();
        assert_eq!((one.median, one.worst), (all[0], all[0]));
    }
}
