//! What the viewers of one session share.

use std::time::{Duration, Instant};

use visavis_types::{
    AudioRenditionSet, ClockAnchor, CodecSet, PlayoutDelay, SessionId, Stage, VideoCodec,
};

use crate::keyframe::KeyframePolicy;
use crate::rtp::history::History;
use crate::rtp::packetize::{PacketizedFrame, Redundancy};
use crate::rtp::stamp::FrameStamp;

/// RTP clock rate of every video codec.
const VIDEO_HZ: u64 = 90_000;

/// Capture times that go back by less than a tenth of a second are out of order, and RTP time stands almost still.
const MAX_BACK: i64 = VIDEO_HZ as i64 / 10;

/// A receiver interpolates between capture times, so that not every frame has to carry one.
const CAPTURE_TIME_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    /// Keys of its peers.
    pub(crate) peers: Vec<usize>,
    /// What its peers use.
    pub(crate) active: (CodecSet, AudioRenditionSet),
    pub(crate) redundancy: Redundancy,
    renditions: [Rendition; VideoCodec::ALL.len()],
    epoch: Instant,
    playout_delay: PlayoutDelay,
}

/// One codec's stream.
#[derive(Debug, Default)]
struct Rendition {
    keyframes: KeyframePolicy,
    /// RTP time of the last frame, and when that was pushed.
    last: Option<(u64, Option<Instant>)>,
    /// What is added to the time since the epoch.
    shift: i64,
    last_capture_time_sent: Option<Instant>,
    history: History,
}

impl SessionState {
    pub(crate) fn new(id: SessionId, playout_delay: PlayoutDelay, epoch: Instant) -> Self {
        Self {
            id,
            peers: Vec::new(),
            active: (CodecSet::EMPTY, AudioRenditionSet::EMPTY),
            redundancy: Redundancy::default(),
            renditions: Default::default(),
            epoch,
            playout_delay,
        }
    }

    pub(crate) fn keyframes(&mut self, codec: VideoCodec) -> &mut KeyframePolicy {
        &mut self.renditions[codec.index()].keyframes
    }

    /// Keys of its peers, and the last frames of one codec's stream.
    pub(crate) fn peers_and_history(&mut self, codec: VideoCodec) -> (&[usize], &mut History) {
        (&self.peers, &mut self.renditions[codec.index()].history)
    }

    /// What all packets of a frame say.
    pub(crate) fn stamp(&mut self, frame: &PacketizedFrame, clock: &ClockAnchor) -> FrameStamp {
        let rendition = &mut self.renditions[frame.codec.index()];
        let rtp_time = rendition.rtp_time(frame, self.epoch);

        let rested = rendition
            .last_capture_time_sent
            .is_none_or(|at| frame.captured.saturating_duration_since(at) >= CAPTURE_TIME_INTERVAL);
        let capture_time = (frame.keyframe || rested).then(|| {
            rendition.last_capture_time_sent = Some(frame.captured);
            clock.to_system(frame.captured)
        });
        FrameStamp::picture(rtp_time as u32, frame.captured, capture_time, self.playout_delay)
    }
}

impl Rendition {
    /// Capture times as RTP has them: always later than that of the frame before.
    fn rtp_time(&mut self, frame: &PacketizedFrame, epoch: Instant) -> u64 {
        let pushed = frame.stamps.get(Stage::Pushed);
        let ticks = match frame.captured.checked_duration_since(epoch) {
            Some(after) => ticks(after),
            None => -ticks(epoch - frame.captured),
        };
        let time = ticks.saturating_add(self.shift);
        let (time, shift) = match self.last {
            // Frames may have been captured before the session was made.
            None => (time.max(0), (-time).max(0)),
            Some((last, last_pushed)) => {
                let last = last as i64;
                let since = pushed.zip(last_pushed);
                let since = since.map(|(now, before)| now.saturating_duration_since(before));
                if last - time > MAX_BACK {
                    // Capture times have gone back, and stay there. RTP time, which cannot, goes on as the clock
                    // does; were it to wait for them, sound and picture would be told apart all the while.
                    let next = last + ticks_between(since.unwrap_or_default());
                    (next, next - time)
                } else {
                    // Two frames with one RTP time would be one frame to a receiver.
                    (time.max(last + 1), 0)
                }
            }
        };
        self.shift = self.shift.saturating_add(shift);
        self.last = Some((time as u64, pushed));
        time as u64
    }
}

/// A duration by the RTP clock.
fn ticks(duration: Duration) -> i64 {
    let ticks = duration.as_nanos() * u128::from(VIDEO_HZ) / 1_000_000_000;
    i64::try_from(ticks).unwrap_or(i64::MAX / 4)
}

/// What lies between two frames: something, and no more than a second.
fn ticks_between(frames: Duration) -> i64 {
    ticks(frames).clamp(1, VIDEO_HZ as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packetize::Payloads;
    use std::sync::Arc;
    use visavis_types::Stamps;

    fn frame(captured: Instant, keyframe: bool) -> PacketizedFrame {
        let stamps = Stamps::pushed(captured);
        PacketizedFrame {
            codec: VideoCodec::H264,
            keyframe,
            payloads: Arc::new(Payloads::default()),
            captured,
            stamps,
        }
    }

    #[test]
    fn rtp_time_follows_capture_time_and_never_stands_still() {
        let clock = ClockAnchor::now();
        let start = Instant::now();
        let mut session = SessionState::new(SessionId::default(), PlayoutDelay::NONE, start);
        let at = |ms| start + Duration::from_millis(ms);
        let mut rtp = |ms| session.stamp(&frame(at(ms), false), &clock).rtp_time;
        assert_eq!(rtp(0), 0);
        assert_eq!(rtp(100), 9_000);
        assert_eq!(rtp(100), 9_001);
        assert_eq!(rtp(50), 9_002);
        assert_eq!(rtp(200), 18_000);
    }

    #[test]
    fn rtp_time_goes_on_with_the_clock_where_capture_times_go_back() {
        let (clock, start) = (ClockAnchor::now(), Instant::now());
        let mut session = SessionState::new(SessionId::default(), PlayoutDelay::NONE, start);
        let at = |ms| start + Duration::from_millis(ms);
        let mut last = None;
        for n in 0..300_u64 {
            // Nine seconds old from the beginning, then in time, then old again.
            let pushed = at(n * 40);
            let late = if (100..200).contains(&n) { 0 } else { 9_000 };
            let captured = pushed.checked_sub(Duration::from_millis(late)).unwrap();
            let frame =
                PacketizedFrame { stamps: Stamps::pushed(pushed), ..frame(captured, false) };
            let time = i64::from(session.stamp(&frame, &clock).rtp_time);
            let step = last.replace(time).map_or(3_600, |last| time - last);
            let expected = if n == 100 { 3_600 + 810_000 } else { 3_600 };
            assert_eq!(step, expected, "{n}");
        }
    }

    #[test]
    fn capture_time_is_on_keyframes_and_once_a_second() {
        let (clock, start) = (ClockAnchor::now(), Instant::now());
        let mut session = SessionState::new(SessionId::default(), PlayoutDelay::NONE, start);
        let mut has = |ms, keyframe| {
            let frame = frame(start + Duration::from_millis(ms), keyframe);
            session.stamp(&frame, &clock).has_capture_time()
        };
        assert!(has(0, false));
        assert!(!has(33, false));
        assert!(has(66, true));
        assert!(!has(1_065, false));
        assert!(has(1_066, false));
    }
}
