use std::io::Cursor;

use png::{ColorType, Transformations};
use visavis_types::{FrameSize, PixelFormat, VideoFrameError};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::ColorMatrix;

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
        _ => Err(undecodable(format, "it is no file")),
    }
}

fn undecodable(format: PixelFormat, detail: impl ToString) -> VideoFrameError {
    VideoFrameError::Undecodable { format, detail: detail.to_string() }
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
    let undecodable = |error: &dyn ToString| undecodable(PixelFormat::Jpeg, error.to_string());
    let most = FrameSize::MAX_SIDE as usize;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(most)
        .set_max_height(most)
        .jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| undecodable(&error))?;
    let info = decoder.info().ok_or_else(|| undecodable(&"it has no header"))?;
    check_size(PixelFormat::Jpeg, size, (info.width.into(), info.height.into()))?;
    let (decoded_as, made) = match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr) => (ColorSpace::YCbCr, PixelFormat::I420),
        Some(ColorSpace::Luma) => (ColorSpace::Luma, PixelFormat::I420),
        // RGB, CMYK and their like are rare.
        _ => (ColorSpace::RGB, PixelFormat::Rgb),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(decoded_as));
    let pixels = decoder.decode().map_err(|error| undecodable(&error))?;
    match decoded_as {
        ColorSpace::YCbCr => to_i420::<3>(&pixels, size, out),
        ColorSpace::Luma => to_i420::<1>(&pixels, size, out),
        _ => pixels.clone_into(out),
    }
    Ok(made)
}

/// From full-range BT.601 at full resolution, luma alone or luma with both differences, to limited-range
/// I420 in the matrix that goes with the size.
fn to_i420<const N: usize>(pixels: &[u8], size: FrameSize, out: &mut Vec<u8>) {
    let (width, height) = (size.width() as usize, size.height() as usize);
    let weights = Weights::new(ColorMatrix::for_size(size));
    out.clear();
    out.resize(width * height * 3 / 2, 128);
    let (luma, chroma) = out.split_at_mut(width * height);
    let (blue, red) = chroma.split_at_mut(width * height / 4);
    let at = |pixel: &[u8], part: usize| i32::from(pixel.get(part).copied().unwrap_or(128));
    for (pixel, y) in pixels.chunks_exact(N).zip(luma) {
        *y = weights.luma(at(pixel, 0), at(pixel, 1), at(pixel, 2));
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
            (*blue, *red) = weights.chroma(four(1), four(2));
        }
    }
}

/// A linear map between colour spaces, in 16-bit fixed point: what of luma and both differences goes into
/// each.
struct Weights {
    luma: [i32; 3],
    blue: [i32; 2],
    red: [i32; 2],
}

impl Weights {
    /// From full-range BT.601 to the limited range of `to`.
    fn new(to: ColorMatrix) -> Self {
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        // Weights of red and blue in luma; ITU-R BT.601 and BT.709.
        let ((r6, b6), (r, b)) = match to {
            ColorMatrix::Bt601 => ((0.299, 0.114), (0.299, 0.114)),
            ColorMatrix::Bt709 => ((0.299, 0.114), (0.2126, 0.0722)),
        };
        let (g6, g) = (1.0 - r6 - b6, 1.0 - r - b);
        // R, G and B as multiples of Y, Cb and Cr (differences from -0.5 to 0.5).
        let (red_cr, blue_cb) = (2.0 * (1.0 - r6), 2.0 * (1.0 - b6));
        let (green_cb, green_cr) = (-blue_cb * b6 / g6, -red_cr * r6 / g6);
        // New luma; that of Y is 1, because white stays white.
        let (y_cb, y_cr) = (g * green_cb + b * blue_cb, r * red_cr + g * green_cr);
        let (into_cb, into_cr) = (1.0 / (2.0 * (1.0 - b)), 1.0 / (2.0 * (1.0 - r)));
        let (y_scale, c_scale) = (219.0 / 255.0, 224.0 / 255.0);
        Self {
            luma: [y_scale, y_scale * y_cb, y_scale * y_cr].map(fixed),
            blue: [(blue_cb - y_cb) * into_cb * c_scale, -y_cr * into_cb * c_scale].map(fixed),
            red: [-y_cb * into_cr * c_scale, (red_cr - y_cr) * into_cr * c_scale].map(fixed),
        }
    }

    fn luma(&self, y: i32, cb: i32, cr: i32) -> u8 {
        let [of_y, of_cb, of_cr] = self.luma;
        rounded(of_y * y + of_cb * (cb - 128) + of_cr * (cr - 128), 16)
    }

    fn chroma(&self, cb: i32, cr: i32) -> (u8, u8) {
        let of = |[of_cb, of_cr]: [i32; 2]| rounded(of_cb * (cb - 128) + of_cr * (cr - 128), 128);
        (of(self.blue), of(self.red))
    }
}

fn rounded(fixed: i32, offset: i32) -> u8 {
    (((fixed + 32_768) >> 16) + offset).clamp(0, 255) as u8
}

fn png(file: &[u8], size: FrameSize, out: &mut Vec<u8>) -> Result<PixelFormat, VideoFrameError> {
    let undecodable = |error: &dyn ToString| undecodable(PixelFormat::Png, error.to_string());
    let limits = png::Limits { bytes: PNG_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| undecodable(&error))?;
    let found = (reader.info().width, reader.info().height);
    check_size(PixelFormat::Png, size, found)?;
    let bytes = reader.output_buffer_size().ok_or_else(|| undecodable(&"it is too large"))?;
    out.clear();
    out.resize(bytes, 0);
    let frame = reader.next_frame(out).map_err(|error| undecodable(&error))?;
    out.truncate(frame.buffer_size());
    let grey_bytes = match frame.color_type {
        ColorType::Rgba => return Ok(PixelFormat::Rgba),
        ColorType::Rgb => return Ok(PixelFormat::Rgb),
        ColorType::GrayscaleAlpha => 2,
        ColorType::Grayscale => 1,
        ColorType::Indexed => return Err(undecodable(&"its palette was not applied")),
    };
    *out = out.chunks_exact(grey_bytes).flat_map(|grey| [grey[0]; 3]).collect();
    Ok(PixelFormat::Rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{I420Buffer, convert};

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

    /// Both matrices, against the way through RGB in floating point.
    #[test]
    fn full_range_becomes_the_limited_range_of_the_right_matrix() {
        for (to, kr, kb) in
            [(ColorMatrix::Bt601, 0.299, 0.114), (ColorMatrix::Bt709, 0.2126, 0.0722)]
        {
            let weights = Weights::new(to);
            for (y, cb, cr) in
                [(0, 128, 128), (255, 128, 128), (76, 85, 255), (150, 44, 21), (100, 140, 110)]
            {
                let [yf, u, v] = [y, cb - 128, cr - 128].map(f64::from);
                let (r, g, b) =
                    (yf + 1.402 * v, yf - 0.344_136 * u - 0.714_136 * v, yf + 1.772 * u);
                let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
                let want = [
                    16.0 + luma * 219.0 / 255.0,
                    128.0 + (b - luma) / (2.0 * (1.0 - kb)) * 224.0 / 255.0,
                    128.0 + (r - luma) / (2.0 * (1.0 - kr)) * 224.0 / 255.0,
                ];
                let (blue, red) = weights.chroma(cb, cr);
                for (got, want) in [weights.luma(y, cb, cr), blue, red].into_iter().zip(want) {
                    assert!(
                        (f64::from(got) - want).abs() <= 1.0,
                        "{to:?} {y} {cb} {cr}: {got} {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_a_file_becomes_can_be_converted() {
        let (mut pixels, mut picture) = (Vec::new(), I420Buffer::new(size()));
        let file = png_of(ColorType::Rgb, &[255, 255, 255]);
        let format = decode_still(&file, PixelFormat::Png, size(), &mut pixels).unwrap();
        convert(&pixels, format, size(), &mut picture).unwrap();
        assert!(picture.y().iter().all(|&y| y.abs_diff(235) <= 2));
    }
}
