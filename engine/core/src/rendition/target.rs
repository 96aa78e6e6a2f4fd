//! The bitrate of an encoder that has one viewer alone.
//!
//! It follows what that viewer's network takes, from one picture to the next, and costs no keyframe. Only what is below its
//! range takes another rung.

use visavis_types::Bitrate;

use super::Capacity;

/// What is encoded, of what the network takes: headers and sound take the rest.
const PART: f64 = 0.88;
/// Smaller changes are not worth telling an encoder of.
const WORTH: f64 = 0.05;

/// What a rung's encoder makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RungBitrate {
    /// Where the viewer's network takes less than [`most`](Self::most): the least that it makes before the viewer gets a
    /// lower rung.
    pub least: Bitrate,
    /// As a rule.
    pub most: Bitrate,
}

impl RungBitrate {
    /// One bitrate, whatever its viewers' networks take.
    pub const fn fixed(bitrate: Bitrate) -> Self {
        Self { least: bitrate, most: bitrate }
    }

    /// Whether it follows its viewer's network.
    pub fn is_followed(&self) -> bool {
        self.least < self.most
    }
}

/// What the encoder makes.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// Where that is less than the most it may make.
    less: Option<f64>,
    /// It is another encoder, and was told nothing yet.
    is_new: bool,
}

impl Target {
    /// Bits a second that the encoder is to make, where that is less than the most it may.
    pub(crate) fn less(&self) -> Option<f64> {
        self.less
    }

    /// Takes a report, or a change of the rung. Gives the encoder's bitrate where it is another one from now on.
    pub(crate) fn note(&mut self, capacity: Capacity, range: RungBitrate) -> Option<Bitrate> {
        let [least, most] = [range.least, range.most].map(|bitrate| bitrate.bps() as f64);
        let current = self.less.unwrap_or(most).clamp(least, most);
        let wanted = (PART * capacity.estimate.bps() as f64).clamp(least, most);
        let is_new = std::mem::take(&mut self.is_new);
        // Where the network was not full, a low estimate says only that more was not tried.
        let is_wanted = wanted > current || capacity.is_full || is_new;
        let is_worth = (wanted - current).abs() > WORTH * current || wanted == most;
        let next = if is_wanted && is_worth { wanted } else { current };
        let next = (next < most).then_some(next);
        let before = std::mem::replace(&mut self.less, next);
        (is_new || before != next).then(|| Bitrate::from_bps(next.unwrap_or(most) as u64))
    }

    /// There is another encoder, of another rung.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self { less: None, is_new: true };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RANGE: RungBitrate =
        RungBitrate { least: Bitrate::from_kbps(675), most: Bitrate::from_kbps(1_500) };

    fn note(target: &mut Target, kbps: u64, is_full: bool) -> Option<u64> {
        let estimate = Bitrate::from_kbps(kbps);
        let capacity = Capacity { estimate, queue: Duration::ZERO, is_full };
        target.note(capacity, RANGE).map(|bitrate| bitrate.bps() / 1_000)
    }

    #[test]
    fn it_is_what_the_network_takes_within_what_the_rung_is_for() {
        let mut target = Target::default();
        assert_eq!(note(&mut target, 900, false), None, "more was not tried");
        assert_eq!(note(&mut target, 1_000, true), Some(880));
        assert_eq!(note(&mut target, 1_020, true), None, "hardly anything");
        assert_eq!(note(&mut target, 980, true), None, "hardly anything");
        assert_eq!(note(&mut target, 1_100, false), Some(968));
        assert_eq!(note(&mut target, 300, true), Some(675));
        assert_eq!(note(&mut target, 300, true), None);
        assert_eq!(note(&mut target, 700, false), None);
        assert_eq!(target.less(), Some(675e3));
        assert_eq!(note(&mut target, 5_000, true), Some(1_500));
        assert_eq!(target.less(), None);
    }

    #[test]
    fn another_encoder_is_told_anew() {
        let mut target = Target::default();
        assert_eq!(note(&mut target, 1_000, true), Some(880));
        target.begin_anew();
        assert_eq!(note(&mut target, 1_000, false), Some(880));
        target.begin_anew();
        assert_eq!(note(&mut target, 5_000, false), Some(1_500));
        assert_eq!(note(&mut target, 5_000, false), None);
    }
}
