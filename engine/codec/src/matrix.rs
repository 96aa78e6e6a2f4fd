//! Which weights turn red, green and blue into luma and colour difference, and the way from one such
//! space to another.

use visavis_bitstream::h264::VideoSignal;
use visavis_types::{FrameSize, I420Buffer, VideoCodec};

/// Which weights turn red, green and blue into luma and colour difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMatrix {
    /// ITU-R BT.601: standard definition.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
}

impl ColorMatrix {
    /// The matrix that goes with a size: BT.709 from 720 rows on, BT.601 below. It is what pictures
    /// are taken for that come as YUV.
    pub const fn for_size(size: FrameSize) -> Self {
        if size.height() >= 720 { Self::Bt709 } else { Self::Bt601 }
    }

    /// The matrix of an encoded stream: that of its size, signalled in its headers. VP8 has no way to
    /// say so. Its one colour space is BT.601 (RFC 6386 §9.2), and Chromium and Firefox take it for that
    /// at every size.
    pub const fn for_stream(codec: VideoCodec, size: FrameSize) -> Self {
        match codec {
            VideoCodec::Vp8 => Self::Bt601,
            VideoCodec::H264 | VideoCodec::Vp9 | VideoCodec::Av1 => Self::for_size(size),
        }
    }

    /// `matrix_coefficients` of ITU-T H.273, which H264 and AV1 share.
    pub const fn code(self) -> u8 {
        match self {
            Self::Bt601 => 6,
            Self::Bt709 => 1,
        }
    }

    /// The weights of red and blue in luma; green has the rest.
    const fn red_and_blue(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
        }
    }
}

/// What a stream or a file says of its colours; `None` where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamColors {
    /// The matrix.
    pub matrix: Option<ColorMatrix>,
    /// Whether black and white are 0 and 255 (full range), and not 16 and 235.
    pub full_range: Option<bool>,
}

impl StreamColors {
    /// What an SPS says.
    pub fn of_h264(signal: Option<VideoSignal>) -> Self {
        let [.., code] = signal.and_then(|signal| signal.description).unwrap_or_default();
        Self {
            matrix: Self::matrix_of(code.into()),
            full_range: signal.map(|signal| signal.full_range),
        }
    }

    /// The matrix of a `matrix_coefficients` (ITU-T H.273), as far as it is one of the two.
    pub const fn matrix_of(code: u16) -> Option<ColorMatrix> {
        match code {
            1 => Some(ColorMatrix::Bt709),
            // FCC, PAL and NTSC: the weights are those of BT.601, or nearly.
            4..=6 => Some(ColorMatrix::Bt601),
            _ => None,
        }
    }

    /// What is known of it, else what `other` says.
    pub const fn or(self, other: Self) -> Self {
        let matrix = if self.matrix.is_some() { self.matrix } else { other.matrix };
        let full_range = if self.full_range.is_some() { self.full_range } else { other.full_range };
        Self { matrix, full_range }
    }
}

/// Brings a picture with these colours into what the engine works with: limited range, and the matrix that
/// goes with the size. Where nothing is said, that is what it has.
pub fn to_engine_colors(picture: &mut I420Buffer, colors: StreamColors) {
    let to = ColorMatrix::for_size(picture.size());
    let from = colors.matrix.unwrap_or(to);
    match colors.full_range {
        Some(true) => map_in_place(picture, &ColorMap::new(from, FULL, 0, to)),
        _ => recolour_in_place(picture, from, to),
    }
}

/// How many levels black to white, and the span of a colour difference, take in one byte.
type Levels = [f64; 2];

const FULL: Levels = [255.0, 255.0];
const LIMITED: Levels = [219.0, 224.0];

/// A linear map into a limited-range colour space, in 16-bit fixed point: what of luma and both
/// differences goes into each.
pub(crate) struct ColorMap {
    /// Where black is before the map.
    black: i32,
    luma: [i32; 3],
    blue: [i32; 2],
    red: [i32; 2],
}

impl ColorMap {
    /// From what a JPEG has, which is BT.601 in full range (JFIF 1.02).
    #[cfg(feature = "still")]
    pub(crate) fn from_jpeg(to: ColorMatrix) -> Self {
        Self::new(ColorMatrix::Bt601, FULL, 0, to)
    }

    fn new(from: ColorMatrix, [luma, chroma]: Levels, black: i32, to: ColorMatrix) -> Self {
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        let ((from_r, from_b), (r, b)) = (from.red_and_blue(), to.red_and_blue());
        let (from_g, g) = (1.0 - from_r - from_b, 1.0 - r - b);
        // R, G and B as multiples of Y, Cb and Cr (differences from -0.5 to 0.5).
        let (red_cr, blue_cb) = (2.0 * (1.0 - from_r), 2.0 * (1.0 - from_b));
        let (green_cb, green_cr) = (-blue_cb * from_b / from_g, -red_cr * from_r / from_g);
        // New luma; that of Y is 1, because white stays white.
        let (y_cb, y_cr) = (g * green_cb + b * blue_cb, r * red_cr + g * green_cr);
        let (into_cb, into_cr) = (1.0 / (2.0 * (1.0 - b)), 1.0 / (2.0 * (1.0 - r)));
        let [y_out, c_out] = LIMITED;
        let (y_y, y_c, c_c) = (y_out / luma, y_out / chroma, c_out / chroma);
        Self {
            black,
            luma: [y_y, y_c * y_cb, y_c * y_cr].map(fixed),
            blue: [(blue_cb - y_cb) * into_cb * c_c, -y_cr * into_cb * c_c].map(fixed),
            red: [-y_cb * into_cr * c_c, (red_cr - y_cr) * into_cr * c_c].map(fixed),
        }
    }

    pub(crate) fn luma(&self, y: i32, cb: i32, cr: i32) -> u8 {
        let [of_y, of_cb, of_cr] = self.luma;
        rounded(of_y * (y - self.black) + of_cb * (cb - 128) + of_cr * (cr - 128), 16)
    }

    pub(crate) fn chroma(&self, cb: i32, cr: i32) -> (u8, u8) {
        let of = |[of_cb, of_cr]: [i32; 2]| rounded(of_cb * (cb - 128) + of_cr * (cr - 128), 128);
        (of(self.blue), of(self.red))
    }
}

fn rounded(fixed: i32, offset: i32) -> u8 {
    (((fixed + 32_768) >> 16) + offset).clamp(0, 255) as u8
}

/// Makes a picture of another one, with its colours in another matrix. After the first picture of the
/// largest size nothing is allocated.
pub fn recolour(picture: &I420Buffer, from: ColorMatrix, to: ColorMatrix, out: &mut I420Buffer) {
    out.resize(picture.size());
    out.data_mut().copy_from_slice(picture.data());
    recolour_in_place(out, from, to);
}

/// Brings a picture from one matrix into another. Nothing to do where they are the same.
pub(crate) fn recolour_in_place(picture: &mut I420Buffer, from: ColorMatrix, to: ColorMatrix) {
    if from == to {
        return;
    }
    map_in_place(picture, &ColorMap::new(from, LIMITED, 16, to));
}

fn map_in_place(picture: &mut I420Buffer, map: &ColorMap) {
    let (stride, chroma_stride) = (picture.y_stride(), picture.uv_stride());
    let [luma, blue, red] = picture.planes_mut();
    let chroma = blue.chunks_exact_mut(chroma_stride).zip(red.chunks_exact_mut(chroma_stride));
    for (rows, (blue, red)) in luma.chunks_exact_mut(2 * stride).zip(chroma) {
        let (upper, lower) = rows.split_at_mut(stride);
        let pairs = upper.chunks_exact_mut(2).zip(lower.chunks_exact_mut(2));
        for ((upper, lower), (blue, red)) in pairs.zip(blue.iter_mut().zip(red)) {
            let (cb, cr) = (i32::from(*blue), i32::from(*red));
            for y in upper.iter_mut().chain(lower) {
                *y = map.luma(i32::from(*y), cb, cr);
            }
            (*blue, *red) = map.chroma(cb, cr);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [ColorMatrix; 2] = [ColorMatrix::Bt601, ColorMatrix::Bt709];

    /// Luma and differences of R, G and B (0 to 255) by definition, in floating point.
    fn reference([r, g, b]: [f64; 3], matrix: ColorMatrix) -> [f64; 3] {
        let (kr, kb) = matrix.red_and_blue();
        let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
        [
            16.0 + luma * 219.0 / 255.0,
            128.0 + (b - luma) / (2.0 * (1.0 - kb)) * 224.0 / 255.0,
            128.0 + (r - luma) / (2.0 * (1.0 - kr)) * 224.0 / 255.0,
        ]
    }

    #[test]
    fn the_full_range_of_a_jpeg_becomes_the_limited_range_of_the_right_matrix() {
        for to in BOTH {
            let map = ColorMap::from_jpeg(to);
            for (y, cb, cr) in
                [(0, 128, 128), (255, 128, 128), (76, 85, 255), (150, 44, 21), (100, 140, 110)]
            {
                let [yf, u, v] = [y, cb - 128, cr - 128].map(f64::from);
                let rgb = [yf + 1.402 * v, yf - 0.344_136 * u - 0.714_136 * v, yf + 1.772 * u];
                let (blue, red) = map.chroma(cb, cr);
                let got = [map.luma(y, cb, cr), blue, red];
                for (got, want) in got.into_iter().zip(reference(rgb, to)) {
                    let error = (f64::from(got) - want).abs();
                    assert!(error <= 1.0, "{to:?} {y} {cb} {cr}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn a_picture_taken_to_the_other_matrix_has_the_same_colours() {
        let size = FrameSize::new(18, 16).unwrap();
        let colours = [[0; 3], [255; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255], [224, 172, 105]];
        for (from, to) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
            for rgb in colours.map(|rgb| rgb.map(f64::from)) {
                let mut picture = I420Buffer::new(size);
                for (plane, level) in picture.planes_mut().into_iter().zip(reference(rgb, from)) {
                    plane.fill(level.round() as u8);
                }
                let mut out = I420Buffer::new(FrameSize::new(16, 16).unwrap());
                recolour(&picture, from, to, &mut out);
                assert_eq!(out.size(), size);
                for (plane, want) in out.planes().into_iter().zip(reference(rgb, to)) {
                    let worst = plane.iter().map(|&c| (f64::from(c) - want).abs());
                    assert!(worst.fold(0.0, f64::max) <= 1.5, "{rgb:?} to {to:?}: {}", plane[0]);
                }
            }
        }
    }

    #[test]
    fn a_film_is_shown_in_the_range_and_matrix_that_it_says_it_has() {
        let size = FrameSize::new(32, 16).unwrap();
        let skin = [224.0, 172.0, 105.0];
        for from in BOTH {
            for full_range in [false, true] {
                let [y, u, v] = reference(skin, from);
                let stretched = |c: f64, black: f64, levels: f64| match full_range {
                    true => (c - black) * 255.0 / levels + if black > 16.0 { 128.0 } else { 0.0 },
                    false => c,
                };
                let levels = [
                    stretched(y, 16.0, 219.0),
                    stretched(u, 128.0, 224.0),
                    stretched(v, 128.0, 224.0),
                ];
                let mut picture = I420Buffer::new(size);
                for (plane, level) in picture.planes_mut().into_iter().zip(levels) {
                    plane.fill(level.round() as u8);
                }
                let colors = StreamColors { matrix: Some(from), full_range: Some(full_range) };
                to_engine_colors(&mut picture, colors);
                for (plane, want) in picture.planes().into_iter().zip(reference(skin, BOTH[0])) {
                    let off = (f64::from(plane[0]) - want).abs();
                    assert!(off <= 1.5, "{colors:?}: {} {want}", plane[0]);
                }
            }
        }
    }

    #[test]
    fn streams_of_a_codec_that_cannot_say_so_stay_with_one_matrix() {
        let (small, large) =
            (FrameSize::new(512, 512).unwrap(), FrameSize::new(1280, 720).unwrap());
        for codec in VideoCodec::ALL {
            let expected = if codec == VideoCodec::Vp8 { BOTH[0] } else { BOTH[1] };
            assert_eq!(ColorMatrix::for_stream(codec, small), BOTH[0]);
            assert_eq!(ColorMatrix::for_stream(codec, large), expected);
        }
    }
}
