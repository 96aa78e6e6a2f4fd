use std::fmt;

use crate::FrameSize;

/// Sizes of pictures that an encoder takes. Those of a frame ([`FrameSize`]) hold beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimits {
    /// The least of either side.
    pub least: u32,
    /// The most of the longer side.
    pub longer: u32,
    /// The most of the shorter side.
    pub shorter: u32,
}

impl SizeLimits {
    /// Whatever a frame may have.
    pub const ALL: Self = Self {
        least: FrameSize::MIN_SIDE,
        longer: FrameSize::MAX_SIDE,
        shorter: FrameSize::MAX_SIDE,
    };

    /// Whether pictures of a size are taken.
    pub fn contains(&self, size: FrameSize) -> bool {
        let (longer, shorter) = sides(size);
        shorter >= self.least && longer <= self.longer && shorter <= self.shorter
    }

    /// The same size, or the largest of its shape where that is too large. One that is too small stays.
    pub fn fit(&self, size: FrameSize) -> FrameSize {
        let (longer, shorter) = sides(size);
        if longer <= self.longer && shorter <= self.shorter {
            return size;
        }
        // By the side that is over its limit by more.
        let (most, side) = match longer * self.shorter >= shorter * self.longer {
            true => (self.longer, longer),
            false => (self.shorter, shorter),
        };
        let fitted = |full: u32| ((full * most / side) & !1).max(FrameSize::MIN_SIDE);
        FrameSize::new(fitted(size.width()), fitted(size.height())).unwrap_or(size)
    }
}

/// The longer and the shorter one.
fn sides(size: FrameSize) -> (u32, u32) {
    let (width, height) = (size.width(), size.height());
    (width.max(height), width.min(height))
}

impl fmt::Display for SizeLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, longer, shorter } = self;
        write!(f, "{least}x{least} to {longer}x{shorter}")?;
        if longer == shorter { Ok(()) } else { write!(f, " or {shorter}x{longer}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_keeps_its_shape() {
        let limits = SizeLimits { least: 16, longer: 3_840, shorter: 2_160 };
        let fitted = |width, height| {
            let size = FrameSize::new(width, height).unwrap();
            let fitted = limits.fit(size);
            assert_eq!(SizeLimits::ALL.fit(size), size);
            assert_eq!(limits.fit(fitted), fitted);
            assert_eq!(limits.contains(size), fitted == size);
            (fitted.width(), fitted.height())
        };
        assert_eq!(fitted(3_840, 2_160), (3_840, 2_160));
        assert_eq!(fitted(2_160, 3_840), (2_160, 3_840));
        assert_eq!(fitted(4_096, 2_304), (3_840, 2_160));
        assert_eq!(fitted(4_032, 3_024), (2_880, 2_160));
        assert_eq!(fitted(4_096, 4_096), (2_160, 2_160));
        assert_eq!(fitted(16, 4_096), (16, 3_840));
    }

    #[test]
    fn what_is_too_small_is_no_fault_of_its_size() {
        let limits = SizeLimits { least: 128, ..SizeLimits::ALL };
        let size = FrameSize::new(64, 256).unwrap();
        assert!(!limits.contains(size));
        assert_eq!(limits.fit(size), size);
    }

    #[test]
    fn limits_read_as_sizes() {
        assert_eq!(SizeLimits::ALL.to_string(), "16x16 to 4096x4096");
        let limits = SizeLimits { least: 16, longer: 3_840, shorter: 2_160 };
        assert_eq!(limits.to_string(), "16x16 to 3840x2160 or 2160x3840");
    }
}
