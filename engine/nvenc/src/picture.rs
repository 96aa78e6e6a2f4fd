//! Pictures in the GPU's memory.

use std::fmt;
use std::sync::Arc;

use visavis_types::FrameSize;
use visavis_types::encoder::{DevicePicture, Picture};

use crate::cuda::{DevicePtr, DeviceRows, Gpu};
use crate::error::NvencError;

/// The name of this memory in [`MemoryKind::Device`](visavis_types::encoder::MemoryKind::Device).
pub const DEVICE: &str = "CUDA";

/// How the planes of a picture follow one another. All have 8 bits and limited range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CudaFormat {
    /// Y; then a row of U and V by turns for each two rows of Y.
    Nv12,
    /// Y; then U; then V, with half the pitch.
    I420,
}

/// A picture that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The address is 0.
    #[error("the device pointer is null")]
    Null,
    /// Rows overlap, or are not aligned as NVENC wants them.
    #[error("invalid pitch {pitch}; expected {width} at least, a multiple of {multiple}")]
    Pitch {
        /// As given, in bytes.
        pitch: usize,
        /// Bytes of a row.
        width: u32,
        /// What it must be a multiple of.
        multiple: usize,
    },
}

/// A picture in the memory of an NVIDIA GPU.
pub struct CudaPicture {
    size: FrameSize,
    format: CudaFormat,
    address: DevicePtr,
    pitch: usize,
    _memory: Option<DeviceRows>,
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl CudaPicture {
    /// A picture that somebody else has put into memory of the encoder's GPU, in its primary context (the one of CUDA's
    /// runtime, and so of PyTorch). `pitch` is the bytes from one row of Y to the next. `release` is called when the
    /// engine is done with it, on whichever thread that is.
    ///
    /// # Errors
    ///
    /// [`PictureError`]; `release` was called then.
    ///
    /// # Safety
    ///
    /// Until `release` is called the memory holds the planes that `format` names, for this size and pitch, and is not
    /// written: whatever writes the picture has finished, by a synchronized stream or event.
    pub unsafe fn from_raw(
        address: u64,
        pitch: usize,
        size: FrameSize,
        format: CudaFormat,
        release: impl FnOnce() + Send + Sync + 'static,
    ) -> Result<Self, PictureError> {
        let release: Option<Box<dyn FnOnce() + Send + Sync>> = Some(Box::new(release));
        let picture = Self { size, format, address, pitch, _memory: None, release };
        let multiple = match format {
            CudaFormat::Nv12 => 4,
            // So that those of U and V are multiples of 4 too.
            CudaFormat::I420 => 8,
        };
        if address == 0 {
            return Err(PictureError::Null);
        }
        let width = size.width();
        let is_possible = u32::try_from(pitch).is_ok() && pitch.is_multiple_of(multiple);
        if pitch < width as usize || !is_possible {
            return Err(PictureError::Pitch { pitch, width, multiple });
        }
        Ok(picture)
    }

    /// A copy of a picture that lies in host memory.
    pub(crate) fn upload(gpu: &Arc<Gpu>, picture: &Picture<'_>) -> Result<Self, NvencError> {
        let size = picture.size();
        let (width, height) = (size.width() as usize, size.height() as usize);
        let half = (width / 2, height / 2);
        // I420 with half the pitch for U and V, for which the pitch must be even; CUDA's are multiples of 256 and more.
        let mut memory = DeviceRows::new(gpu, width, height + half.1)?;
        let (address, pitch) = (memory.address(), memory.pitch());
        let luma = pitch * height;
        let format = match picture {
            Picture::I420(planes) => {
                let ([y, u, v], [stride, half_stride]) = (planes.planes(), planes.strides());
                memory.write((0, pitch), (y, stride), (width, height))?;
                memory.write((luma, pitch / 2), (u, half_stride), half)?;
                memory.write((luma + pitch / 2 * half.1, pitch / 2), (v, half_stride), half)?;
                CudaFormat::I420
            }
            Picture::Nv12(planes) => {
                let ([y, uv], [stride, uv_stride]) = (planes.planes(), planes.strides());
                memory.write((0, pitch), (y, stride), (width, height))?;
                memory.write((luma, pitch), (uv, uv_stride), (width, half.1))?;
                CudaFormat::Nv12
            }
            _ => return Err(NvencError::Cuda { operation: "copy a picture", code: 1 }),
        };
        Ok(Self { size, format, address, pitch, _memory: Some(memory), release: None })
    }

    /// How its planes follow one another.
    pub fn format(&self) -> CudaFormat {
        self.format
    }

    /// Where it begins in the GPU's memory.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Bytes from one row of Y to the next.
    pub fn pitch(&self) -> u32 {
        u32::try_from(self.pitch).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for CudaPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, format, address, pitch, .. } = self;
        write!(f, "CudaPicture({size} {format:?} at {address:#x}, pitch {pitch})")
    }
}

impl Drop for CudaPicture {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl DevicePicture for CudaPicture {
    fn size(&self) -> FrameSize {
        self.size
    }

    fn device(&self) -> &'static str {
        DEVICE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn impossible_pictures_are_refused_and_released_once() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let size = FrameSize::new(66, 32).unwrap();
        let picture = |address, pitch, format| {
            let release = || {
                RELEASED.fetch_add(1, Relaxed);
            };
            // SAFETY: nobody reads it.
            unsafe { CudaPicture::from_raw(address, pitch, size, format, release) }
        };
        let refused = |result: Result<CudaPicture, PictureError>| result.unwrap_err().to_string();
        assert_eq!(refused(picture(0, 128, CudaFormat::Nv12)), "the device pointer is null");
        let pitch = "invalid pitch 64; expected 66 at least, a multiple of 4";
        assert_eq!(refused(picture(256, 64, CudaFormat::Nv12)), pitch);
        assert!(refused(picture(256, 68, CudaFormat::I420)).ends_with("a multiple of 8"));
        assert_eq!(RELEASED.load(Relaxed), 3);
        let usable = picture(256, 68, CudaFormat::Nv12).unwrap();
        assert_eq!((usable.size(), usable.device(), usable.pitch()), (size, "CUDA", 68));
        assert_eq!(RELEASED.load(Relaxed), 3);
        drop(usable);
        assert_eq!(RELEASED.load(Relaxed), 4);
    }
}
