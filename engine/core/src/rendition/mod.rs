//! Renditions: what is encoded once and sent to many. When they make a keyframe, who gets which, and their last
//! frames.

mod choice;
mod gauge;
mod keyframe;
mod quality;
mod selection;
mod sent_rate;
mod target;
mod timeline;

use std::time::{Duration, Instant};

use visavis_types::{
    Bitrate, ClockAnchor, PlayoutDelay, RenditionId, RenditionSet, Rung, SessionNumber,
    TemporalLayer, VideoCodec,
};

use crate::rtp::history::History;
use crate::rtp::numbers::Numbers;
use crate::rtp::packetize::PacketizedFrame;
use crate::rtp::stamp::FrameStamp;
pub use choice::ViewerLimit;
pub(crate) use choice::{Choice, Needs, choose};
pub use gauge::{PictureGauge, PictureStatus};
pub use keyframe::KeyframeReason;
pub(crate) use keyframe::{KeyframePolicy, KeyframeRequests, Request};
pub(crate) use quality::{Capacity, Quality, Step};
pub(crate) use selection::{Selection, Take};
use sent_rate::SentRate;
pub use target::RungBitrate;
pub(crate) use target::Target;
use timeline::Timeline;

/// A receiver interpolates between capture times, so that not every frame has to carry one.
const CAPTURE_TIME_INTERVAL: Duration = Duration::from_secs(1);

/// Where an encoder follows its viewer, the viewer gets the next rung with so many times the least for it.
const ROOM_TO_FOLLOW: f64 = 1.25;

/// The renditions of one session, as far as they are sent.
#[derive(Debug)]
pub(crate) struct Renditions {
    by_index: [Option<Box<Rendition>>; RenditionId::PER_SESSION],
    /// What those of each rung should take; none where that is not known.
    bitrates: [Option<RungBitrate>; Rung::COUNT],
    timeline: Timeline,
    playout_delay: PlayoutDelay,
}

/// One rendition.
#[derive(Debug, Default)]
pub(crate) struct Rendition {
    pub(crate) keyframes: KeyframePolicy,
    pub(crate) history: History,
    /// Of the last picture, sent to anybody or not.
    numbers: Numbers,
    /// RTP time of the last frame, and when that was pushed.
    last: Option<(u64, Option<Instant>)>,
    last_capture_time_sent: Option<Instant>,
    rate: SentRate,
}

impl Renditions {
    pub(crate) fn new(playout_delay: PlayoutDelay, epoch: Instant) -> Self {
        Self {
            by_index: Default::default(),
            bitrates: [None; Rung::COUNT],
            timeline: Timeline::new(epoch),
            playout_delay,
        }
    }

    /// Notes what the renditions of each rung should take.
    pub(crate) fn expect(&mut self, bitrates: [Option<RungBitrate>; Rung::COUNT]) {
        self.bitrates = bitrates;
    }

    /// What the encoders of a rung make, where they follow their viewer.
    pub(crate) fn followed(&self, rung: Rung) -> Option<RungBitrate> {
        self.bitrates.get(rung.index()).copied().flatten().filter(RungBitrate::is_followed)
    }

    /// Keeps a frame that was sent, for those who miss some of it.
    pub(crate) fn keep(&mut self, frame: PacketizedFrame, stamp: FrameStamp, now: Instant) {
        let rung = frame.rendition.rung;
        let expected = match self.followed(rung) {
            Some(RungBitrate { least, .. }) => ROOM_TO_FOLLOW * least.bps() as f64,
            None => self.expected(rung),
        };
        let Rendition { history, keyframes, rate, .. } = self.entry(frame.rendition);
        rate.note(&frame, expected, now);
        if frame.keyframe {
            keyframes.sent(now);
        }
        history.push(frame, stamp, now);
    }

    /// What a viewer of a codec can be sent of what there is, from the least on.
    pub(crate) fn steps(
        &self,
        (session, codec): (SessionNumber, VideoCodec),
        there: RenditionSet,
        now: Instant,
        steps: &mut Vec<Step>,
    ) {
        for id in there.iter(session).filter(|id| id.codec == codec) {
            let expected = self.expected(id.rung);
            let whole = ViewerLimit { rung: id.rung, layer: TemporalLayer::HIGHEST };
            let known = steps.len();
            let layers = self.get(id).map(|rendition| rendition.rate.layers(now));
            let step =
                |limit, takes| Step { limit, takes, needs: takes, may_take: takes, grows: false };
            let of_layer = |(layer, takes)| step(ViewerLimit { layer, ..whole }, takes);
            steps.extend(layers.into_iter().flatten().map(of_layer));
            if steps.len() == known {
                steps.push(step(whole, expected));
            }
            let steps = steps.get_mut(known..).unwrap_or_default();
            let Some(highest) = steps.last_mut() else { continue };
            highest.limit = whole;
            highest.may_take = highest.takes.max(expected);
            let takes = highest.takes;
            if let Some(RungBitrate { least, .. }) = self.followed(id.rung) {
                // Each layer takes its part of what the encoder makes, which can be less than it makes now.
                for step in steps {
                    step.needs = least.bps() as f64 * step.takes / takes;
                    step.may_take = ROOM_TO_FOLLOW * step.needs;
                    step.grows = true;
                }
            }
        }
    }

    fn expected(&self, rung: Rung) -> f64 {
        self.most(rung).map_or(0.0, |most| most.bps() as f64)
    }

    /// What the renditions of a rung should take at most, where that is known.
    pub(crate) fn most(&self, rung: Rung) -> Option<Bitrate> {
        self.bitrates.get(rung.index()).copied().flatten().map(|bitrate| bitrate.most)
    }

    pub(crate) fn get(&self, id: RenditionId) -> Option<&Rendition> {
        self.by_index[id.index()].as_deref()
    }

    /// A rendition, which is made where there was none.
    pub(crate) fn entry(&mut self, id: RenditionId) -> &mut Rendition {
        self.by_index[id.index()].get_or_insert_default()
    }

    /// The last frames of a rendition.
    pub(crate) fn history(&self, id: RenditionId) -> Option<&History> {
        self.get(id).map(|rendition| &rendition.history)
    }

    /// The numbers of a rendition's last picture.
    pub(crate) fn numbers(&self, id: RenditionId) -> Numbers {
        self.get(id).map(|rendition| rendition.numbers).unwrap_or_default()
    }

    /// What the headers of all packets of a frame carry.
    pub(crate) fn stamp(&mut self, frame: &PacketizedFrame, clock: &ClockAnchor) -> FrameStamp {
        let rendition = self.by_index[frame.rendition.index()].get_or_insert_default();
        let first = frame.payloads.get(0).unwrap_or_default();
        rendition.numbers = Numbers::of(frame.rendition.codec, first);
        let rtp_time = self.timeline.rtp_time(frame, &mut rendition.last);

        let rested = rendition
            .last_capture_time_sent
            .is_none_or(|at| frame.captured.saturating_duration_since(at) >= CAPTURE_TIME_INTERVAL);
        // Not on what some viewers are not sent.
        let is_for_all = frame.layers.is_none_or(|layers| layers.layer == TemporalLayer::BASE);
        let capture_time = (frame.keyframe || rested && is_for_all).then(|| {
            rendition.last_capture_time_sent = Some(frame.captured);
            clock.to_system(frame.captured)
        });
        FrameStamp::picture(rtp_time as u32, frame.captured, capture_time, self.playout_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packetize::Payloads;
    use std::sync::Arc;
    use visavis_types::{SessionNumber, Stamps, VideoCodec};

    fn frame(captured: Instant, keyframe: bool) -> PacketizedFrame {
        let stamps = Stamps::pushed(captured);
        PacketizedFrame {
            rendition: RenditionId::lowest(SessionNumber::unique(), VideoCodec::H264),
            keyframe,
            layers: None,
            payloads: Arc::new(Payloads::default()),
            captured,
            stamps,
        }
    }

    #[test]
    fn of_an_encoder_that_follows_each_layer_needs_its_part_of_the_least() {
        let (start, session) = (Instant::now(), SessionNumber::unique());
        let id = RenditionId::lowest(session, VideoCodec::H264);
        let mut renditions = Renditions::new(PlayoutDelay::NONE, start);
        let (least, most) = (Bitrate::from_kbps(100), Bitrate::from_kbps(1_000));
        let mut bitrates = [None; Rung::COUNT];
        bitrates[0] = Some(RungBitrate { least, most });
        renditions.expect(bitrates);
        let stamp = renditions.stamp(&frame(start, true), &ClockAnchor::now());
        let mut now = start;
        for n in 0..150 {
            now += Duration::from_millis(33);
            let layer = TemporalLayer::new(n % 2).unwrap();
            let layers = Some(visavis_types::Layering { layer, sync: false, refers_back: [0; 3] });
            // The base is a quarter of it.
            let bytes = if n % 2 == 0 { 500 } else { 1_600 };
            let payloads = Arc::new([vec![0; bytes]].iter().collect());
            let frame = PacketizedFrame { rendition: id, layers, payloads, ..frame(now, n == 0) };
            renditions.keep(frame, stamp, now);
        }
        let mut steps = Vec::new();
        let there = RenditionSet::EMPTY.with(id);
        renditions.steps((session, id.codec), there, now, &mut steps);
        let [base, whole] = steps[..] else { panic!("{steps:?}") };
        assert_eq!(whole.limit.layer, TemporalLayer::HIGHEST);
        assert_eq!((whole.needs.round(), whole.may_take.round()), (100e3, ROOM_TO_FOLLOW * 100e3));
        assert!((20e3..35e3).contains(&base.needs), "{base:?}");
        assert!(base.limit < whole.limit && base.grows && whole.grows);
        // One that does not follow needs what it takes.
        bitrates[0] = Some(RungBitrate::fixed(most));
        renditions.expect(bitrates);
        steps.clear();
        renditions.steps((session, id.codec), there, now, &mut steps);
        assert!(steps.iter().all(|step| step.needs == step.takes && !step.grows), "{steps:?}");
    }

    #[test]
    fn rtp_time_follows_capture_time_and_never_stands_still() {
        let clock = ClockAnchor::now();
        let start = Instant::now();
        let mut session = Renditions::new(PlayoutDelay::NONE, start);
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
        let mut session = Renditions::new(PlayoutDelay::NONE, start);
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
    fn all_renditions_of_a_picture_have_one_rtp_time_whatever_became_of_the_clock() {
        let (clock, start) = (ClockAnchor::now(), Instant::now());
        let mut session = Renditions::new(PlayoutDelay::NONE, start);
        for n in 0..300_u64 {
            let pushed = start + Duration::from_millis(n * 40);
            let late = if (100..200).contains(&n) { 0 } else { 9_000 };
            let first = frame(pushed.checked_sub(Duration::from_millis(late)).unwrap(), n == 0);
            let first = PacketizedFrame { stamps: Stamps::pushed(pushed), ..first };
            let codec = VideoCodec::Vp8;
            let other = PacketizedFrame {
                rendition: RenditionId { codec, ..first.rendition },
                ..first.clone()
            };
            let times = [first, other].map(|frame| session.stamp(&frame, &clock).rtp_time);
            assert_eq!(times[0], times[1], "{n}");
        }
    }

    #[test]
    fn capture_time_is_on_keyframes_and_once_a_second() {
        let (clock, start) = (ClockAnchor::now(), Instant::now());
        let mut session = Renditions::new(PlayoutDelay::NONE, start);
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
