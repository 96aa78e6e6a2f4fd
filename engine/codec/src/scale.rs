//! Pictures of one size made into pictures of another.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{
    FilterType, ImageBufferError, ResizeAlg, ResizeError, ResizeOptions, Resizer,
};

use visavis_types::I420Buffer;

/// As fast as a bilinear filter, and as sharp as a bicubic one where pictures become smaller.
const FILTER: FilterType = FilterType::Hamming;

/// Where the part that stays lies in what is cut: in the middle of both directions.
const MIDDLE: (f64, f64) = (0.5, 0.5);

/// Scales pictures, in memory that it keeps.
#[derive(Debug, Default)]
pub struct Scaler {
    resizer: Resizer,
}

/// A picture that cannot be scaled. Does not happen to buffers of the sizes that [`FrameSize`] allows.
///
/// [`FrameSize`]: visavis_types::FrameSize
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// A plane whose length is not that of its size.
    #[error(transparent)]
    Buffer(#[from] ImageBufferError),
    /// What the library refuses.
    #[error(transparent)]
    Resize(#[from] ResizeError),
}

impl Scaler {
    /// Fills `out`, in the size it has, with the picture: all of it where both have one shape, otherwise what is in
    /// its middle, so that nothing is distorted and no bars are left.
    ///
    /// # Errors
    ///
    /// See [`ScaleError`].
    pub fn cover(&mut self, picture: &I420Buffer, out: &mut I420Buffer) -> Result<(), ScaleError> {
        let (from, to) = (picture.size(), out.size());
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FILTER))
            .fit_into_destination(Some(MIDDLE));
        for (plane, (source, target)) in
            picture.planes().into_iter().zip(out.planes_mut()).enumerate()
        {
            // Colour has half the samples in each direction.
            let part = if plane == 0 { 1 } else { 2 };
            let (width, height) = (from.width() / part, from.height() / part);
            // Of one type of pixel: where the library has to choose, the compiler makes the code for each of its
            // fifteen, and takes minutes.
            let source = TypedImageRef::<U8>::from_buffer(width, height, source)?;
            let (width, height) = (to.width() / part, to.height() / part);
            let mut target = TypedImage::<U8>::from_buffer(width, height, target)?;
            self.resizer.resize_typed(&source, &mut target, &options)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::FrameSize;

    /// Brightness grows from left to right, one colour from top to bottom.
    fn slope(width: u32, height: u32) -> I420Buffer {
        let mut picture = I420Buffer::new(FrameSize::new(width, height).unwrap());
        let [y, u, v] = picture.planes_mut();
        for (i, sample) in (0u32..).zip(y) {
            *sample = (16 + 200 * (i % width) / width) as u8;
        }
        for (i, sample) in (0u32..).zip(u) {
            *sample = (16 + 200 * (i / (width / 2)) / (height / 2)) as u8;
        }
        v.fill(90);
        picture
    }

    fn scaled(picture: &I420Buffer, width: u32, height: u32) -> I420Buffer {
        let mut out = I420Buffer::new(FrameSize::new(width, height).unwrap());
        Scaler::default().cover(picture, &mut out).unwrap();
        out
    }

    #[test]
    fn a_picture_of_the_same_shape_is_all_there() {
        for (width, height) in [(320, 180), (1280, 720), (16, 16), (4096, 16), (16, 4096)] {
            let out = scaled(&slope(640, 360), width, height);
            assert!(out.v().iter().all(|&sample| sample == 90), "{width}x{height}");
        }
        let out = scaled(&slope(640, 360), 320, 180);
        assert!(out.y()[0] < 20 && out.y()[319] > 212, "{} {}", out.y()[0], out.y()[319]);
        assert!(out.u()[0] < 20 && *out.u().last().unwrap() > 211);
    }

    #[test]
    fn of_a_picture_of_another_shape_the_middle_is_shown() {
        // The middle 360 of 640 columns, and every row.
        let out = scaled(&slope(640, 360), 180, 180);
        let (left, right) = (i32::from(out.y()[0]), i32::from(out.y()[179]));
        assert!((left - (16 + 200 * 140 / 640)).abs() <= 2, "{left}");
        assert!((right - (16 + 200 * 500 / 640)).abs() <= 2, "{right}");
        assert!(out.u()[0] < 20 && *out.u().last().unwrap() > 210);
        // Every column, and the middle third of the rows.
        let out = scaled(&slope(360, 360), 360, 120);
        assert!(out.y()[0] < 20 && out.y()[359] > 212);
        let (top, bottom) = (i32::from(out.u()[0]), i32::from(*out.u().last().unwrap()));
        assert!((top - (16 + 200 / 3)).abs() <= 3, "{top}");
        assert!((bottom - (16 + 400 / 3)).abs() <= 3, "{bottom}");
    }
}
