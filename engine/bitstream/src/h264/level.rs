//! Levels (ITU-T H.264 table A-1).

use visavis_types::FrameSize;

/// What a decoder of one level can do.
struct Level {
    /// `level_idc`.
    idc: u8,
    max_macroblocks_per_second: u32,
    max_macroblocks: u32,
    max_dpb_macroblocks: u32,
    /// Largest bitrate in baseline profile.
    max_kbps: u64,
}

const fn level(idc: u8, per_second: u32, frame: u32, dpb: u32, max_kbps: u64) -> Level {
    Level {
        idc,
        max_macroblocks_per_second: per_second,
        max_macroblocks: frame,
        max_dpb_macroblocks: dpb,
        max_kbps,
    }
}

const LEVELS: [Level; 16] = [
    level(10, 1_485, 99, 396, 64),
    level(11, 3_000, 396, 900, 192),
    level(12, 6_000, 396, 2_376, 384),
    level(13, 11_880, 396, 2_376, 768),
    level(20, 11_880, 396, 2_376, 2_000),
    level(21, 19_800, 792, 4_752, 4_000),
    level(22, 20_250, 1_620, 8_100, 4_000),
    level(30, 40_500, 1_620, 8_100, 10_000),
    level(31, 108_000, 3_600, 18_000, 14_000),
    level(32, 216_000, 5_120, 20_480, 20_000),
    level(40, 245_760, 8_192, 32_768, 20_000),
    level(41, 245_760, 8_192, 32_768, 50_000),
    level(42, 522_240, 8_704, 34_816, 50_000),
    level(50, 589_824, 22_080, 110_400, 135_000),
    level(51, 983_040, 36_864, 184_320, 240_000),
    level(52, 2_073_600, 36_864, 184_320, 240_000),
];

/// `level_idc` of the lowest level that holds a stream in baseline profile, or of the highest there is.
pub fn level_for_stream(size: FrameSize, fps: u32, bps: u64) -> u8 {
    let (columns, rows) = (size.width().div_ceil(16), size.height().div_ceil(16));
    let macroblocks = columns * rows;
    let fits = |level: &&Level| {
        // Neither side may be longer than √(8 × MaxFS) macroblocks (§A.3.1).
        let side = columns.max(rows);
        side * side <= 8 * level.max_macroblocks
            && macroblocks <= level.max_macroblocks
            && macroblocks * fps <= level.max_macroblocks_per_second
            && bps <= level.max_kbps * 1_000
    };
    let [.., last] = &LEVELS;
    LEVELS.iter().find(fits).unwrap_or(last).idc
}

/// `MaxDpbFrames`: how many pictures of this many macroblocks a decoder of a level keeps (§A.3.1).
pub(super) fn max_dpb_frames(level_idc: u8, macroblocks: u32) -> u32 {
    let known = LEVELS.iter().find(|level| level.idc >= level_idc);
    known.map_or(16, |level| (level.max_dpb_macroblocks / macroblocks.max(1)).min(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_streams_get_their_usual_level() {
        let cases = [
            (16, 16, 30, 100, 11),
            (512, 512, 30, 1_000, 30),
            (640, 480, 30, 1_500, 30),
            (1280, 720, 30, 2_500, 31),
            (720, 1280, 30, 2_500, 31),
            (1920, 1080, 30, 6_000, 40),
            (1920, 1080, 60, 6_000, 42),
            (3840, 2160, 30, 20_000, 51),
            (4096, 4096, 120, 20_000, 52),
        ];
        for (width, height, fps, kbps, idc) in cases {
            let size = FrameSize::new(width, height).unwrap();
            let found = level_for_stream(size, fps, kbps * 1_000);
            assert_eq!(found, idc, "{width}x{height} {fps} fps {kbps} kbit/s");
        }
    }

    #[test]
    fn decoders_keep_what_the_level_says() {
        assert_eq!(max_dpb_frames(31, 3_600), 5);
        assert_eq!(max_dpb_frames(40, 8_160), 4);
        assert_eq!(max_dpb_frames(52, 1), 16);
    }
}
