//! A machine-readable clock in the picture, so that latency can be read off the glass.
//!
//! The strip is the bottom 32 rows: 48 cells side by side from the left edge, each as wide as a 48th
//! of the frame floored to an even number of pixels. A cell is one bit, most significant first:
//! white for 1, black for 0. The first 40 bits are the low bits of the Unix time in units of 100 µs,
//! the last 8 a checksum: the sum of the five bytes of the time (modulo 256), XOR `0x5A`. What lies
//! to the right of the last cell is black.
//!
//! White and black are the limits of video range, 235 and 16 in luma; in RGBA that is 255 and 0.

use std::time::{SystemTime, UNIX_EPOCH};

use visavis::video::PixelFormat;

/// Cells of the strip.
pub const CELLS: u32 = 48;
/// Rows of the strip.
pub const ROWS: u32 = 32;
/// The narrowest frame on which a cell is 8 pixels wide: what video compression leaves readable.
pub const MIN_WIDTH: u32 = 384;

const CHECK_MASK: u8 = 0x5a;

/// A moment, as the strip shows it: Unix time in units of 100 µs, its low 40 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timecode(u64);

impl Timecode {
    /// The moment of this call.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_units((since.as_micros() / 100) as u64)
    }

    /// A moment in units of 100 µs; bits above the 40th are dropped.
    pub const fn from_units(units: u64) -> Self {
        Self(units & 0xff_ffff_ffff)
    }

    /// The 48 bits of the strip.
    pub fn bits(self) -> u64 {
        self.0 << 8 | u64::from(self.checksum())
    }

    /// The moment a strip shows, or `None` if its checksum is wrong.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let timecode = Self::from_units(bits >> 8);
        (timecode.checksum() == bits as u8).then_some(timecode)
    }

    fn checksum(self) -> u8 {
        let bytes = self.0.to_be_bytes();
        bytes.into_iter().fold(0u8, u8::wrapping_add) ^ CHECK_MASK
    }
}

/// A frame the strip does not fit on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame of {width}x{height} has no room for the timecode strip; \
     it takes at least {MIN_WIDTH}x{ROWS}"
)]
pub struct TooSmall {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Checks that the strip fits on frames of a size.
///
/// # Errors
///
/// The frame is smaller.
pub fn check(width: u32, height: u32) -> Result<(), TooSmall> {
    if width < MIN_WIDTH || height < ROWS { Err(TooSmall { width, height }) } else { Ok(()) }
}

/// Paints the strip over the bottom of a frame.
///
/// # Errors
///
/// The frame is smaller than the strip; it is unchanged then.
pub fn paint(
    timecode: Timecode,
    data: &mut [u8],
    width: u32,
    height: u32,
    format: PixelFormat,
) -> Result<(), TooSmall> {
    check(width, height)?;
    let (columns, height) = (width as usize, height as usize);
    let first = height - ROWS as usize;
    let bits = timecode.bits();
    let cell = ((width / CELLS) & !1) as usize;
    let is_white =
        |x: usize| x / cell < CELLS as usize && bits >> (CELLS as usize - 1 - x / cell) & 1 == 1;
    match format {
        PixelFormat::Rgba | PixelFormat::Bgra | PixelFormat::Rgb => {
            let bytes = if format == PixelFormat::Rgb { 3 } else { 4 };
            for row in data.chunks_exact_mut(columns * bytes).take(height).skip(first) {
                for (x, pixel) in row.chunks_exact_mut(bytes).enumerate() {
                    let level = if is_white(x) { 255 } else { 0 };
                    pixel.fill(255);
                    pixel[..3].fill(level);
                }
            }
        }
        PixelFormat::I420 | PixelFormat::Nv12 => {
            let (luma, chroma) = data.split_at_mut((columns * height).min(data.len()));
            for row in luma.chunks_exact_mut(columns).skip(first) {
                for (x, pixel) in row.iter_mut().enumerate() {
                    *pixel = if is_white(x) { 235 } else { 16 };
                }
            }
            let planes = if format == PixelFormat::I420 { 2 } else { 1 };
            let plane = columns * height / 2 / planes;
            for plane in chroma.chunks_mut(plane.max(1)) {
                let start = (columns / planes * (first / 2)).min(plane.len());
                plane[start..].fill(128);
            }
        }
        // Nobody here makes files.
        PixelFormat::Jpeg | PixelFormat::Png => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the middle of each cell, as a viewer would.
    fn read(luma: impl Fn(usize, usize) -> u8, width: usize, height: usize) -> Option<Timecode> {
        let cell = (width / 48) & !1;
        let bit = |i: usize| u64::from(luma(i * cell + cell / 2, height - 16) > 127);
        Timecode::from_bits((0..48).fold(0, |bits, i| bits << 1 | bit(i)))
    }

    #[test]
    fn what_is_painted_is_read_back() {
        let timecode = Timecode::from_units(17_321_234_567_890);
        for (width, height) in [(512, 512), (384, 32), (640, 360), (1_280, 720), (390, 100)] {
            let mut rgba = vec![77; (width * height * 4) as usize];
            paint(timecode, &mut rgba, width, height, PixelFormat::Rgba).unwrap();
            let (w, h) = (width as usize, height as usize);
            assert_eq!(read(|x, y| rgba[(y * w + x) * 4 + 1], w, h), Some(timecode));

            let mut i420 = vec![77; (width * height * 3 / 2) as usize];
            paint(timecode, &mut i420, width, height, PixelFormat::I420).unwrap();
            assert_eq!(read(|x, y| i420[y * w + x], w, h), Some(timecode));
            if height > 32 {
                assert_eq!(i420[(h - 33) * w], 77, "the picture above stays");
                assert_eq!(i420[w * h], 77, "its colour too");
            }
            assert_eq!(i420.last(), Some(&128), "the strip is grey");
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bits = Timecode::from_units(0x01_02_03_04_05).bits();
        assert_eq!(bits, 0x01_02_03_04_05 << 8 | u64::from(15u8 ^ 0x5a));
        assert_eq!(Timecode::from_bits(bits ^ 1), None);
        assert_eq!(Timecode::from_bits(bits ^ 1 << 20), None);
    }

    #[test]
    fn small_frames_are_refused() {
        let mut data = vec![0; 382 * 512 * 4];
        let refused = paint(Timecode::now(), &mut data, 382, 512, PixelFormat::Rgba);
        assert_eq!(refused, Err(TooSmall { width: 382, height: 512 }));
    }
}
