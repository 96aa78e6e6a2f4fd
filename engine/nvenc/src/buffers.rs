//! Buffers of a session, and pictures of the GPU's memory that it is told of. Each gives back what it is when it is
//! dropped, which is before its session.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;
use visavis_types::FrameSize;

use crate::api::{RawSession, Status};
use crate::error::NvencError;
use crate::params;
use crate::picture::{CudaFormat, CudaPicture};
use crate::session::{Device, Session};

/// An output buffer.
#[derive(Debug)]
pub(crate) struct BitstreamBuffer {
    device: Arc<Device>,
    session: RawSession,
    pub(crate) raw: sys::NV_ENC_OUTPUT_PTR,
}

/// An input buffer, for pictures of the host.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    device: Arc<Device>,
    session: RawSession,
    raw: sys::NV_ENC_INPUT_PTR,
    pub(crate) format: CudaFormat,
}

impl BitstreamBuffer {
    /// Of a session with an encoder whose context is current; lives no longer than that.
    pub(crate) fn new(session: &Session) -> Result<Self, NvencError> {
        let mut create = params::zeroed::<sys::NV_ENC_CREATE_BITSTREAM_BUFFER>();
        let create = create.as_mut_ptr();
        // SAFETY: the session has an encoder, its context is current, the structure is written field by field.
        let status = unsafe {
            (*create).version = sys::NV_ENC_CREATE_BITSTREAM_BUFFER_VER;
            (session.device.functions.nvEncCreateBitstreamBuffer)(session.raw, create)
        };
        session.check("make an output buffer", status)?;
        // SAFETY: the driver has written it.
        let raw = unsafe { (*create).bitstreamBuffer };
        Ok(Self { device: Arc::clone(&session.device), session: session.raw, raw })
    }
}

impl InputBuffer {
    /// As the other buffer.
    pub(crate) fn new(
        session: &Session,
        size: FrameSize,
        format: CudaFormat,
    ) -> Result<Self, NvencError> {
        let mut create = params::zeroed::<sys::NV_ENC_CREATE_INPUT_BUFFER>();
        let create = create.as_mut_ptr();
        // SAFETY: as for the other buffer.
        let status = unsafe {
            (*create).version = sys::NV_ENC_CREATE_INPUT_BUFFER_VER;
            (*create).width = size.width();
            (*create).height = size.height();
            (*create).bufferFmt = raw_format(format);
            (session.device.functions.nvEncCreateInputBuffer)(session.raw, create)
        };
        session.check("make an input buffer", status)?;
        // SAFETY: the driver has written it.
        let raw = unsafe { (*create).inputBuffer };
        Ok(Self { device: Arc::clone(&session.device), session: session.raw, raw, format })
    }
}

/// As NVENC numbers them.
pub(crate) fn raw_format(format: CudaFormat) -> sys::NV_ENC_BUFFER_FORMAT {
    match format {
        CudaFormat::Nv12 => sys::NV_ENC_BUFFER_FORMAT::NV_ENC_BUFFER_FORMAT_NV12,
        CudaFormat::I420 => sys::NV_ENC_BUFFER_FORMAT::NV_ENC_BUFFER_FORMAT_IYUV,
    }
}

impl Drop for BitstreamBuffer {
    fn drop(&mut self) {
        let _entered = self.device.gpu.enter();
        // SAFETY: made by this session, which is closed after its buffers; not locked.
        let _ =
            unsafe { (self.device.functions.nvEncDestroyBitstreamBuffer)(self.session, self.raw) };
    }
}

impl Drop for InputBuffer {
    fn drop(&mut self) {
        let _entered = self.device.gpu.enter();
        let destroy = self.device.functions.nvEncDestroyInputBuffer;
        // SAFETY: made by this session, which is closed after its buffers; not locked, and what it was given to encode
        // was waited for.
        let _ = unsafe { destroy(self.session, self.raw) };
    }
}

/// An input buffer that can be written.
pub(crate) struct LockedInput<'a> {
    session: &'a Session,
    pub(crate) buffer: sys::NV_ENC_INPUT_PTR,
    data: *mut u8,
    /// Bytes from one row of Y to the next.
    pub(crate) pitch: u32,
}

impl<'a> LockedInput<'a> {
    pub(crate) fn new(session: &'a Session, buffer: &InputBuffer) -> Result<Self, NvencError> {
        let mut lock = params::zeroed::<sys::NV_ENC_LOCK_INPUT_BUFFER>();
        let lock = lock.as_mut_ptr();
        // SAFETY: the buffer is the session's, and not locked.
        let status = unsafe {
            (*lock).version = sys::NV_ENC_LOCK_INPUT_BUFFER_VER;
            (*lock).inputBuffer = buffer.raw;
            (session.device.functions.nvEncLockInputBuffer)(session.raw, lock)
        };
        session.check("open its input buffer", status)?;
        // SAFETY: the driver has written them.
        let (data, pitch) = unsafe { ((*lock).bufferDataPtr.cast::<u8>(), (*lock).pitch) };
        let locked = Self { session, buffer: buffer.raw, data, pitch };
        if data.is_null() {
            return Err(NvencError::Output("its input buffer is nowhere"));
        }
        Ok(locked)
    }

    /// Copies rows to where rows follow one another at `pitch`: within the planes of the buffer's format and size.
    pub(crate) fn copy(
        &self,
        (offset, pitch): (usize, usize),
        (data, stride): (&[u8], usize),
        (row_bytes, rows): (usize, usize),
    ) {
        for (row, source) in data.chunks(stride).take(rows).enumerate() {
            let Some(source) = source.get(..row_bytes) else { return };
            // SAFETY: a locked buffer holds `pitch` bytes for each row of Y and half as many again for U and V
            // together; offset and rows are those of a plane of it, and rows are no longer than the pitch. Nobody else
            // has the memory while it is locked.
            unsafe {
                let target = self.data.add(offset + row * pitch);
                ptr::copy_nonoverlapping(source.as_ptr(), target, row_bytes);
            }
        }
    }

    pub(crate) fn unlock(self) -> Result<(), NvencError> {
        let this = std::mem::ManuallyDrop::new(self);
        this.session.check("close its input buffer", this.unlock_raw())
    }

    fn unlock_raw(&self) -> Status {
        let unlock = self.session.device.functions.nvEncUnlockInputBuffer;
        // SAFETY: it is locked.
        unsafe { unlock(self.session.raw, self.buffer) }
    }
}

impl Drop for LockedInput<'_> {
    fn drop(&mut self) {
        let _ = self.unlock_raw();
    }
}

/// A picture in the GPU's memory that the session knows.
pub(crate) struct Registered<'a> {
    device: Arc<Device>,
    session: RawSession,
    raw: sys::NV_ENC_REGISTERED_PTR,
    /// It stays where it is.
    picture: &'a CudaPicture,
}

impl<'a> Registered<'a> {
    pub(crate) fn new(session: &Session, picture: &'a CudaPicture) -> Result<Self, NvencError> {
        use visavis_types::encoder::DevicePicture;

        let mut register = params::zeroed::<sys::NV_ENC_REGISTER_RESOURCE>();
        let register = register.as_mut_ptr();
        // SAFETY: the structure is written field by field; the memory holds such a picture, as whoever made it says.
        let status = unsafe {
            (*register).version = sys::NV_ENC_REGISTER_RESOURCE_VER;
            (*register).resourceType =
                sys::NV_ENC_INPUT_RESOURCE_TYPE::NV_ENC_INPUT_RESOURCE_TYPE_CUDADEVICEPTR;
            (*register).width = picture.size().width();
            (*register).height = picture.size().height();
            (*register).pitch = picture.pitch();
            (*register).resourceToRegister = picture.address() as *mut c_void;
            (*register).bufferFormat = raw_format(picture.format());
            (*register).bufferUsage = sys::NV_ENC_BUFFER_USAGE::NV_ENC_INPUT_IMAGE;
            (session.device.functions.nvEncRegisterResource)(session.raw, register)
        };
        session.check("take a picture of the GPU's memory", status)?;
        // SAFETY: the driver has written it.
        let raw = unsafe { (*register).registeredResource };
        let device = Arc::clone(&session.device);
        Ok(Self { device, session: session.raw, raw, picture })
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        // SAFETY: registered with this session, and not mapped any more: `Mapped` borrows this.
        let _ = unsafe { (self.device.functions.nvEncUnregisterResource)(self.session, self.raw) };
    }
}

/// Such a picture while it is encoded.
pub(crate) struct Mapped<'a> {
    registered: &'a Registered<'a>,
    pub(crate) raw: sys::NV_ENC_INPUT_PTR,
    pub(crate) format: sys::NV_ENC_BUFFER_FORMAT,
}

impl<'a> Mapped<'a> {
    pub(crate) fn new(registered: &'a Registered<'a>) -> Result<Self, NvencError> {
        let functions = &registered.device.functions;
        let mut map = params::zeroed::<sys::NV_ENC_MAP_INPUT_RESOURCE>();
        let map = map.as_mut_ptr();
        // SAFETY: the structure is written field by field; the resource is registered with this session.
        let status = unsafe {
            (*map).version = sys::NV_ENC_MAP_INPUT_RESOURCE_VER;
            (*map).registeredResource = registered.raw;
            (functions.nvEncMapInputResource)(registered.session, map)
        };
        functions.check("map a picture of the GPU's memory", registered.session, status)?;
        // SAFETY: the driver has written it.
        let raw = unsafe { (*map).mappedResource };
        // What it was registered with, which is what the driver says too.
        Ok(Self { registered, raw, format: raw_format(registered.picture.format()) })
    }
}

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        let unmap = self.registered.device.functions.nvEncUnmapInputResource;
        // SAFETY: mapped by this session, and what it was given to encode was waited for.
        let _ = unsafe { unmap(self.registered.session, self.raw) };
    }
}
