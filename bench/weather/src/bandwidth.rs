use std::fmt;
use std::time::Duration;

/// Work in units of 10⁻⁹ bit: what one bit/s does in one nanosecond. Negative where more was done than there was.
pub(crate) type Work = i128;

/// The work of sending this many bytes.
pub(crate) const fn work_of(bytes: usize) -> Work {
    bytes as Work * 8 * 1_000_000_000
}

/// Bits a second. [`ZERO`](Self::ZERO) stops a link until it changes, [`UNLIMITED`](Self::UNLIMITED) takes no time for
/// any packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth(u64);

impl Bandwidth {
    /// Nothing is sent.
    pub const ZERO: Self = Self(0);
    /// Everything is sent at once.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// From bits a second.
    pub const fn from_bps(bps: u64) -> Self {
        Self(bps)
    }

    /// From 1,000 bits a second.
    pub const fn from_kbps(kbps: u64) -> Self {
        Self(kbps.saturating_mul(1_000))
    }

    /// From 1,000,000 bits a second, to the nearest bit; below 0 is [`ZERO`](Self::ZERO).
    pub const fn from_mbps(mbps: f64) -> Self {
        Self((mbps * 1e6 + 0.5) as u64)
    }

    /// Bits a second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// How long it takes to do this work, rounded up to a nanosecond; `None` for ever.
    pub(crate) fn time_for(self, work: Work) -> Option<Duration> {
        if work <= 0 || self == Self::UNLIMITED {
            return Some(Duration::ZERO);
        }
        if self == Self::ZERO {
            return None;
        }
        let nanos = work.unsigned_abs().div_ceil(u128::from(self.0));
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// The work done in this time.
    pub(crate) fn work_in(self, time: Duration) -> Work {
        Work::from(self.0).saturating_mul(Work::try_from(time.as_nanos()).unwrap_or(Work::MAX))
    }
}

impl fmt::Debug for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNLIMITED => f.write_str("unlimited"),
            Self(bps) => write!(f, "{bps} bit/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_times() {
        assert_eq!(Bandwidth::from_mbps(2.5), Bandwidth::from_kbps(2_500));
        assert_eq!(Bandwidth::from_mbps(0.6).as_bps(), 600_000);
        assert_eq!(Bandwidth::from_mbps(-1.0), Bandwidth::ZERO);
        let bandwidth = Bandwidth::from_bps(3);
        assert_eq!(bandwidth.time_for(work_of(1)), Some(Duration::from_nanos(2_666_666_667)));
        assert_eq!(bandwidth.work_in(Duration::from_secs(8)), work_of(3));
        assert_eq!(Bandwidth::ZERO.time_for(1), None);
        assert_eq!(Bandwidth::ZERO.time_for(0), Some(Duration::ZERO));
        assert_eq!(Bandwidth::UNLIMITED.time_for(work_of(65_535)), Some(Duration::ZERO));
    }
}
