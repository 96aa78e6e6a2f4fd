//! The rungs of a session: the sizes and bitrates that its pictures are encoded in.

use visavis_core::RungBitrate;
use visavis_types::{
    Bitrate, CodecSet, FrameSize, RenditionId, RenditionSet, Rung, SessionNumber, VideoCodec,
};

use super::rung_config::RungConfig;

/// Of each side and of the bitrate in percent, from the lowest rung up: about what libwebrtc's table for simulcast has for
/// sizes between 180 and 720 lines.
const PARTS: [(u32, u64); Rung::COUNT - 1] = [(25, 8), (50, 20), (75, 45)];
const WHOLE: u32 = 100;
/// Where the shorter side would be smaller, pictures are not made as small.
const MIN_SIDE: u32 = 120;

/// The rungs of a session, the lowest first; one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ladder(Vec<Step>);

/// One rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) rung: Rung,
    pub(crate) bitrate: Bitrate,
    pub(crate) scale: Scale,
    /// Frames a second at most.
    pub(crate) fps: Option<u32>,
}

/// A size out of another: so many percent of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale(u32);

impl Ladder {
    /// A bitrate, and below it what is not below a floor.
    pub(crate) fn new(top: Bitrate, floor: Bitrate) -> Self {
        let parts = PARTS.map(|(side, percent)| {
            RungConfig::new(side, Bitrate::from_bps(top.bps() / 100 * percent))
        });
        let lower: Vec<_> = parts.into_iter().filter(|rung| rung.bitrate >= floor).collect();
        Self::of(top, &lower)
    }

    /// A bitrate, and below it what was asked for.
    pub(crate) fn of(top: Bitrate, lower: &[RungConfig]) -> Self {
        let scales = cfg!(feature = "scale");
        let lower = lower.iter().filter(|rung| scales || Scale(rung.percent) == Scale::WHOLE);
        let mut all: Vec<_> = lower.copied().collect();
        all.sort_by_key(|rung| rung.bitrate);
        all.push(RungConfig::new(WHOLE, top));
        let step = |(rung, of): (Rung, RungConfig)| Step {
            rung,
            bitrate: of.bitrate,
            scale: Scale(of.percent),
            fps: of.fps,
        };
        Self((0..).map_while(Rung::new).zip(all).map(step).collect())
    }

    /// One alone.
    pub(crate) fn single(bitrate: Bitrate) -> Self {
        Self::of(bitrate, &[])
    }

    /// All of them.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// One of them, where there is it.
    pub(crate) fn get(&self, rung: Rung) -> Option<Step> {
        self.0.get(rung.index()).copied()
    }

    /// The renditions that come of it.
    pub(crate) fn renditions(&self, session: SessionNumber) -> RenditionSet {
        let of_codec = |codec: VideoCodec| {
            self.0.iter().map(move |step| RenditionId { session, codec, rung: step.rung })
        };
        CodecSet::ALL.iter().flat_map(of_codec).fold(RenditionSet::EMPTY, RenditionSet::with)
    }

    /// What those of each rung should take; where encoders follow their viewer down to a floor, from the bitrate of the next
    /// rung on. Of one rung that is always the same nothing is to be chosen.
    pub(crate) fn bitrates(&self, floor: Option<Bitrate>) -> [Option<RungBitrate>; Rung::COUNT] {
        let mut bitrates = [None; Rung::COUNT];
        if self.0.len() > 1 || floor.is_some() {
            let lower = floor.into_iter().chain(self.0.iter().map(|step| step.bitrate));
            let ranges = self.0.iter().zip(lower).map(|(step, lower)| match floor {
                Some(_) => RungBitrate { least: lower.min(step.bitrate), most: step.bitrate },
                None => RungBitrate::fixed(step.bitrate),
            });
            bitrates.iter_mut().zip(ranges).for_each(|(one, range)| *one = Some(range));
        }
        bitrates
    }
}

impl Scale {
    /// As it is.
    pub(crate) const WHOLE: Self = Self(WHOLE);

    /// A size, scaled.
    pub(crate) fn of(self, size: FrameSize) -> FrameSize {
        let shorter = size.width().min(size.height());
        let larger = PARTS.map(|(side, _)| side).into_iter().filter(|side| *side > self.0);
        let sides = std::iter::once(self.0).chain(larger).filter(|side| *side < WHOLE);
        let Some(percent) = sides.into_iter().find(|side| shorter * side / WHOLE >= MIN_SIDE)
        else {
            return size;
        };
        // Even, and the nearest.
        let side = |side: u32| (side * percent + WHOLE) / (2 * WHOLE) * 2;
        FrameSize::new(side(size.width()), side(size.height())).unwrap_or(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kbps(top: u64, floor: u64) -> Vec<u64> {
        let ladder = Ladder::new(Bitrate::from_kbps(top), Bitrate::from_kbps(floor));
        let rungs = ladder.steps().iter().map(|step| step.rung.index());
        assert!(rungs.eq(0..ladder.steps().len()));
        assert_eq!(ladder.steps().last().unwrap().scale, Scale::WHOLE);
        ladder.steps().iter().map(|step| step.bitrate.bps() / 1_000).collect()
    }

    #[test]
    #[cfg(feature = "scale")]
    fn rungs_go_from_the_bitrate_down_to_the_floor() {
        assert_eq!(kbps(1_500, 100), [120, 300, 675, 1_500]);
        assert_eq!(kbps(2_500, 100), [200, 500, 1_125, 2_500]);
        assert_eq!(kbps(400, 100), [180, 400]);
        assert_eq!(kbps(400, 400), [400]);
        assert_eq!(kbps(60, 100), [60]);
        assert_eq!(Ladder::single(Bitrate::from_kbps(400)).bitrates(None), [None; 4]);
    }

    #[test]
    #[cfg(feature = "scale")]
    fn what_was_asked_for_comes_in_order_below_the_whole() {
        let rung = |percent, kbps| RungConfig::new(percent, Bitrate::from_kbps(kbps));
        let lower = [rung(60, 500), rung(30, 150).fps(15)];
        let ladder = Ladder::of(Bitrate::from_kbps(2_000), &lower);
        let steps = ladder.steps().iter();
        let steps: Vec<_> =
            steps.map(|step| (step.scale, step.bitrate.bps() / 1_000, step.fps)).collect();
        let expected =
            [(Scale(30), 150, Some(15)), (Scale(60), 500, None), (Scale::WHOLE, 2_000, None)];
        assert_eq!(steps, expected);
    }

    #[test]
    #[cfg(feature = "scale")]
    fn encoders_that_follow_stay_down_to_the_next_rung() {
        let [top, floor] = [1_500, 100].map(Bitrate::from_kbps);
        let ladder = Ladder::new(top, floor);
        let kbps = |floor| {
            let ranges = ladder.bitrates(floor).map(Option::unwrap);
            ranges.map(|range| [range.least, range.most].map(|bitrate| bitrate.bps() / 1_000))
        };
        assert_eq!(kbps(Some(floor)), [[100, 120], [120, 300], [300, 675], [675, 1_500]]);
        assert_eq!(kbps(None), [120, 300, 675, 1_500].map(|kbps| [kbps, kbps]));
        let [single, ..] = Ladder::single(top).bitrates(Some(floor));
        assert_eq!(single, Some(RungBitrate { least: floor, most: top }));
        let [single, ..] = Ladder::single(floor).bitrates(Some(top));
        assert_eq!(single, Some(RungBitrate::fixed(floor)));
    }

    #[test]
    fn sizes_are_even_and_none_is_smaller_than_is_of_use() {
        let size = |width, height| FrameSize::new(width, height).unwrap();
        let all = |width, height| [25, 50, 75, 100].map(|part| Scale(part).of(size(width, height)));
        assert_eq!(
            all(1_280, 720),
            [size(320, 180), size(640, 360), size(960, 540), size(1_280, 720)]
        );
        assert_eq!(all(512, 512), [size(128, 128), size(256, 256), size(384, 384), size(512, 512)]);
        let [first, second, third, fourth] = all(256, 256);
        assert_eq!([first, second], [size(128, 128); 2]);
        assert_eq!([third, fourth], [size(192, 192), size(256, 256)]);
        assert_eq!(all(100, 400), [size(100, 400); 4]);
        assert_eq!(all(722, 406)[1], size(362, 204));
        assert_eq!(Scale(40).of(size(1_280, 720)), size(512, 288));
        assert_eq!(Scale(40).of(size(256, 256)), size(128, 128), "the next that is large enough");
    }
}
