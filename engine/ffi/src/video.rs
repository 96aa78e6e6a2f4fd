//! Pictures.

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use visavis::idle::IdleLoop;
use visavis::units::UnixMillis;
use visavis::video::{FrameMemory, PixelFormat, VideoFrame};

use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::session::{SessionObject, visavis_session};
use crate::status::{Error, Result, visavis_status, visavis_status::*};

/// A timestamp of media that was captured when it is pushed.
pub const VISAVIS_NOW: i64 = -1;

/// How a picture's bytes are laid out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_pixel_format {
    /// 4 bytes a pixel: red, green, blue, alpha (ignored). Rows follow one another without padding.
    VISAVIS_RGBA = 0,
    /// As VISAVIS_RGBA, with blue first and red third.
    VISAVIS_BGRA = 1,
    /// 3 bytes a pixel: red, green, blue. Rows follow one another without padding.
    VISAVIS_RGB = 2,
    /// Planar YUV 4:2:0, limited range, BT.709 from 720 rows on and BT.601 below: Y, then U, then V, without padding.
    VISAVIS_I420 = 3,
    /// As VISAVIS_I420 in two planes: Y, then U and V by turns.
    VISAVIS_NV12 = 4,
    /// A JPEG file; decoding it takes milliseconds of the calling thread.
    VISAVIS_JPEG = 5,
    /// A PNG file; decoding it takes milliseconds of the calling thread.
    VISAVIS_PNG = 6,
}

pub(crate) fn pixel_format(format: u32) -> Result<PixelFormat> {
    Ok(match format {
        0 => PixelFormat::Rgba,
        1 => PixelFormat::Bgra,
        2 => PixelFormat::Rgb,
        3 => PixelFormat::I420,
        4 => PixelFormat::Nv12,
        5 => PixelFormat::Jpeg,
        6 => PixelFormat::Png,
        other => {
            return Err(Error::argument(format_args!(
                "invalid format {other}; expected one of visavis_pixel_format"
            )));
        }
    })
}

/// A moment of the caller: Unix milliseconds, or now.
pub(crate) fn timestamp(ms: i64) -> Result<UnixMillis> {
    match u64::try_from(ms) {
        Ok(ms) => Ok(UnixMillis(ms)),
        Err(_) if ms == VISAVIS_NOW => Ok(UnixMillis::now()),
        Err(_) => Err(Error::argument(format_args!(
            "invalid timestamp_ms {ms}; expected Unix milliseconds, or VISAVIS_NOW"
        ))),
    }
}

/// One picture, read during the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_video_frame {
    /// Set by visavis_video_frame_init().
    pub struct_size: usize,
    /// The pixels, or a whole JPEG or PNG file.
    pub data: *const c_void,
    /// Bytes in data: width * height * 4 for RGBA and BGRA, * 3 for RGB, * 3 / 2 for I420 and NV12.
    pub len: usize,
    /// Pixels in a row: even, 16 to 4096.
    pub width: u32,
    /// Rows: even, 16 to 4096.
    pub height: u32,
    /// One of visavis_pixel_format. Default: VISAVIS_RGBA.
    pub format: u32,
    /// 0.
    pub reserved: u32,
    /// When the picture was captured or rendered, in Unix milliseconds; in an utterance, milliseconds on its own clock.
    /// Default: VISAVIS_NOW.
    pub timestamp_ms: i64,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_video_frame {
    const NAME: &'static str = "visavis_video_frame";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            data: std::ptr::null(),
            len: 0,
            width: 0,
            height: 0,
            format: visavis_pixel_format::VISAVIS_RGBA as u32,
            reserved: 0,
            timestamp_ms: VISAVIS_NOW,
        }
    }
}

impl visavis_video_frame {
    /// As the engine takes it.
    ///
    /// # Safety
    ///
    /// `data` is NULL, or good for reading `len` bytes, and lives as long as is borrowed.
    pub(crate) unsafe fn frame<'a>(&self) -> Result<VideoFrame<'a>> {
        // SAFETY: as the caller promises.
        let data = unsafe { raw::bytes("data", self.data.cast(), self.len) }?;
        let frame = VideoFrame::new(data, self.width, self.height);
        Ok(frame.format(pixel_format(self.format)?).timestamp(timestamp(self.timestamp_ms)?))
    }
}

/// Writes the defaults into a frame; struct_size is sizeof(*frame).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_video_frame_init(
    frame: *mut visavis_video_frame,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(frame, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Copies a picture and returns; it is encoded later, unless a newer one comes before. Never waits. The memory is the
/// caller's again when the call returns.
///
/// VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_INVALID_MEDIA: size, length or content. VISAVIS_WRONG_SESSION:
/// the session takes encoded pictures. Any thread; of several that push, the newest picture wins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_video(
    session: *const visavis_session,
    frame: *const visavis_video_frame,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        Ok(session.video.push(&raw::read(frame)?.frame()?)?.into())
    })
}

/// Shows viewers a still picture of the application while none are pushed. timestamp_ms has no meaning.
///
/// VISAVIS_INVALID_MEDIA: size, length or content. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_set_idle_picture(
    session: *const visavis_session,
    picture: *const visavis_video_frame,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        session.session.set_idle(Some(IdleLoop::still(&raw::read(picture)?.frame()?)?));
        Ok(VISAVIS_OK)
    })
}

/// Memory of the engine that a picture is written into: lent by visavis_frame_acquire(), given back by
/// visavis_frame_push() or visavis_frame_discard().
pub struct visavis_frame {
    _private: [u8; 0],
}

struct FrameObject(Mutex<Option<FrameMemory>>);

impl Handled for FrameObject {
    type Opaque = visavis_frame;
    const KIND: u64 = 4;
    const NAME: &'static str = "frame";
}

/// Lends memory for a picture, to be written in place and pushed without a copy. What was there before is still there:
/// write all of it. Four pictures of a session are under way at once at most.
///
/// format: one of visavis_pixel_format, but JPEG and PNG. frame, data, len: set to the frame, its memory and its length;
/// to NULL, NULL and 0 unless VISAVIS_OK is returned. The memory is good until the frame is pushed or discarded, also
/// after the session was freed. VISAVIS_DROPPED: all memory is in use, newer pictures are on their way; drop this one.
/// VISAVIS_INVALID_MEDIA: size or format. VISAVIS_WRONG_SESSION. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_frame_acquire(
    session: *const visavis_session,
    width: u32,
    height: u32,
    format: u32,
    frame: *mut *mut visavis_frame,
    data: *mut *mut u8,
    len: *mut usize,
) -> visavis_status {
    entry!([frame, data] {
        raw::put(len, 0);
        let session = handle::get::<SessionObject>(session)?;
        let memory = session.video.frame_memory(width, height, pixel_format(format)?)?;
        let Some(mut memory) = memory else { return Ok(VISAVIS_DROPPED) };
        let (bytes, length) = (memory.as_mut_ptr(), memory.len());
        raw::put(frame, handle::insert(FrameObject(Mutex::new(Some(memory))))?);
        raw::put(data, bytes);
        raw::put(len, length);
        Ok(VISAVIS_OK)
    })
}

/// Pushes a picture that was written into lent memory, which is not the caller's any more, whatever is returned. Never
/// waits. timestamp_ms: as in visavis_video_frame.
///
/// VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_INVALID_HANDLE: it was pushed or discarded before. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_frame_push(
    frame: *mut visavis_frame,
    timestamp_ms: i64,
) -> visavis_status {
    entry!({
        let memory = take(frame)?;
        let timestamp = timestamp(timestamp_ms)?;
        Ok(memory.map_or(VISAVIS_DROPPED, |memory| memory.push(timestamp).into()))
    })
}

/// Gives lent memory back without a push. NULL is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_frame_discard(frame: *mut visavis_frame) -> visavis_status {
    entry!({
        if !frame.is_null() {
            drop(take(frame)?);
        }
        Ok(VISAVIS_OK)
    })
}

fn take(frame: *const visavis_frame) -> Result<Option<FrameMemory>> {
    let frame = handle::take::<FrameObject>(frame)?;
    Ok(frame.0.lock().unwrap_or_else(PoisonError::into_inner).take())
}
