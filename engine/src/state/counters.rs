//! What a session counts while it runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use visavis_types::UnixMillis;

use crate::status::Metrics;

/// A session counts as streaming for this long after its last frame.
const STREAMING_TIMEOUT: Duration = Duration::from_secs(2);

/// Counters with one writer each (or several to which a lost update does not matter): callers, the encode loop, the audio loop and the
/// media loops write their own; read for the status.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) video_frames: AtomicU64,
    pub(crate) audio_chunks: AtomicU64,
    pub(crate) late_frames: AtomicU64,
    pub(crate) replaced_frames: AtomicU64,
    pub(crate) dropped_audio_samples: AtomicU64,
    pub(crate) corrected_stamps: AtomicU64,
    pub(crate) dropped_units: AtomicU64,
    pub(crate) encoded_frames: AtomicU64,
    pub(crate) keyframes: AtomicU64,
    pub(crate) mic_packets: AtomicU64,
    pub(crate) dropped_mic: AtomicU64,
    /// Written by the audio loop, which has it apart.
    pub(crate) unread_mic: Arc<AtomicU64>,
    pub(crate) dropped_audio_packets: AtomicU64,
    pub(crate) data_sent: AtomicU64,
    pub(crate) data_undelivered: AtomicU64,
    pub(crate) data_received: AtomicU64,
    pub(crate) data_dropped: AtomicU64,
    pub(crate) stalls: AtomicU64,
    /// `f64` bits; milliseconds.
    avg_latency: AtomicU64,
    last_frame_time: AtomicU64,
    fps: FpsWindow,
}

impl Counters {
    pub(crate) fn count_frame(&self, pushed: Instant, pushed_unix: UnixMillis) {
        self.video_frames.fetch_add(1, Relaxed);
        self.last_frame_time.store(pushed_unix.0, Relaxed);
        self.fps.record(pushed);
    }

    /// Folds one frame's latency into the average. Of two media loops that do so at once, one counts.
    pub(crate) fn record_latency(&self, latency: Duration) {
        const WEIGHT: f64 = 0.1;
        let sample = latency.as_secs_f64() * 1_000.0;
        let average = f64::from_bits(self.avg_latency.load(Relaxed));
        let average = if average == 0.0 { sample } else { average + WEIGHT * (sample - average) };
        self.avg_latency.store(average.to_bits(), Relaxed);
    }

    /// Counts a stamp that was not taken as it is.
    pub(crate) fn count_stamp(&self, is_believed: bool) {
        if !is_believed {
            self.corrected_stamps.fetch_add(1, Relaxed);
        }
    }

    /// Their figures now, of a session that is started or not, and live or not.
    pub(crate) fn metrics(&self, now: Instant, is_started: bool, is_live: bool) -> Metrics {
        let last_frame = self.last_frame_time.load(Relaxed);
        let recent =
            self.fps.last().is_some_and(|at| now.saturating_duration_since(at) < STREAMING_TIMEOUT);
        Metrics {
            video_frames: self.video_frames.load(Relaxed),
            audio_chunks: self.audio_chunks.load(Relaxed),
            dropped_frames: self.late_frames.load(Relaxed),
            replaced_frames: self.replaced_frames.load(Relaxed),
            dropped_audio_ms: self.dropped_audio_samples.load(Relaxed) / 48,
            corrected_stamps: self.corrected_stamps.load(Relaxed),
            dropped_units: self.dropped_units.load(Relaxed),
            encoded_frames: self.encoded_frames.load(Relaxed),
            keyframes: self.keyframes.load(Relaxed),
            mic_packets: self.mic_packets.load(Relaxed),
            dropped_mic_packets: self.dropped_mic.load(Relaxed),
            unread_mic_chunks: self.unread_mic.load(Relaxed),
            dropped_audio_packets: self.dropped_audio_packets.load(Relaxed),
            data_sent: self.data_sent.load(Relaxed),
            data_undelivered: self.data_undelivered.load(Relaxed),
            data_received: self.data_received.load(Relaxed),
            data_dropped: self.data_dropped.load(Relaxed),
            stalls: self.stalls.load(Relaxed),
            avg_latency_ms: f64::from_bits(self.avg_latency.load(Relaxed)),
            last_frame_time: (last_frame > 0).then_some(UnixMillis(last_frame)),
            fps: if recent { self.fps.latest() } else { 0.0 },
            is_streaming: is_started && recent,
            is_live: is_started && is_live,
        }
    }
}

/// Counts frames over windows of a second. Several pushers at once may miscount by a frame.
#[derive(Debug, Default)]
struct FpsWindow {
    origin: OnceLock<Instant>,
    start_us: AtomicU64,
    /// When the last frame came.
    last_us: AtomicU64,
    frames: AtomicU64,
    /// `f64` bits.
    latest: AtomicU64,
}

impl FpsWindow {
    fn record(&self, at: Instant) {
        let origin = *self.origin.get_or_init(|| at);
        let now_us = at.saturating_duration_since(origin).as_micros() as u64;
        self.last_us.store(now_us, Relaxed);
        let frames = self.frames.fetch_add(1, Relaxed) + 1;
        let elapsed_us = now_us.saturating_sub(self.start_us.load(Relaxed));
        if elapsed_us >= 1_000_000 {
            // The frame that ends a window begins the next: n + 1 frames span n intervals.
            let fps = (frames - 1) as f64 * 1e6 / elapsed_us as f64;
            self.latest.store(fps.to_bits(), Relaxed);
            self.start_us.store(now_us, Relaxed);
            self.frames.store(1, Relaxed);
        }
    }

    /// When the last frame came, by the clock that is never set.
    fn last(&self) -> Option<Instant> {
        Some(*self.origin.get()? + Duration::from_micros(self.last_us.load(Relaxed)))
    }

    fn latest(&self) -> f64 {
        f64::from_bits(self.latest.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fps_is_counted_over_a_second() {
        let (window, start) = (FpsWindow::default(), Instant::now());
        for frame in 0..=60 {
            window.record(start + Duration::from_micros(frame * 33_333));
        }
        assert!((window.latest() - 30.0).abs() < 0.1, "{}", window.latest());
    }

    #[test]
    fn a_source_that_is_silent_is_not_streaming_whatever_its_clock_says() {
        let (counters, start) = (Counters::default(), Instant::now());
        let streams = |counters: &Counters, ms| {
            counters.metrics(start + Duration::from_millis(ms), true, true).is_streaming
        };
        assert!(!streams(&counters, 0));
        // The wall clock was set back by an hour since.
        counters.count_frame(start, UnixMillis(UnixMillis::now().0 + 3_600_000));
        assert!(streams(&counters, 1_999) && !streams(&counters, 2_000));
        counters.count_frame(start + Duration::from_secs(5), UnixMillis(1));
        assert!(streams(&counters, 6_999) && !streams(&counters, 7_001));
    }

    #[test]
    fn latency_is_an_exponential_average_of_weight_one_tenth() {
        let counters = Counters::default();
        counters.record_latency(Duration::from_millis(10));
        counters.record_latency(Duration::from_millis(20));
        let average = f64::from_bits(counters.avg_latency.load(Relaxed));
        assert!((average - 11.0).abs() < 1e-9, "{average}");
    }
}
