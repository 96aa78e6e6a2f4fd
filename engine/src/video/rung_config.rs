//! A smaller picture beside the whole one, as an application asks for it.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use visavis_types::{Bitrate, Rung, setters};

/// A smaller picture, for viewers whose networks do not take the whole one
/// ([`SessionConfig::rungs`](crate::SessionConfig::rungs)).
///
/// As text: `50%:300` is half of each side at 300 kbit/s, `50%:300:15` the same with 15 frames a second.
///
/// ```
/// use visavis::units::Bitrate;
/// use visavis::video::RungConfig;
///
/// let half = RungConfig::new(50, Bitrate::from_kbps(300)).fps(15);
/// assert_eq!("50%:300:15".parse(), Ok(half));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RungConfig {
    /// Of each side of the whole picture, [10 to 100](Self::PERCENT); nothing is made smaller than 120 pixels.
    pub percent: u32,
    /// Target rate of the video.
    pub bitrate: Bitrate,
    /// Frames a second at most, of pictures that are pushed; none leaves it at those of the session. Default: none.
    pub fps: Option<u32>,
}

/// A text that is no [`RungConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected SIDE%:KBPS or SIDE%:KBPS:FPS, such as 50%:300")]
pub struct InvalidRungConfig;

impl RungConfig {
    /// Possible values of [`percent`](field@Self::percent).
    pub const PERCENT: RangeInclusive<u32> = 10..=100;
    /// How many a session may have.
    pub const MOST: usize = Rung::COUNT - 1;

    /// So much of each side, in percent, at a bitrate.
    pub const fn new(percent: u32, bitrate: Bitrate) -> Self {
        Self { percent, bitrate, fps: None }
    }

    setters! {
        into fps: Option<u32>,
    }
}

impl fmt::Display for RungConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%:{}", self.percent, self.bitrate.bps() / 1_000)?;
        self.fps.map_or(Ok(()), |fps| write!(f, ":{fps}"))
    }
}

impl FromStr for RungConfig {
    type Err = InvalidRungConfig;

    fn from_str(text: &str) -> Result<Self, InvalidRungConfig> {
        let mut parts = text.split(':');
        let mut next = || parts.next().map(str::trim);
        let percent = next().and_then(|part| part.strip_suffix('%')).ok_or(InvalidRungConfig)?;
        let kbps = next().ok_or(InvalidRungConfig)?;
        let (fps, more) = (next(), next());
        let number = |text: &str| text.parse::<u32>().map_err(|_| InvalidRungConfig);
        if more.is_some() {
            return Err(InvalidRungConfig);
        }
        let bitrate = Bitrate::from_kbps(number(kbps)?.into());
        Ok(Self { percent: number(percent)?, bitrate, fps: fps.map(number).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        for text in ["50%:300", "25%:120:15", "100%:4294967"] {
            assert_eq!(
                text.parse::<RungConfig>().map(|rung| rung.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(" 50% : 300 ".parse(), Ok(RungConfig::new(50, Bitrate::from_kbps(300))));
        for text in
            ["", "50", "50%", "50:300", "50%:", "50%:300:", "50%:300:15:1", "-5%:300", "5.5%:300"]
        {
            assert_eq!(text.parse::<RungConfig>(), Err(InvalidRungConfig), "{text}");
        }
    }
}
