//! What the viewers of one session share.

use std::time::{Duration, Instant};

use visavis_types::{AudioCodecSet, ClockAnchor, CodecSet, PlayoutDelay, SessionId, VideoCodec};

use crate::keyframe::KeyframePolicy;
use crate::packetize::{PacketizedFrame, Redundancy};
use crate::rtp_output::{FrameStamp, History};

/// RTP clock rate of every video codec.
const VIDEO_HZ: u64 = 90_000;

/// A receiver interpolates between capture times, so that not every frame has to carry one.
const CAPTURE_TIME_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    /// Keys of its peers.
    pub(crate) peers: Vec<usize>,
    /// The codecs its peers use.
    pub(crate) active: (CodecSet, AudioCodecSet),
    pub(crate) redundancy: Redundancy,
    renditions: [Rendition; VideoCodec::ALL.len()],
    epoch: Instant,
    playout_delay: PlayoutDelay,
}

/// One codec's stream.
#[derive(Debug, Default)]
struct Rendition {
    keyframes: KeyframePolicy,
    last_rtp_time: Option<u64>,
    last_capture_time_sent: Option<Instant>,
    history: History,
}

impl SessionState {
    pub(crate) fn new(id: SessionId, playout_delay: PlayoutDelay, epoch: Instant) -> Self {
        Self {
            id,
            peers: Vec::new(),
            active: (CodecSet::EMPTY, AudioCodecSet::EMPTY),
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
        let since = frame.captured.saturating_duration_since(self.epoch);
        let ticks = u64::try_from(since.as_nanos() * u128::from(VIDEO_HZ) / 1_000_000_000);
        // Two frames with one RTP time would be one frame to a receiver.
        let earliest = rendition.last_rtp_time.map_or(0, |last| last + 1);
        let rtp_time = ticks.unwrap_or(earliest).max(earliest);
        rendition.last_rtp_time = Some(rtp_time);

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payloads;
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
