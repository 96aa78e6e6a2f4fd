//! JPEG and PNG files.

mod photo;
mod segments;

use std::io::{Cursor, ErrorKind};

use png::{ColorType, DecodingError, Transformations};
use visavis_types::{FrameSize, PixelFormat, UndecodablePicture, VideoFrameError};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::ColorMatrix;
use crate::matrix::ColorMap;
pub use photo::decode_photo;
use segments::Segments;

/// Memory a PNG decoder may take: the largest picture at 16 bits, and as much again.
const PNG_BYTES: usize = 256 * 1024 * 1024;

/// Decodes a JPEG or PNG file into pixels that [`convert`](crate::convert) takes, and says in which format
/// they are. A JPEG becomes I420 without a detour through RGB.
///
/// `out` is overwritten; its memory is reused.
///
/// # Errors
///
/// A file that cannot be decoded, or whose size is not `size`. `out` is unspecified then.
pub fn decode_still(
    file: &[u8],
    format: PixelFormat,
    size: FrameSize,
    out: &mut Vec<u8>,
) -> Result<PixelFormat, VideoFrameError> {
    match format {
        PixelFormat::Jpeg => jpeg(file, size, out),
        PixelFormat::Png => png(file, size, out),
        _ => Err(undecodable(format, UndecodablePicture::Unsupported)),
    }
}

/// Which of the two a file is, and the width and height it says it has; `None` where it is neither.
///
/// # Errors
///
/// A file that begins as one and goes on as none.
pub fn still_size(file: &[u8]) -> Result<Option<(PixelFormat, u32, u32)>, VideoFrameError> {
    if file.starts_with(&[0xff, 0xd8]) {
        let mut decoder = JpegDecoder::new(ZCursor::new(file));
        decoder.decode_headers().map_err(|error| bad_jpeg_header(&error))?;
        let size = decoder.info().map(|info| (info.width.into(), info.height.into()));
        let (width, height) = size.ok_or(NO_JPEG_HEADER)?;
        return Ok(Some((PixelFormat::Jpeg, width, height)));
    }
    if file.starts_with(b"\x89PNG") {
        let limits = png::Limits { bytes: PNG_BYTES };
        let reader = png::Decoder::new_with_limits(Cursor::new(file), limits).read_info();
        let reader = reader.map_err(|error| bad_png_header(&error))?;
        let info = reader.info();
        return Ok(Some((PixelFormat::Png, info.width, info.height)));
    }
    Ok(None)
}

const fn undecodable(format: PixelFormat, reason: UndecodablePicture) -> VideoFrameError {
    VideoFrameError::Undecodable { format, reason }
}

/// A JPEG file that ends before its picture begins.
const NO_JPEG_HEADER: VideoFrameError = undecodable(PixelFormat::Jpeg, UndecodablePicture::Header);

/// What is wrong with a JPEG file; `otherwise` where its decoder's answer does not tell.
fn bad_jpeg(error: &DecodeErrors, otherwise: UndecodablePicture) -> VideoFrameError {
    let reason = match error {
        DecodeErrors::ExhaustedData => UndecodablePicture::Truncated,
        DecodeErrors::Unsupported(_) => UndecodablePicture::Unsupported,
        _ => otherwise,
    };
    undecodable(PixelFormat::Jpeg, reason)
}

fn bad_jpeg_header(error: &DecodeErrors) -> VideoFrameError {
    bad_jpeg(error, UndecodablePicture::Header)
}

/// What is wrong with a PNG file; `otherwise` where its decoder's answer does not tell.
fn bad_png(error: &DecodingError, otherwise: UndecodablePicture) -> VideoFrameError {
    let reason = match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            UndecodablePicture::Truncated
        }
        DecodingError::LimitsExceeded => UndecodablePicture::Memory,
        _ => otherwise,
    };
    undecodable(PixelFormat::Png, reason)
}

fn bad_png_header(error: &DecodingError) -> VideoFrameError {
    bad_png(error, UndecodablePicture::Header)
}

fn check_size(
    format: PixelFormat,
    size: FrameSize,
    found: (u32, u32),
) -> Result<(), VideoFrameError> {
    let said = (size.width(), size.height());
    if found == said { Ok(()) } else { Err(VideoFrameError::OtherSize { format, said, found }) }
}

fn jpeg(file: &[u8], size: FrameSize, out: &mut Vec<u8>) -> Result<PixelFormat, VideoFrameError> {
    let most = FrameSize::MAX_SIDE as usize;
    let file = Segments::read(file).with_tables(file);
    let (pixels, kind) = jpeg_pixels(&file, most, |width, height| {
        check_size(PixelFormat::Jpeg, size, (width, height))
    })?;
    Ok(match kind {
        ColorSpace::YCbCr => {
            to_i420::<3>(&pixels, size, out);
            PixelFormat::I420
        }
        ColorSpace::Luma => {
            to_i420::<1>(&pixels, size, out);
            PixelFormat::I420
        }
        _ => {
            pixels.clone_into(out);
            PixelFormat::Rgb
        }
    })
}

/// Decodes a JPEG file whose sides are `most` at most, and that `check` lets pass by its width and height:
/// to luma with both differences, luma alone, or RGB.
fn jpeg_pixels(
    file: &[u8],
    most: usize,
    check: impl FnOnce(u32, u32) -> Result<(), VideoFrameError>,
) -> Result<(Vec<u8>, ColorSpace), VideoFrameError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(most)
        .set_max_height(most)
        .jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| bad_jpeg_header(&error))?;
    let info = decoder.info().ok_or(NO_JPEG_HEADER)?;
    check(info.width.into(), info.height.into())?;
    let decoded_as = match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr) => ColorSpace::YCbCr,
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        // RGB, CMYK and their like are rare.
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(decoded_as));
    let pixels = decoder.decode();
    let pixels = pixels.map_err(|error| bad_jpeg(&error, UndecodablePicture::Damaged))?;
    Ok((pixels, decoded_as))
}

/// From full-range BT.601 at full resolution, luma alone or luma with both differences, to limited-range
/// I420 in the matrix that goes with the size.
fn to_i420<const N: usize>(pixels: &[u8], size: FrameSize, out: &mut Vec<u8>) {
    let (width, height) = (size.width() as usize, size.height() as usize);
    let map = ColorMap::from_jpeg(ColorMatrix::for_size(size));
    out.clear();
    out.resize(width * height * 3 / 2, 128);
    let (luma, chroma) = out.split_at_mut(width * height);
    let (blue, red) = chroma.split_at_mut(width * height / 4);
    let at = |pixel: &[u8], part: usize| i32::from(pixel.get(part).copied().unwrap_or(128));
    for (pixel, y) in pixels.chunks_exact(N).zip(luma) {
        *y = map.luma(at(pixel, 0), at(pixel, 1), at(pixel, 2));
    }
    if N < 3 {
        return;
    }
    let rows = pixels.chunks_exact(2 * width * N);
    let lines = blue.chunks_exact_mut(width / 2).zip(red.chunks_exact_mut(width / 2));
    for (row, (blue, red)) in rows.zip(lines) {
        let (upper, lower) = row.split_at(width * N);
        let pairs = upper.chunks_exact(2 * N).zip(lower.chunks_exact(2 * N));
        for ((upper, lower), (blue, red)) in pairs.zip(blue.iter_mut().zip(red)) {
            let four = |part: usize| {
                let sum =
                    at(upper, part) + at(upper, N + part) + at(lower, part) + at(lower, N + part);
                (sum + 2) >> 2
            };
            (*blue, *red) = map.chroma(four(1), four(2));
        }
    }
}

fn png(file: &[u8], size: FrameSize, out: &mut Vec<u8>) -> Result<PixelFormat, VideoFrameError> {
    let (format, _) =
        png_pixels(file, out, |width, height| check_size(PixelFormat::Png, size, (width, height)))?;
    Ok(format)
}

/// Decodes a PNG file that `check` lets pass by its width and height, to RGB or RGBA; also says how it is
/// to be turned.
fn png_pixels(
    file: &[u8],
    out: &mut Vec<u8>,
    check: impl FnOnce(u32, u32) -> Result<(), VideoFrameError>,
) -> Result<(PixelFormat, u8), VideoFrameError> {
    let limits = png::Limits { bytes: PNG_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| bad_png_header(&error))?;
    check(reader.info().width, reader.info().height)?;
    let turned = reader.info().exif_metadata.as_deref().map_or(1, segments::orientation);
    let bytes = reader.output_buffer_size();
    let bytes = bytes.ok_or(undecodable(PixelFormat::Png, UndecodablePicture::Memory))?;
    out.clear();
    out.resize(bytes, 0);
    let frame = reader.next_frame(out);
    let frame = frame.map_err(|error| bad_png(&error, UndecodablePicture::Damaged))?;
    out.truncate(frame.buffer_size());
    let grey_bytes = match frame.color_type {
        ColorType::Rgba => return Ok((PixelFormat::Rgba, turned)),
        ColorType::Rgb => return Ok((PixelFormat::Rgb, turned)),
        ColorType::GrayscaleAlpha => 2,
        ColorType::Grayscale => 1,
        ColorType::Indexed => {
            return Err(undecodable(PixelFormat::Png, UndecodablePicture::Colors));
        }
    };
    *out = out.chunks_exact(grey_bytes).flat_map(|grey| [grey[0]; 3]).collect();
    Ok((PixelFormat::Rgb, turned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert;
    use visavis_types::I420Buffer;

    const SIDE: u32 = 64;

    fn size() -> FrameSize {
        FrameSize::new(SIDE, SIDE).unwrap()
    }

    /// A PNG of one colour, as the encoder that is not ours writes it.
    fn png_of(color: ColorType, pixel: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
        encoder.set_color(color);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&pixel.repeat((SIDE * SIDE) as usize)).unwrap();
        writer.finish().unwrap();
        file
    }

    #[test]
    fn png_pictures_of_every_kind_become_pixels() {
        for (color, pixel, expected) in [
            (ColorType::Rgb, &[9, 80, 200][..], (PixelFormat::Rgb, &[9, 80, 200][..])),
            (ColorType::Rgba, &[9, 80, 200, 3], (PixelFormat::Rgba, &[9, 80, 200, 3])),
            (ColorType::Grayscale, &[77], (PixelFormat::Rgb, &[77, 77, 77])),
            (ColorType::GrayscaleAlpha, &[77, 3], (PixelFormat::Rgb, &[77, 77, 77])),
        ] {
            let mut out = vec![1; 7];
            let made = decode_still(&png_of(color, pixel), PixelFormat::Png, size(), &mut out);
            assert_eq!(made, Ok(expected.0));
            assert_eq!(out, expected.1.repeat((SIDE * SIDE) as usize), "{color:?}");
        }
    }

    #[test]
    fn a_file_of_another_size_or_none_at_all_is_refused() {
        let mut out = Vec::new();
        let file = png_of(ColorType::Grayscale, &[1]);
        let other = FrameSize::new(SIDE, 2 * SIDE).unwrap();
        let refused = decode_still(&file, PixelFormat::Png, other, &mut out);
        let (said, found) = ((SIDE, 2 * SIDE), (SIDE, SIDE));
        let format = PixelFormat::Png;
        assert_eq!(refused, Err(VideoFrameError::OtherSize { format, said, found }));
        for format in [PixelFormat::Png, PixelFormat::Jpeg] {
            for junk in
                [&[][..], &[0xff, 0xd8], &[0xff, 0xd8, 0xff, 0xd9], &file[..file.len() / 2], b"GIF"]
            {
                let refused = decode_still(junk, format, size(), &mut out);
                assert!(matches!(refused, Err(VideoFrameError::Undecodable { .. })), "{refused:?}");
            }
        }
    }

    #[test]
    fn why_a_file_cannot_be_decoded_is_told_apart() {
        use UndecodablePicture::{Damaged, Header, Truncated, Unsupported};
        let why = |file: &[u8], format| match decode_still(file, format, size(), &mut Vec::new()) {
            Err(VideoFrameError::Undecodable { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        let file = png_of(ColorType::Rgb, &[9, 80, 200]);
        assert_eq!(why(b"GIF89a and more of that kind", PixelFormat::Png), Header);
        assert_eq!(why(&file[..file.len() / 2], PixelFormat::Png), Truncated);
        let mut damaged = file.clone();
        let pixels = damaged.windows(4).position(|bytes| bytes == b"IDAT").unwrap() + 4;
        damaged[pixels..pixels + 8].fill(0xff);
        assert_eq!(why(&damaged, PixelFormat::Png), Damaged);
        assert_eq!(why(b"GIF89a and more of that kind", PixelFormat::Jpeg), Header);
        assert_eq!(why(&[0; 8], PixelFormat::Rgb), Unsupported, "no file");
    }

    #[test]
    fn what_a_file_becomes_can_be_converted() {
        let (mut pixels, mut picture) = (Vec::new(), I420Buffer::new(size()));
        let file = png_of(ColorType::Rgb, &[255, 255, 255]);
        let format = decode_still(&file, PixelFormat::Png, size(), &mut pixels).unwrap();
        convert(&pixels, format, size(), ColorMatrix::Bt601, &mut picture).unwrap();
        assert!(picture.y().iter().all(|&y| y.abs_diff(235) <= 2));
    }
}
