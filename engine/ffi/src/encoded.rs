//! Pictures and sound that come encoded.

use std::ffi::c_void;

use visavis::audio::EncodedAudio;
use visavis::video::{EncodedFrame, VideoCodec};

use crate::events::in_kbps;
use crate::handle;
use crate::raw::{self, Versioned};
use crate::session::{SessionObject, visavis_session};
use crate::status::{Error, Result, visavis_status, visavis_status::*};
use crate::video::{VISAVIS_NOW, timestamp};

/// What a picture is encoded with.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_video_codec {
    /// H.264, an Annex B byte stream.
    VISAVIS_H264 = 0,
    /// VP8, one frame.
    VISAVIS_VP8 = 1,
    /// VP9, one frame or superframe.
    VISAVIS_VP9 = 2,
    /// AV1, one temporal unit of OBUs with sizes.
    VISAVIS_AV1 = 3,
}

/// One encoded picture, read during the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_encoded_frame {
    /// Set by visavis_encoded_frame_init().
    pub struct_size: usize,
    /// One access unit.
    pub data: *const c_void,
    /// Bytes in data, 4 MiB at most.
    pub len: usize,
    /// One of visavis_video_codec: that of encoded in the session's settings. Default: VISAVIS_H264.
    pub codec: u32,
    /// 1: a decoder can start here; 0: it cannot; -1: that is found out from data. Default: -1.
    pub keyframe: i32,
    /// When the picture was captured or rendered, in Unix milliseconds. Default: VISAVIS_NOW.
    pub timestamp_ms: i64,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_encoded_frame {
    const NAME: &'static str = "visavis_encoded_frame";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            data: std::ptr::null(),
            len: 0,
            codec: visavis_video_codec::VISAVIS_H264 as u32,
            keyframe: -1,
            timestamp_ms: VISAVIS_NOW,
        }
    }
}

/// Writes the defaults into a frame; struct_size is sizeof(*frame).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_encoded_frame_init(
    frame: *mut visavis_encoded_frame,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(frame, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Sends a picture that is encoded already, in a session that was made for it (encoded in its settings). Never waits.
///
/// VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_DROPPED: the engine does not keep up, and nothing is taken
/// before the next keyframe. VISAVIS_INVALID_MEDIA: the bitstream. VISAVIS_WRONG_SESSION: another codec, or a session of
/// raw pictures. Any thread, one at a time for pictures in order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_encoded_video(
    session: *const visavis_session,
    frame: *const visavis_encoded_frame,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        let frame = raw::read(frame)?;
        let data = raw::bytes("data", frame.data.cast(), frame.len)?;
        let encoded = EncodedFrame::new(data, codec(frame.codec)?)
            .keyframe(keyframe(frame.keyframe)?)
            .timestamp(timestamp(frame.timestamp_ms)?);
        Ok(session.encoded.push(&encoded)?.into())
    })
}

fn codec(codec: u32) -> Result<VideoCodec> {
    let known = VideoCodec::ALL.into_iter().find(|known| *known as u32 == codec);
    known.ok_or_else(|| {
        Error::argument(format_args!("invalid codec {codec}; expected one of visavis_video_codec"))
    })
}

fn keyframe(keyframe: i32) -> Result<Option<bool>> {
    match keyframe {
        -1 => Ok(None),
        0 => Ok(Some(false)),
        1 => Ok(Some(true)),
        other => {
            Err(Error::argument(format_args!("invalid keyframe {other}; expected -1, 0 or 1")))
        }
    }
}

/// Whether viewers wait for a keyframe of an encoded session; asking takes the request. wanted: set to 1 or 0. The same as
/// VISAVIS_EVENT_KEYFRAME_REQUESTED, for encoders that would rather ask before each picture. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_take_keyframe_request(
    session: *const visavis_session,
    wanted: *mut u32,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        raw::put(wanted, session.encoded.take_keyframe_request().into());
        Ok(VISAVIS_OK)
    })
}

/// What pictures of an encoded session should take from the next one on. kbps: set to it. The same as
/// VISAVIS_EVENT_BITRATE_WANTED, for encoders that would rather ask before each picture; without adaptive_encoder always the
/// session's bitrate. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_wanted_bitrate(
    session: *const visavis_session,
    kbps: *mut u32,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        raw::put(kbps, in_kbps(session.encoded.wanted_bitrate()));
        Ok(VISAVIS_OK)
    })
}

/// Queues one Opus packet, which goes as it is to viewers that take Opus, at the rate at which packets play. Never waits.
/// timestamp_ms: as in visavis_audio_chunk.
///
/// VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED, VISAVIS_DROPPED_OLDEST. VISAVIS_INVALID_MEDIA: no Opus.
/// VISAVIS_WRONG_SESSION: the session's sound came as PCM before. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_opus(
    session: *const visavis_session,
    data: *const c_void,
    len: usize,
    timestamp_ms: i64,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        Ok(session.audio.push_opus(&encoded_audio(data, len, timestamp_ms)?)?.into())
    })
}

/// Queues one or more whole MP3 frames, which are decoded on the calling thread. All that a session is given are one
/// stream. As visavis_push_opus(); VISAVIS_WRONG_SESSION: the session's sound came as Opus before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_mp3(
    session: *const visavis_session,
    data: *const c_void,
    len: usize,
    timestamp_ms: i64,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        Ok(session.audio.push_mp3(&encoded_audio(data, len, timestamp_ms)?)?.into())
    })
}

/// # Safety
///
/// `data` is NULL, or good for reading `len` bytes, and lives as long as is borrowed.
unsafe fn encoded_audio<'a>(
    data: *const c_void,
    len: usize,
    timestamp_ms: i64,
) -> Result<EncodedAudio<'a>> {
    // SAFETY: as the caller promises.
    let data = unsafe { raw::bytes("data", data.cast(), len) }?;
    Ok(EncodedAudio::new(data).timestamp(timestamp(timestamp_ms)?))
}

/// A picture in memory of a CUDA device.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_cuda_frame {
    /// Set by visavis_cuda_frame_init().
    pub struct_size: usize,
    /// The address of the first plane on the device (a CUdeviceptr).
    pub device_pointer: u64,
    /// The stream that writes the picture (a CUstream); NULL: it is written.
    pub stream: *mut c_void,
    /// The device, counted from 0.
    pub device: i32,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// One of visavis_pixel_format.
    pub format: u32,
    /// 0.
    pub reserved: u32,
    /// As in visavis_video_frame.
    pub timestamp_ms: i64,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_cuda_frame {
    const NAME: &'static str = "visavis_cuda_frame";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            device_pointer: 0,
            stream: std::ptr::null_mut(),
            device: 0,
            pitch: 0,
            width: 0,
            height: 0,
            format: 0,
            reserved: 0,
            timestamp_ms: VISAVIS_NOW,
        }
    }
}

/// Writes the defaults into a frame; struct_size is sizeof(*frame).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_cuda_frame_init(
    frame: *mut visavis_cuda_frame,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(frame, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Pushes a picture in memory of a CUDA device. VISAVIS_UNSUPPORTED: this version has no encoder that reads such memory
/// (NVENC); copy the picture into memory of visavis_frame_acquire() meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_video_cuda(
    session: *const visavis_session,
    frame: *const visavis_cuda_frame,
) -> visavis_status {
    entry!({
        handle::get::<SessionObject>(session)?;
        raw::read(frame)?;
        Err(Error::new(
            VISAVIS_UNSUPPORTED,
            "this build has no encoder that reads CUDA memory (NVENC); copy the picture into memory of \
             visavis_frame_acquire()",
        ))
    })
}
