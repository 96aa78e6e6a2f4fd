//! When what a sender stamped with its own clocks was captured on ours.

use std::time::{Duration, Instant};

use super::packet::SenderReport;

/// The soonest arrival is looked for in the last one to two of these.
const WINDOW: Duration = Duration::from_secs(5);
/// A clock that runs slower than ours is followed at this rate: far more than quartz drifts, far less
/// than anybody notices.
const MAX_SLEW_PPM: i64 = 500;
/// Arrivals later than this, all of a window, are a new path; it is believed at once.
const MAX_SLEW: i64 = 150_000_000;
/// An arrival that much off is no jitter: the sender's clock was set.
const NEW_CLOCK: u64 = 2_000_000_000;
/// Reports that put sound and picture further apart are not believed.
const MAX_CORRECTION: i64 = 2_000_000_000;

/// One of the two streams of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RTP clock 90 kHz.
    Video,
    /// RTP clock 48 kHz.
    Audio,
}

impl Kind {
    const fn hz(self) -> i64 {
        match self {
            Self::Video => 90_000,
            Self::Audio => 48_000,
        }
    }

    const fn nanos(self, rtp_time: i64) -> i64 {
        // In two parts, so that it does not overflow within centuries; where a sender leaps through its times
        // without end it comes around, and only differences count.
        let (seconds, ticks) = (rtp_time.div_euclid(self.hz()), rtp_time.rem_euclid(self.hz()));
        seconds.wrapping_mul(1_000_000_000).wrapping_add(ticks * 1_000_000_000 / self.hz())
    }
}

/// Places the RTP times of a sender's two streams on the monotonic clock.
///
/// A packet that arrived sooner after its RTP time than all others was under way for the shortest
/// time; counting from it, the jitter of the way in does not become jitter of the way out. Where both
/// streams have sender reports, these show how sound and picture belong together.
#[derive(Debug)]
pub struct MediaClock {
    epoch: Instant,
    streams: [Stream; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    arrivals: Option<Arrivals>,
    /// The sender's wall clock at a moment of its RTP clock, both in ns.
    report: Option<(i64, i64)>,
}

/// Times are nanoseconds since the epoch; an offset is arrival − RTP time.
#[derive(Debug, Clone, Copy)]
struct Arrivals {
    applied: i64,
    applied_at: i64,
    /// The smallest offset of the window before this one, and of this one.
    smallest: [i64; 2],
    window_start: i64,
}

impl MediaClock {
    /// A clock without streams. Times before `epoch` are not expected.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, streams: [Stream::default(); 2] }
    }

    /// Forgets a stream, whose sender was started anew.
    pub fn restart(&mut self, kind: Kind) {
        self.streams[kind as usize] = Stream::default();
    }

    /// Takes the arrival of something with an RTP time (unwrapped), and returns when it was captured.
    pub fn capture_time(&mut self, kind: Kind, rtp_time: i64, arrived: Instant) -> Instant {
        let rtp = kind.nanos(rtp_time);
        let at = arrived.saturating_duration_since(self.epoch).as_nanos() as i64;
        let stream = &mut self.streams[kind as usize];
        let offset = at.wrapping_sub(rtp);
        let arrivals = stream.arrivals.get_or_insert(Arrivals::new(offset, at));
        let offset = arrivals.note(offset, at);
        let captured = offset.wrapping_add(rtp).saturating_sub(self.correction(kind));
        match u64::try_from(captured) {
            Ok(after) => self.epoch + Duration::from_nanos(after),
            Err(_) => self.epoch,
        }
    }

    /// Takes a sender report; `rtp_time` is its RTP time, unwrapped.
    pub fn report(&mut self, kind: Kind, report: &SenderReport, rtp_time: i64) {
        let (seconds, fraction) = (report.ntp >> 32, report.ntp & 0xffff_ffff);
        let ntp = seconds as i64 * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32) as i64;
        self.streams[kind as usize].report = Some((ntp, kind.nanos(rtp_time)));
    }

    /// By how much the captures of a stream lie further back than its arrivals alone show.
    fn correction(&self, kind: Kind) -> i64 {
        // On our clock, when the sender's wall clock was 0 by what arrived soonest of each stream.
        let skew = |stream: &Stream| {
            let (ntp, rtp) = stream.report?;
            Some(stream.arrivals?.applied.wrapping_add(rtp).wrapping_sub(ntp))
        };
        let [video, audio] = self.streams.each_ref().map(skew);
        let (Some(video), Some(audio)) = (video, audio) else { return 0 };
        let behind = match kind {
            Kind::Video => video.wrapping_sub(audio),
            Kind::Audio => audio.wrapping_sub(video),
        };
        if (0..=MAX_CORRECTION).contains(&behind) { behind } else { 0 }
    }
}

impl Arrivals {
    fn new(offset: i64, at: i64) -> Self {
        Self { applied: offset, applied_at: at, smallest: [i64::MAX, offset], window_start: at }
    }

    /// Takes one offset; gives the one to use.
    fn note(&mut self, offset: i64, at: i64) -> i64 {
        if offset.wrapping_sub(self.applied).unsigned_abs() > NEW_CLOCK {
            *self = Self::new(offset, at);
        }
        if at - self.window_start >= WINDOW.as_nanos() as i64 {
            self.smallest = [self.smallest[1], offset];
            self.window_start = at;
        }
        self.smallest[1] = self.smallest[1].min(offset);
        let target = self.smallest[0].min(self.smallest[1]);
        let behind = target.wrapping_sub(self.applied);
        // Nothing is captured after it arrived: an earlier arrival counts at once.
        if !(0..=MAX_SLEW).contains(&behind) {
            self.applied = target;
        } else {
            let elapsed = at - self.applied_at;
            let step = behind.min(elapsed.max(0) / 1_000_000 * MAX_SLEW_PPM);
            self.applied = self.applied.wrapping_add(step);
        }
        self.applied_at = at;
        self.applied
    }
}

#[cfg(test)]
mod tests {
    use super::super::sequencer::Unwrap;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn jitter_of_the_way_in_does_not_come_out() {
        let epoch = Instant::now();
        let mut clock = MediaClock::new(epoch);
        let jitter = [3_u32, 0, 7, 12, 1, 30, 2, 0, 9];
        let captured: Vec<Instant> = (0..300_u32)
            .map(|i| {
                let arrived = epoch + MS * (1_000 + i * 40 + jitter[i as usize % jitter.len()]);
                clock.capture_time(Kind::Video, (1 << 33) | (i64::from(i) * 3_600), arrived)
            })
            .collect();
        for (i, pair) in captured.windows(2).enumerate().skip(2) {
            assert_eq!(pair[1] - pair[0], MS * 40, "{i}");
        }
        assert_eq!(captured[299], epoch + MS * (1_000 + 299 * 40));
    }

    #[test]
    fn times_that_leap_without_end_come_around_and_what_arrives_is_captured_then() {
        let epoch = Instant::now();
        let (mut clock, mut unwrap) = (MediaClock::new(epoch), Unwrap::default());
        let mut timestamp = 0_u32;
        // The longest leap there is, as often as it takes for nanoseconds to leave 64 bits, twice.
        for n in 0..900_000_u32 {
            timestamp = timestamp.wrapping_add(i32::MAX as u32);
            let arrived = epoch + MS * (n / 10);
            let captured = clock.capture_time(Kind::Audio, unwrap.advance(timestamp), arrived);
            assert_eq!(captured, arrived, "{n}");
        }
    }

    #[test]
    fn a_slower_clock_is_followed_without_a_step() {
        let epoch = Instant::now();
        let mut clock = MediaClock::new(epoch);
        let mut last = None;
        for i in 0..9_000_u64 {
            // Its second takes 100 ppm longer than ours.
            let arrived = epoch + Duration::from_nanos(i * 33_333_333 + i * 3_333);
            let captured = clock.capture_time(Kind::Video, i as i64 * 3_000, arrived);
            let wait = arrived.saturating_duration_since(captured);
            assert!(wait <= MS * 3, "{wait:?} behind after {i} frames");
            if let Some(last) = last {
                let step = captured.saturating_duration_since(last);
                assert!(step > MS * 33 && step < MS * 34, "{step:?}");
            }
            last = Some(captured);
        }
    }

    #[test]
    fn reports_put_sound_and_picture_together() {
        let epoch = Instant::now();
        let mut clock = MediaClock::new(epoch);
        let ntp = |ms: u64| ((3_900_000_000 + ms / 1_000) << 32) | (((ms % 1_000) << 32) / 1_000);
        // Captured at one moment of the sender; the picture took 80 ms longer to come.
        let audio = clock.capture_time(Kind::Audio, 48_000, epoch + MS * 1_020);
        let video = clock.capture_time(Kind::Video, 7_000, epoch + MS * 1_100);
        assert_eq!(video - audio, MS * 80);
        clock.report(Kind::Audio, &SenderReport { ssrc: 1, ntp: ntp(5_000), rtp_time: 0 }, 48_000);
        clock.report(Kind::Video, &SenderReport { ssrc: 2, ntp: ntp(6_000), rtp_time: 0 }, 97_000);
        let audio = clock.capture_time(Kind::Audio, 48_960, epoch + MS * 1_040);
        let video = clock.capture_time(Kind::Video, 8_800, epoch + MS * 1_120);
        let apart = video.max(audio) - video.min(audio);
        assert!(apart < Duration::from_micros(2), "{apart:?}");
        clock.restart(Kind::Video);
        assert_eq!(clock.capture_time(Kind::Video, 5, epoch + MS * 2_000), epoch + MS * 2_000);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once() {
        let epoch = Instant::now();
        let mut clock = MediaClock::new(epoch);
        for (i, rtp_time) in [900_000, 903_600, 3_600, 7_200, 9_000_000].into_iter().enumerate() {
            let arrived = epoch + MS * (40 * (i as u32 + 1));
            assert_eq!(clock.capture_time(Kind::Video, rtp_time, arrived), arrived, "{rtp_time}");
        }
    }

    #[test]
    fn absurd_times_do_not_panic() {
        let epoch = Instant::now();
        let mut clock = MediaClock::new(epoch);
        let report = SenderReport { ssrc: 0, ntp: u64::MAX, rtp_time: u32::MAX };
        for rtp_time in [0, i64::from(u32::MAX), 1 << 40, -5] {
            for kind in [Kind::Video, Kind::Audio] {
                clock.report(kind, &report, rtp_time);
                let _ = clock.capture_time(kind, rtp_time, epoch + MS);
            }
        }
    }
}
