use crate::FrameSize;

/// A picture in planar YUV 4:2:0, limited range, 8 bits, that is filled again and again.
///
/// The three planes lie one after another without padding, so the strides are the widths of the
/// planes and [`data`](Self::data) is an I420 frame as [`PixelFormat::I420`] describes it.
///
/// [`PixelFormat::I420`]: crate::PixelFormat::I420
#[derive(Debug, Clone)]
pub struct I420Buffer {
    size: FrameSize,
    data: Vec<u8>,
}

impl I420Buffer {
    /// A picture whose every sample is zero.
    pub fn new(size: FrameSize) -> Self {
        let mut buffer = Self { size, data: Vec::new() };
        buffer.resize(size);
        buffer
    }

    /// Takes another size. The samples are unspecified afterwards; memory is only ever added, so
    /// that going back to an earlier size allocates nothing.
    pub fn resize(&mut self, size: FrameSize) {
        self.size = size;
        self.data.resize(luma_bytes(size) + 2 * chroma_bytes(size), 0);
    }

    /// Width and height of the picture in pixels.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// The whole picture: Y, then U, then V.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The whole picture, to be written.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The luma plane: [`y_stride`](Self::y_stride) bytes a row, as many rows as the picture.
    pub fn y(&self) -> &[u8] {
        self.planes()[0]
    }

    /// The blue-difference plane: [`uv_stride`](Self::uv_stride) bytes a row, half as many rows.
    pub fn u(&self) -> &[u8] {
        self.planes()[1]
    }

    /// The red-difference plane, laid out as [`u`](Self::u) is.
    pub fn v(&self) -> &[u8] {
        self.planes()[2]
    }

    /// Bytes per row of the luma plane.
    pub fn y_stride(&self) -> usize {
        self.size.width() as usize
    }

    /// Bytes per row of each chroma plane.
    pub fn uv_stride(&self) -> usize {
        self.size.width() as usize / 2
    }

    /// The planes Y, U and V.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.data.split_at(luma_bytes(self.size));
        let (u, v) = chroma.split_at(chroma_bytes(self.size));
        [y, u, v]
    }

    /// The planes Y, U and V, to be written.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (y, chroma) = self.data.split_at_mut(luma_bytes(self.size));
        let (u, v) = chroma.split_at_mut(chroma_bytes(self.size));
        [y, u, v]
    }

    /// Makes every pixel black.
    pub fn fill_black(&mut self) {
        let [y, u, v] = self.planes_mut();
        y.fill(16);
        u.fill(128);
        v.fill(128);
    }
}

fn luma_bytes(size: FrameSize) -> usize {
    size.width() as usize * size.height() as usize
}

fn chroma_bytes(size: FrameSize) -> usize {
    luma_bytes(size) / 4
}

#[cfg(test)]
mod tests {
    use crate::PixelFormat;

    use super::*;

    #[test]
    fn planes_cover_the_frame_exactly() {
        let size = FrameSize::new(18, 34).unwrap();
        let buffer = I420Buffer::new(size);
        assert_eq!(buffer.data().len(), PixelFormat::I420.frame_bytes(size).unwrap());
        assert_eq!(buffer.planes().map(<[u8]>::len), [18 * 34, 9 * 17, 9 * 17]);
        assert_eq!((buffer.y_stride(), buffer.uv_stride()), (18, 9));
    }

    #[test]
    fn going_back_to_a_larger_size_keeps_the_allocation() {
        let (large, small) = (FrameSize::new(640, 480).unwrap(), FrameSize::new(16, 16).unwrap());
        let mut buffer = I420Buffer::new(large);
        let before = buffer.data().as_ptr();
        buffer.resize(small);
        assert_eq!(buffer.data().len(), 384);
        buffer.resize(large);
        assert_eq!(buffer.data().as_ptr(), before);
    }
}
