use visavis_types::{FrameSize, I420Buffer, PixelFormat, VideoFrameError};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv420, rgb_to_yuv420, rgba_to_yuv420,
};

use crate::ColorMatrix;
use crate::matrix::recolour_in_place;

/// Why a picture was not converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The data does not have the length its format and size ask for.
    #[error(transparent)]
    Frame(#[from] VideoFrameError),
    /// The conversion itself refused.
    #[error("colour conversion failed: {0}")]
    Conversion(String),
}

/// Brings a frame into limited-range I420 whose colours follow a matrix. I420 and NV12 input is taken to
/// follow [`ColorMatrix::for_size`]; where that is the matrix wanted, it is copied as it is. JPEG and PNG
/// files are no pixels yet: [`decode_still`](crate::decode_still) makes some of them.
///
/// `out` takes the frame's size; after the first frame of the largest size nothing is allocated.
///
/// # Errors
///
/// [`ConvertError::Frame`] where `data` is shorter or longer than `format` and `size` ask for;
/// `out` is unchanged then.
pub fn convert(
    data: &[u8],
    format: PixelFormat,
    size: FrameSize,
    matrix: ColorMatrix,
    out: &mut I420Buffer,
) -> Result<(), ConvertError> {
    let expected = format
        .frame_bytes(size)
        .ok_or(ConvertError::Frame(VideoFrameError::NoFixedLength(format)))?;
    if data.len() != expected {
        return Err(ConvertError::Frame(VideoFrameError::Length {
            format,
            width: size.width(),
            height: size.height(),
            expected,
            actual: data.len(),
        }));
    }
    out.resize(size);
    match format {
        PixelFormat::Rgba => from_packed(rgba_to_yuv420, 4, data, matrix, out)?,
        PixelFormat::Bgra => from_packed(bgra_to_yuv420, 4, data, matrix, out)?,
        PixelFormat::Rgb => from_packed(rgb_to_yuv420, 3, data, matrix, out)?,
        // The planes lie one after another here as there.
        PixelFormat::I420 => out.data_mut().copy_from_slice(data),
        PixelFormat::Nv12 => {
            let [y, u, v] = out.planes_mut();
            let (luma, chroma) = data.split_at(y.len());
            y.copy_from_slice(luma);
            for ((pair, u), v) in chroma.chunks_exact(2).zip(u).zip(v) {
                (*u, *v) = (pair[0], pair[1]);
            }
        }
        // Refused above.
        PixelFormat::Jpeg | PixelFormat::Png => {}
    }
    if matches!(format, PixelFormat::I420 | PixelFormat::Nv12) {
        recolour_in_place(out, ColorMatrix::for_size(size), matrix);
    }
    Ok(())
}

/// A conversion of the `yuv` crate: into, from, its stride, range, weights, mode.
type Conversion = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), YuvError>;

fn from_packed(
    convert: Conversion,
    bytes_a_pixel: u32,
    data: &[u8],
    matrix: ColorMatrix,
    out: &mut I420Buffer,
) -> Result<(), ConvertError> {
    let (size, y_stride, uv_stride) = (out.size(), out.y_stride(), out.uv_stride());
    let [y, u, v] = out.planes_mut();
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: y_stride as u32,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: uv_stride as u32,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: uv_stride as u32,
        width: size.width(),
        height: size.height(),
    };
    let weights = match matrix {
        ColorMatrix::Bt601 => YuvStandardMatrix::Bt601,
        ColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
    };
    convert(
        &mut image,
        data,
        size.width() * bytes_a_pixel,
        YuvRange::Limited,
        weights,
        YuvConversionMode::Fast,
    )
    .map_err(|error| ConvertError::Conversion(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in floating point: (kr, kb) of each matrix, limited range.
    fn reference(rgb: [u8; 3], matrix: ColorMatrix) -> [f64; 3] {
        let (kr, kb) = match matrix {
            ColorMatrix::Bt601 => (0.299, 0.114),
            ColorMatrix::Bt709 => (0.2126, 0.0722),
        };
        let [r, g, b] = rgb.map(|c| f64::from(c) / 255.0);
        let y = kr * r + (1.0 - kr - kb) * g + kb * b;
        let (cb, cr) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
        [16.0 + 219.0 * y, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr]
    }

    fn flat([r, g, b]: [u8; 3], format: PixelFormat, size: FrameSize) -> Vec<u8> {
        let pixels = (size.width() * size.height()) as usize;
        match format {
            PixelFormat::Rgba => [r, g, b, 0].repeat(pixels),
            PixelFormat::Bgra => [b, g, r, 0].repeat(pixels),
            _ => [r, g, b].repeat(pixels),
        }
    }

    #[test]
    fn colours_follow_the_standard_within_two_steps() {
        let size = FrameSize::new(66, 34).unwrap();
        let colours = [[0; 3], [255; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255], [224, 172, 105]];
        let formats = [PixelFormat::Rgba, PixelFormat::Bgra, PixelFormat::Rgb];
        let mut out = I420Buffer::new(size);
        for matrix in [ColorMatrix::Bt601, ColorMatrix::Bt709] {
            for (rgb, format) in colours.into_iter().flat_map(|rgb| formats.map(|f| (rgb, f))) {
                convert(&flat(rgb, format, size), format, size, matrix, &mut out).unwrap();
                for (plane, want) in out.planes().into_iter().zip(reference(rgb, matrix)) {
                    let worst = plane.iter().map(|&c| (f64::from(c) - want).abs());
                    let worst = worst.fold(0.0, f64::max);
                    assert!(worst <= 2.0, "{format:?} {rgb:?} {matrix:?}: {}", plane[0]);
                }
            }
        }
    }

    #[test]
    fn i420_is_copied_as_it_is() {
        let size = FrameSize::new(18, 34).unwrap();
        let bytes = PixelFormat::I420.frame_bytes(size).unwrap();
        let data: Vec<u8> = (0..bytes).map(|i| (i * 7 % 251) as u8).collect();
        let mut out = I420Buffer::new(FrameSize::new(16, 16).unwrap());
        convert(&data, PixelFormat::I420, size, ColorMatrix::Bt601, &mut out).unwrap();
        assert_eq!(out.data(), data);
        assert_eq!(out.size(), size);
    }

    #[test]
    fn nv12_is_i420_with_its_colours_in_turns() {
        let size = FrameSize::new(18, 34).unwrap();
        let luma: Vec<u8> = (0..18 * 34).map(|i| (i % 251) as u8).collect();
        let (u, v): (Vec<u8>, Vec<u8>) = (0..9 * 17).map(|i| (i as u8, 200 - i as u8)).unzip();
        let turns: Vec<u8> = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
        let mut out = I420Buffer::new(size);
        let data = [luma.clone(), turns].concat();
        convert(&data, PixelFormat::Nv12, size, ColorMatrix::Bt601, &mut out).unwrap();
        assert_eq!(out.planes(), [&luma[..], &u, &v]);
    }

    #[test]
    fn yuv_of_one_matrix_is_taken_to_another() {
        let size = FrameSize::new(16, 720).unwrap();
        let rgb = flat([200, 60, 50], PixelFormat::Rgb, size);
        let [mut high, mut standard, mut out] = [(); 3].map(|()| I420Buffer::new(size));
        for (matrix, out) in [(ColorMatrix::Bt709, &mut high), (ColorMatrix::Bt601, &mut standard)]
        {
            convert(&rgb, PixelFormat::Rgb, size, matrix, out).unwrap();
        }
        // What comes as YUV of this size is BT.709.
        convert(high.data(), PixelFormat::I420, size, ColorMatrix::Bt601, &mut out).unwrap();
        let worst = out.data().iter().zip(standard.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(2) && high.data() != standard.data(), "{worst:?}");
    }

    #[test]
    fn a_wrong_length_is_refused_and_leaves_the_picture_alone() {
        let size = FrameSize::new(32, 32).unwrap();
        let mut out = I420Buffer::new(FrameSize::new(16, 16).unwrap());
        let error =
            convert(&[0; 100], PixelFormat::Rgba, size, ColorMatrix::Bt601, &mut out).unwrap_err();
        assert!(matches!(error, ConvertError::Frame(VideoFrameError::Length { .. })));
        assert_eq!(out.size().width(), 16);
    }
}
