use std::any::Any;
use std::fmt;

use crate::FrameSize;

use super::error::EncodeError;
use super::memory::MemoryKind;
use crate::I420Buffer;

/// A picture that is to be encoded: planar YUV 4:2:0, 8 bits, limited range, wherever it lies.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Picture<'a> {
    /// Three planes in host memory.
    I420(I420Planes<'a>),
    /// Two planes in host memory, the second with U and V by turns.
    Nv12(Nv12Planes<'a>),
    /// In memory of a device.
    Device(&'a dyn DevicePicture),
}

/// A picture in memory of a device, of the type that the maker of the encoder defines for it and gets back by
/// [`Any`]. Nobody else looks inside.
pub trait DevicePicture: Any + fmt::Debug + Send + Sync {
    /// Width and height in pixels.
    fn size(&self) -> FrameSize;

    /// What kind of device memory it is, such as "CUDA": as in [`MemoryKind::Device`].
    fn device(&self) -> &'static str;
}

impl Picture<'_> {
    /// Width and height in pixels.
    pub fn size(&self) -> FrameSize {
        match self {
            Self::I420(planes) => planes.size,
            Self::Nv12(planes) => planes.size,
            Self::Device(picture) => picture.size(),
        }
    }

    /// Where it lies.
    pub fn memory(&self) -> MemoryKind {
        match self {
            Self::I420(_) => MemoryKind::I420,
            Self::Nv12(_) => MemoryKind::Nv12,
            Self::Device(picture) => MemoryKind::Device(picture.device()),
        }
    }
}

impl<'a> Picture<'a> {
    /// The planes of an I420 picture in host memory that is of an encoder's size.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Memory`] for one that lies elsewhere, [`EncodeError::WrongSize`] for another size.
    pub fn i420(&self, expected: FrameSize) -> Result<I420Planes<'a>, EncodeError> {
        let Self::I420(planes) = self else { return Err(EncodeError::Memory(self.memory())) };
        let actual = planes.size();
        if expected == actual {
            return Ok(*planes);
        }
        Err(EncodeError::WrongSize { expected, actual })
    }
}

impl<'a> From<&'a I420Buffer> for Picture<'a> {
    fn from(picture: &'a I420Buffer) -> Self {
        let (planes, strides) = (picture.planes(), [picture.y_stride(), picture.uv_stride()]);
        Self::I420(I420Planes { size: picture.size(), planes, strides })
    }
}

/// The planes Y, U and V in host memory.
#[derive(Debug, Clone, Copy)]
pub struct I420Planes<'a> {
    size: FrameSize,
    planes: [&'a [u8]; 3],
    strides: [usize; 2],
}

/// A plane Y, and one of U and V by turns, in host memory.
#[derive(Debug, Clone, Copy)]
pub struct Nv12Planes<'a> {
    size: FrameSize,
    planes: [&'a [u8]; 2],
    strides: [usize; 2],
}

/// A plane that is no picture of its size: its rows overlap, or it ends before the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("plane {plane} has {bytes} bytes, {stride} a row; {rows} rows of {row_bytes} are wanted")]
pub struct PlaneError {
    /// Which plane, from 0.
    pub plane: usize,
    /// Its length.
    pub bytes: usize,
    /// From one row to the next.
    pub stride: usize,
    /// Rows there should be.
    pub rows: usize,
    /// Bytes that each should have.
    pub row_bytes: usize,
}

impl<'a> I420Planes<'a> {
    /// Planes with their strides, that of Y and that of U and V, in bytes from one row to the next. The last
    /// row may end where the picture does.
    ///
    /// # Errors
    ///
    /// A plane that is too short, a stride of less than a row or of more than 2 GiB.
    pub fn new(
        size: FrameSize,
        planes: [&'a [u8]; 3],
        strides: [usize; 2],
    ) -> Result<Self, PlaneError> {
        let (width, height) = (size.width() as usize, size.height() as usize);
        let rows = [(height, width), (height / 2, width / 2), (height / 2, width / 2)];
        let [luma, chroma] = strides;
        check(&planes, &[luma, chroma, chroma], &rows)?;
        Ok(Self { size, planes, strides })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Y, U and V.
    pub fn planes(&self) -> [&'a [u8]; 3] {
        self.planes
    }

    /// Bytes from one row of Y, and of U and V, to the next: at least a row's, and no more than an `i32` holds.
    pub fn strides(&self) -> [usize; 2] {
        self.strides
    }
}

impl<'a> Nv12Planes<'a> {
    /// Planes with their strides, as [`I420Planes::new`] has them.
    ///
    /// # Errors
    ///
    /// As [`I420Planes::new`].
    pub fn new(
        size: FrameSize,
        planes: [&'a [u8]; 2],
        strides: [usize; 2],
    ) -> Result<Self, PlaneError> {
        let (width, height) = (size.width() as usize, size.height() as usize);
        check(&planes, &strides, &[(height, width), (height / 2, width)])?;
        Ok(Self { size, planes, strides })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Y, then U and V by turns.
    pub fn planes(&self) -> [&'a [u8]; 2] {
        self.planes
    }

    /// Bytes from one row to the next, of each plane.
    pub fn strides(&self) -> [usize; 2] {
        self.strides
    }
}

fn check(planes: &[&[u8]], strides: &[usize], rows: &[(usize, usize)]) -> Result<(), PlaneError> {
    for (plane, ((data, &stride), &(rows, row_bytes))) in
        planes.iter().zip(strides).zip(rows).enumerate()
    {
        let strides = row_bytes..=i32::MAX as usize;
        let enough = strides.contains(&stride) && data.len() >= stride * (rows - 1) + row_bytes;
        if !enough {
            return Err(PlaneError { plane, bytes: data.len(), stride, rows, row_bytes });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_must_hold_their_rows() {
        let size = FrameSize::new(32, 16).unwrap();
        let data = [0; 40 * 16];
        let planes =
            |y, u, v| I420Planes::new(size, [&data[..y], &data[..u], &data[..v]], [40, 20]);
        // The last row without its padding.
        let least = (40 * 15 + 32, 20 * 7 + 16, 20 * 7 + 16);
        assert!(planes(least.0, least.1, least.2).is_ok());
        assert_eq!(planes(least.0 - 1, least.1, least.2).unwrap_err().plane, 0);
        assert_eq!(planes(least.0, least.1 - 1, least.2).unwrap_err().plane, 1);
        assert_eq!(planes(least.0, least.1, least.2 - 1).unwrap_err().plane, 2);
        let narrow = Nv12Planes::new(size, [&data, &data], [32, 31]).unwrap_err();
        assert_eq!((narrow.plane, narrow.row_bytes), (1, 32));
        assert!(Nv12Planes::new(size, [&data, &data], [32, 32]).is_ok());
        assert!(Nv12Planes::new(size, [&data, &data], [usize::MAX, 32]).is_err());
    }

    #[test]
    fn a_buffer_is_a_picture() {
        let size = FrameSize::new(18, 34).unwrap();
        let buffer = I420Buffer::new(size);
        let picture = Picture::from(&buffer);
        assert_eq!((picture.size(), picture.memory()), (size, MemoryKind::I420));
        let Picture::I420(planes) = picture else { panic!("{picture:?}") };
        assert_eq!(planes.strides(), [18, 9]);
        assert!(I420Planes::new(size, planes.planes(), planes.strides()).is_ok());
    }
}
