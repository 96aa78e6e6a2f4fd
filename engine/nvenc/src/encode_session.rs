//! A session with an encoder in it: what it is configured with, and a picture's way through it.

use std::mem::MaybeUninit;
use std::sync::Arc;

use nvidia_video_codec_sdk::sys::nvEncodeAPI as sys;
use visavis_types::Bitrate;
use visavis_types::encoder::{Picture, VideoEncoderConfig};

use crate::buffers::{BitstreamBuffer, InputBuffer, LockedInput, Mapped, Registered, raw_format};
use crate::config::NvencConfig;
use crate::error::NvencError;
use crate::params;
use crate::picture::{CudaFormat, CudaPicture};
use crate::references::Slot;
use crate::session::{Device, Session};

/// What is wanted of a picture.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Submission {
    pub(crate) timestamp: u64,
    pub(crate) keyframe: bool,
    /// Keep it there.
    pub(crate) keep: Option<Slot>,
    /// Refer to what is kept there.
    pub(crate) refer_to: Option<Slot>,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) keyframe: bool,
    pub(crate) temporal_layer: u32,
}

/// A session with an encoder and its buffers. One picture is in it at a time, so that one of each is enough.
#[derive(Debug)]
pub(crate) struct EncodeSession {
    // In the order in which they are dropped: buffers before the session.
    bitstream: BitstreamBuffer,
    /// For pictures in host memory; made for the first of them.
    input: Option<InputBuffer>,
    session: Session,
    config: VideoEncoderConfig,
    preset: sys::GUID,
    /// Kept for changes, which want all of it again.
    codec: Box<MaybeUninit<sys::NV_ENC_CONFIG>>,
    frames: u32,
}

// SAFETY: as for `Session`. The configuration has no pointers in it.
unsafe impl Send for EncodeSession {}

impl EncodeSession {
    pub(crate) fn new(
        device: &Arc<Device>,
        maker: &NvencConfig,
        config: &VideoEncoderConfig,
    ) -> Result<Self, NvencError> {
        let session = Session::open(device)?;
        let preset = params::preset_guid(maker, config);
        let codec = session.preset_config(preset)?;
        let mut codec = Box::new(codec);
        // SAFETY: it is what the driver wrote for this preset.
        unsafe { params::configure(codec.as_mut_ptr(), maker, config) };
        let mut init = params::zeroed::<sys::NV_ENC_INITIALIZE_PARAMS>();
        let bitstream = {
            let _entered = device.gpu.enter()?;
            // SAFETY: it is zeroed, and `codec` lives longer than this call, all that it is given to.
            let status = unsafe {
                params::initialize(init.as_mut_ptr(), codec.as_mut_ptr(), preset, config);
                (device.functions.nvEncInitializeEncoder)(session.raw, init.as_mut_ptr())
            };
            session.check("set up an encoder", status)?;
            BitstreamBuffer::new(&session)?
        };
        let config = *config;
        Ok(Self { bitstream, input: None, session, config, preset, codec, frames: 0 })
    }

    /// Changes bitrate and frame rate from the next picture on, without a keyframe.
    pub(crate) fn set_rate(&mut self, bitrate: Bitrate, fps: u32) -> Result<(), NvencError> {
        let mut config = self.config.fps(fps);
        config.bitrate = bitrate;
        let mut change = params::zeroed::<sys::NV_ENC_RECONFIGURE_PARAMS>();
        let change = change.as_mut_ptr();
        let device = &self.session.device;
        let _entered = device.gpu.enter()?;
        let codec = self.codec.as_mut_ptr();
        // SAFETY: `configure` has written all enums of the rate, so that it can be referred to; the rest as in `new`.
        let status = unsafe {
            params::set_rate(&mut (*codec).rcParams, bitrate, fps);
            (*change).version = sys::NV_ENC_RECONFIGURE_PARAMS_VER;
            let init = &raw mut (*change).reInitEncodeParams;
            params::initialize(init, codec, self.preset, &config);
            (device.functions.nvEncReconfigureEncoder)(self.session.raw, change)
        };
        self.session.check("change the bitrate", status)?;
        self.config = config;
        Ok(())
    }

    /// Has no later picture refer to the one of this time, nor to any that does.
    pub(crate) fn invalidate(&mut self, timestamp: u64) -> Result<(), NvencError> {
        let device = &self.session.device;
        let _entered = device.gpu.enter()?;
        // SAFETY: the session is open, and its context current.
        let status =
            unsafe { (device.functions.nvEncInvalidateRefFrames)(self.session.raw, timestamp) };
        self.session.check("give up a reference", status)
    }

    /// Encodes a picture of the session's size and hands what came out to `read`.
    pub(crate) fn encode(
        &mut self,
        picture: &Picture<'_>,
        submission: Submission,
        read: impl FnOnce(&[u8], Output) -> Result<(), NvencError>,
    ) -> Result<(), NvencError> {
        let device = Arc::clone(&self.session.device);
        let _entered = device.gpu.enter()?;
        match picture {
            Picture::Device(picture) => {
                let picture: &dyn std::any::Any = *picture;
                let picture = picture.downcast_ref::<CudaPicture>();
                let picture = picture.ok_or(NvencError::Output("a picture of another device"))?;
                let registered = Registered::new(&self.session, picture)?;
                let mapped = Mapped::new(&registered)?;
                let input = (mapped.raw, mapped.format, picture.pitch());
                self.submit(input, submission)?;
                self.read(read)
            }
            Picture::I420(_) | Picture::Nv12(_) => {
                let (input, pitch) = self.fill(picture)?;
                self.submit((input.0, raw_format(input.1), pitch), submission)?;
                self.read(read)
            }
            _ => Err(NvencError::Output("a picture in unknown memory")),
        }
    }

    /// Copies a picture into the input buffer; returns that, with its format and its pitch.
    fn fill(
        &mut self,
        picture: &Picture<'_>,
    ) -> Result<((sys::NV_ENC_INPUT_PTR, CudaFormat), u32), NvencError> {
        let format = match picture {
            Picture::Nv12(_) => CudaFormat::Nv12,
            _ => CudaFormat::I420,
        };
        let buffer = match self.input.take().filter(|buffer| buffer.format == format) {
            Some(buffer) => self.input.insert(buffer),
            None => self.input.insert(InputBuffer::new(&self.session, self.config.size, format)?),
        };
        let locked = LockedInput::new(&self.session, buffer)?;
        let pitch = locked.pitch;
        let (width, height) =
            (self.config.size.width() as usize, self.config.size.height() as usize);
        if (pitch as usize) < width {
            return Err(NvencError::Output("its input buffer is too narrow"));
        }
        let luma = pitch as usize * height;
        let half = (width / 2, height / 2);
        match picture {
            Picture::I420(planes) => {
                let ([y, u, v], [stride, half_stride]) = (planes.planes(), planes.strides());
                let half_pitch = pitch as usize / 2;
                locked.copy((0, pitch as usize), (y, stride), (width, height));
                locked.copy((luma, half_pitch), (u, half_stride), half);
                locked.copy((luma + half_pitch * half.1, half_pitch), (v, half_stride), half);
            }
            Picture::Nv12(planes) => {
                let ([y, uv], [stride, uv_stride]) = (planes.planes(), planes.strides());
                locked.copy((0, pitch as usize), (y, stride), (width, height));
                locked.copy((luma, pitch as usize), (uv, uv_stride), (width, half.1));
            }
            _ => {}
        }
        let raw = locked.buffer;
        locked.unlock()?;
        Ok(((raw, format), pitch))
    }

    /// Has a picture encoded.
    fn submit(
        &mut self,
        (input, format, pitch): (sys::NV_ENC_INPUT_PTR, sys::NV_ENC_BUFFER_FORMAT, u32),
        submission: Submission,
    ) -> Result<(), NvencError> {
        use sys::NV_ENC_PIC_FLAGS::{NV_ENC_PIC_FLAG_FORCEIDR, NV_ENC_PIC_FLAG_OUTPUT_SPSPPS};

        let mut picture = params::zeroed::<sys::NV_ENC_PIC_PARAMS>();
        let picture = picture.as_mut_ptr();
        // SAFETY: all zero, and written field by field; the input is mapped or unlocked, the bitstream not locked, and
        // both are the session's. Of the union, the member is that of the session's codec.
        let status = unsafe {
            (*picture).version = sys::NV_ENC_PIC_PARAMS_VER;
            (*picture).inputWidth = self.config.size.width();
            (*picture).inputHeight = self.config.size.height();
            (*picture).inputPitch = pitch;
            (*picture).inputBuffer = input;
            (*picture).bufferFmt = format;
            (*picture).outputBitstream = self.bitstream.raw;
            (*picture).pictureStruct = sys::NV_ENC_PIC_STRUCT::NV_ENC_PIC_STRUCT_FRAME;
            (*picture).frameIdx = self.frames;
            (*picture).inputTimeStamp = submission.timestamp;
            if submission.keyframe {
                (*picture).encodePicFlags =
                    NV_ENC_PIC_FLAG_FORCEIDR as u32 | NV_ENC_PIC_FLAG_OUTPUT_SPSPPS as u32;
            }
            let h264 = &raw mut (*picture).codecPicParams.h264PicParams;
            // Pictures that nobody refers to are marked by the encoder itself, which decides on types.
            if let Some(slot) = submission.keep {
                (*h264).set_ltrMarkFrame(1);
                (*h264).ltrMarkFrameIdx = slot;
            }
            if let Some(slot) = submission.refer_to {
                (*h264).set_ltrUseFrames(1);
                (*h264).ltrUseFrameBitmap = 1 << slot;
            }
            (self.session.device.functions.nvEncEncodePicture)(self.session.raw, picture)
        };
        self.frames = self.frames.wrapping_add(1);
        self.session.check("encode", status)
    }

    /// Waits for the picture that was submitted and hands it on.
    fn read(
        &mut self,
        read: impl FnOnce(&[u8], Output) -> Result<(), NvencError>,
    ) -> Result<(), NvencError> {
        let functions = &self.session.device.functions;
        let mut lock = params::zeroed::<sys::NV_ENC_LOCK_BITSTREAM>();
        let lock = lock.as_mut_ptr();
        // SAFETY: all zero, and written field by field; the buffer is the session's, and not locked.
        let status = unsafe {
            (*lock).version = sys::NV_ENC_LOCK_BITSTREAM_VER;
            (*lock).outputBitstream = self.bitstream.raw;
            (functions.nvEncLockBitstream)(self.session.raw, lock)
        };
        self.session.check("give out a picture", status)?;
        // SAFETY: the driver has written them. The type of the picture is read as a number, whatever it is.
        let (data, bytes, kind, temporal_layer) = unsafe {
            let kind = (&raw const (*lock).pictureType).cast::<u32>().read();
            ((*lock).bitstreamBufferPtr, (*lock).bitstreamSizeInBytes, kind, (*lock).temporalId)
        };
        let result = if data.is_null() {
            Err(NvencError::Output("it gave out no data"))
        } else {
            let keyframe = kind == sys::NV_ENC_PIC_TYPE::NV_ENC_PIC_TYPE_IDR as u32;
            // SAFETY: the driver says that so many bytes are there, until the buffer is unlocked below.
            let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), bytes as usize) };
            read(data, Output { keyframe, temporal_layer })
        };
        // SAFETY: it was locked above.
        let status =
            unsafe { (functions.nvEncUnlockBitstream)(self.session.raw, self.bitstream.raw) };
        result.and(self.session.check("take a buffer back", status))
    }
}
