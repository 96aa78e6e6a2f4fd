//! Photos of any size, made into pictures that can be sent.

use visavis_types::{FrameSize, I420Buffer, PixelFormat, UndecodablePicture, VideoFrameError};
use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::segments::{Segments, orientation};
use super::{jpeg_pixels, png_pixels, to_i420, undecodable};
use crate::{ColorMatrix, ConvertError, convert, recolour};

/// The longest side of a photo, and the most pixels: more than any camera has that people put faces on.
const MAX_SIDE: usize = 16_384;
const MAX_PIXELS: u64 = 64 << 20;

/// Decodes a JPEG or PNG file of any size into an upright picture in limited range, in the matrix of its
/// size. Where a side is odd its last row or column is left out; a picture with a side of more than
/// [`FrameSize::MAX_SIDE`] becomes smaller by a whole factor. `None` for a file that is neither.
///
/// # Errors
///
/// A file that cannot be decoded, has more than 64 million pixels or a side of more than 16,384, or is too
/// small for a [`FrameSize`].
pub fn decode_photo(file: &[u8]) -> Result<Option<I420Buffer>, VideoFrameError> {
    let (format, mut found) = if file.starts_with(&[0xff, 0xd8]) {
        (PixelFormat::Jpeg, (0, 0))
    } else if file.starts_with(b"\x89PNG") {
        (PixelFormat::Png, (0, 0))
    } else {
        return Ok(None);
    };
    let check = |width: u32, height: u32| {
        found = (width as usize, height as usize);
        let too_large = width.max(height) as usize > MAX_SIDE
            || u64::from(width) * u64::from(height) > MAX_PIXELS;
        if too_large {
            return Err(undecodable(format, UndecodablePicture::TooLarge { width, height }));
        }
        Ok(())
    };
    let (pixels, kind, turned) = match format {
        PixelFormat::Jpeg => {
            let segments = Segments::read(file);
            let whole = segments.with_tables(file);
            let (pixels, kind) = jpeg_pixels(&whole, MAX_SIDE, check)?;
            let kind = match kind {
                ColorSpace::YCbCr => Kind::Differences,
                ColorSpace::Luma => Kind::Luma,
                _ => Kind::Pixels(PixelFormat::Rgb),
            };
            (pixels, kind, segments.exif.map_or(1, orientation))
        }
        _ => {
            let mut pixels = Vec::new();
            let (format, turned) = png_pixels(file, &mut pixels, check)?;
            (pixels, Kind::Pixels(format), turned)
        }
    };
    let (pixels, size) = even(pixels, found, kind.bytes())?;
    let picture = to_picture(&pixels, kind, size)?;
    Ok(Some(upright(picture, turned)))
}

/// What decoded pixels are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Luma and both differences in full range (JFIF).
    Differences,
    Luma,
    Pixels(PixelFormat),
}

impl Kind {
    const fn bytes(self) -> usize {
        match self {
            Self::Luma => 1,
            Self::Pixels(PixelFormat::Rgba) => 4,
            Self::Differences | Self::Pixels(_) => 3,
        }
    }
}

/// Makes sides even, and small enough for a [`FrameSize`].
fn even(
    pixels: Vec<u8>,
    (width, height): (usize, usize),
    bytes: usize,
) -> Result<(Vec<u8>, FrameSize), VideoFrameError> {
    let factor = width.max(height).div_ceil(FrameSize::MAX_SIDE as usize).max(1);
    let (wide, high) = ((width / factor) & !1, (height / factor) & !1);
    let size = FrameSize::new(wide as u32, high as u32)?;
    if (wide, high) == (width, height) {
        return Ok((pixels, size));
    }
    let mut out = Vec::with_capacity(wide * high * bytes);
    let (row_bytes, count) = (width * bytes, (factor * factor) as u32);
    let mut sums = vec![0_u32; wide * bytes];
    for rows in pixels.chunks_exact(row_bytes * factor).take(high) {
        sums.fill(count / 2);
        for row in rows.chunks_exact(row_bytes) {
            let blocks = row.chunks_exact(factor * bytes).zip(sums.chunks_exact_mut(bytes));
            for (block, sum) in blocks {
                for pixel in block.chunks_exact(bytes) {
                    for (sum, &sample) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(sample);
                    }
                }
            }
        }
        out.extend(sums.iter().map(|sum| (sum / count) as u8));
    }
    Ok((out, size))
}

fn to_picture(pixels: &[u8], kind: Kind, size: FrameSize) -> Result<I420Buffer, VideoFrameError> {
    let mut picture = I420Buffer::new(size);
    let mut made = Vec::new();
    let (pixels, format) = match kind {
        Kind::Differences => {
            to_i420::<3>(pixels, size, &mut made);
            (made.as_slice(), PixelFormat::I420)
        }
        Kind::Luma => {
            to_i420::<1>(pixels, size, &mut made);
            (made.as_slice(), PixelFormat::I420)
        }
        Kind::Pixels(format) => (pixels, format),
    };
    match convert(pixels, format, size, ColorMatrix::for_size(size), &mut picture) {
        Ok(()) => Ok(picture),
        Err(ConvertError::Frame(error)) => Err(error),
        Err(ConvertError::Conversion(_)) => Err(undecodable(format, UndecodablePicture::Colors)),
    }
}

/// Turns a picture as Exif says.
fn upright(picture: I420Buffer, turned: u8) -> I420Buffer {
    if turned <= 1 {
        return picture;
    }
    let size = picture.size();
    let (width, height) =
        if turned < 5 { (size.width(), size.height()) } else { (size.height(), size.width()) };
    // Both sides are possible ones already.
    let Ok(new) = FrameSize::new(width, height) else { return picture };
    let mut out = I420Buffer::new(new);
    for (plane, (from, to)) in picture.planes().into_iter().zip(out.planes_mut()).enumerate() {
        let part = if plane == 0 { 1 } else { 2 };
        let (old_width, old_height) = (size.width() as usize / part, size.height() as usize / part);
        let new_width = width as usize / part;
        for (y, row) in to.chunks_exact_mut(new_width).enumerate() {
            for (x, place) in row.iter_mut().enumerate() {
                let (right, low) = (old_width - 1, old_height - 1);
                let (x, y) = match turned {
                    2 => (right - x, y),
                    3 => (right - x, low - y),
                    4 => (x, low - y),
                    5 => (y, x),
                    6 => (y, low - x),
                    7 => (right - y, low - x),
                    _ => (right - y, x),
                };
                *place = from.get(y * old_width + x).copied().unwrap_or_default();
            }
        }
    }
    let (before, after) = (ColorMatrix::for_size(size), ColorMatrix::for_size(new));
    if before != after {
        let turned = out.clone();
        recolour(&turned, before, after, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        file
    }

    fn size_of(width: u32, height: u32) -> (u32, u32) {
        let file = png(width, height, &vec![200; (width * height) as usize]);
        let picture = decode_photo(&file).unwrap().unwrap();
        assert!(picture.y().iter().all(|&y| y.abs_diff(188) <= 2), "{}", picture.y()[0]);
        (picture.size().width(), picture.size().height())
    }

    #[test]
    fn photos_of_any_size_become_pictures() {
        assert_eq!(size_of(1_179, 2_556), (1_178, 2_556));
        assert_eq!(size_of(4_096, 64), (4_096, 64));
        assert_eq!(size_of(6_000, 4_000), (3_000, 2_000));
        assert_eq!(size_of(99, 9_000), (32, 3_000));
        for (width, height) in [(16_385, 16), (15, 64), (16_384, 16)] {
            let file = png(width, height, &vec![0; (width * height) as usize]);
            assert!(decode_photo(&file).is_err(), "{width}x{height}");
        }
        assert!(decode_photo(b"GIF89a").unwrap().is_none());
        assert!(decode_photo(&[0xff, 0xd8, 0xff]).is_err());
    }

    #[test]
    fn every_orientation_is_upright_in_the_end() {
        // Upright: brighter from left to right, colder from top to bottom.
        let upright_size = FrameSize::new(32, 64).unwrap();
        let mut expected = I420Buffer::new(upright_size);
        let [y, u, v] = expected.planes_mut();
        (0..).zip(y).for_each(|(i, sample)| *sample = 16 + (i % 32) as u8);
        (0..).zip(u).for_each(|(i, sample)| *sample = 100 + (i / 16) as u8);
        v.fill(128);
        // How a camera that is held so stores it: turned back by what undoes it.
        for (turned, back) in [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (7, 7), (8, 6)] {
            let stored = upright(expected.clone(), back);
            let (wide, high) = (stored.size().width(), stored.size().height());
            assert_eq!((wide, high), if turned < 5 { (32, 64) } else { (64, 32) });
            assert_eq!(upright(stored, turned).data(), expected.data(), "{turned}");
        }
        // 6: what was on the left is on top.
        let turned = upright(expected.clone(), 6);
        assert_eq!((turned.y()[0], turned.y()[64 * 31]), (16, 47));
        assert_eq!((turned.u()[0], turned.u()[31]), (131, 100));
        let turned = upright(expected, 8);
        assert_eq!((turned.y()[0], turned.y()[64 * 31]), (47, 16));
    }
}
