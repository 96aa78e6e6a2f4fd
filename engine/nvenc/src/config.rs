use visavis_types::FrameSize;

use crate::libraries::Libraries;

/// How much a picture is looked at before it is encoded: P1 is the fastest, P4 looks best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are called so by NVIDIA, and ordered")]
pub enum Preset {
    P1,
    P2,
    P3,
    P4,
}

impl Preset {
    /// One that leaves the encoder time for other sessions: P4 up to 720 rows at 30 frames per second, then less.
    /// By the number of pixels; not measured on hardware.
    pub(crate) fn chosen(size: FrameSize, fps: u32) -> Self {
        const HD: u64 = 1_280 * 720;
        let pixels = u64::from(size.width()) * u64::from(size.height()) * u64::from(fps);
        match pixels {
            n if n <= HD * 30 => Self::P4,
            n if n <= HD * 60 * 2 => Self::P3,
            n if n <= HD * 60 * 5 => Self::P2,
            _ => Self::P1,
        }
    }
}

/// Settings of a maker. For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NvencConfig {
    /// The GPU, counted from 0 as CUDA counts. Default: 0.
    pub gpu: u32,
    /// Default: `None`, by the size and the frame rate of each session.
    pub preset: Option<Preset>,
    /// Whether each picture is encoded twice, the first time at a quarter of its size, so that it comes closer to
    /// its share of the bitrate. Default: no.
    pub two_pass: bool,
    /// The files of the driver. Default: [`Libraries::from_environment`].
    pub libraries: Libraries,
}

impl NvencConfig {
    visavis_types::setters! {
        gpu: u32,
        into preset: Option<Preset>,
        two_pass: bool,
        libraries: Libraries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_pictures_are_looked_at_less() {
        let chosen =
            |width, height, fps| Preset::chosen(FrameSize::new(width, height).unwrap(), fps);
        assert_eq!(chosen(512, 512, 30), Preset::P4);
        assert_eq!(chosen(1_280, 720, 30), Preset::P4);
        assert_eq!(chosen(1_920, 1_080, 30), Preset::P3);
        assert_eq!(chosen(3_840, 2_160, 30), Preset::P2);
        assert_eq!(chosen(3_840, 2_160, 120), Preset::P1);
    }
}
