//! The C++ objects of openh264 behind safe methods. Nothing outside this file calls the library.

use std::ptr::{NonNull, null_mut};
use std::{ffi, slice};

use openh264_sys2::source::APILoader as Api;
use openh264_sys2::{
    DECODER_OPTION_TRACE_LEVEL, DECODING_STATE, ENCODER_LTR_MARKING_FEEDBACK,
    ENCODER_LTR_MARKING_PERIOD, ENCODER_LTR_RECOVERY_REQUEST, ENCODER_OPTION,
    ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_RC_MODE,
    ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_LEVEL, ISVCDecoder, ISVCDecoderVtbl,
    ISVCEncoder, ISVCEncoderVtbl, LTR_MARKING_FAILED, LTR_MARKING_SUCCESS, LTR_RECOVERY_REQUEST,
    RC_MODES, SBitrateInfo, SBufferInfo, SDecodingParam, SEncParamExt, SFrameBSInfo,
    SLTRMarkingFeedback, SLTRRecoverRequest, SPATIAL_LAYER_ALL, SSourcePicture, WELS_LOG_QUIET,
    videoFormatI420, videoFrameTypeIDR,
};
use visavis_types::FrameSize;

use visavis_types::encoder::I420Planes;

use super::long_term::Feedback;

/// Pictures between two long-term references where none is to be kept.
pub(super) const NEVER: u32 = u32::MAX;

/// A call that openh264 answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WelsError {
    pub(super) operation: &'static str,
    pub(super) code: i64,
}

/// `Err` for every answer but 0.
fn checked(operation: &'static str, code: impl Into<i64>) -> Result<(), WelsError> {
    match code.into() {
        0 => Ok(()),
        code => Err(WelsError { operation, code }),
    }
}

/// A virtual function that the library left out; it never does.
fn missing(operation: &'static str) -> WelsError {
    WelsError { operation, code: -1 }
}

/// `ISVCEncoder`, initialized.
pub(super) struct WelsEncoder {
    object: NonNull<ISVCEncoder>,
    size: FrameSize,
    /// What the last encode produced: pointers into memory of `object`, valid until the next call.
    info: SFrameBSInfo,
    /// IDR pictures there were, of 16 bits: the library numbers them from 1.
    idr_pictures: u16,
}

// SAFETY: the library keeps all state of an encoder in the object and, with a single thread
// configured, ties none of it to the thread that made it. `info` points into the object. Every
// method that reaches the library takes `&mut self`.
unsafe impl Send for WelsEncoder {}

impl WelsEncoder {
    /// Makes an encoder for pictures of `size`. `adjust` starts from the library's own defaults,
    /// and what it leaves is returned too, to be passed to
    /// [`set_params`](Self::set_params) later.
    pub(super) fn new(
        size: FrameSize,
        adjust: impl FnOnce(&mut SEncParamExt),
    ) -> Result<(Self, SEncParamExt), WelsError> {
        let mut object: *mut ISVCEncoder = null_mut();
        // SAFETY: `object` is a valid place for the new object's address.
        checked("create", unsafe { Api::WelsCreateSVCEncoder(&mut object) })?;
        let object = NonNull::new(object).ok_or(missing("create"))?;
        let mut encoder = Self { object, size, info: SFrameBSInfo::default(), idr_pictures: 0 };
        // First of all, because initialization already writes to stderr.
        let mut level = WELS_LOG_QUIET;
        encoder.set_option("silence", ENCODER_OPTION_TRACE_LEVEL, &mut level)?;
        let mut params = SEncParamExt::default();
        let defaults = encoder.vtable().GetDefaultParams.ok_or(missing("get defaults"))?;
        // SAFETY: the object is alive and `params` is a valid place for its answer.
        checked("get defaults", unsafe { defaults(object.as_ptr(), &mut params) })?;
        adjust(&mut params);
        let initialize = encoder.vtable().InitializeExt.ok_or(missing("initialize"))?;
        // SAFETY: the object is alive; the parameters are read during the call only.
        checked("initialize", unsafe { initialize(object.as_ptr(), &params) })?;
        Ok((encoder, params))
    }

    /// Replaces the parameters. As long as only `iDLayerQp` and the bitrates differ from those in
    /// use, the encoder goes on without a keyframe.
    pub(super) fn set_params(&mut self, params: &mut SEncParamExt) -> Result<(), WelsError> {
        self.set_option("set parameters", ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, params)
    }

    pub(super) fn set_bitrate(&mut self, bps: i32) -> Result<(), WelsError> {
        let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bps };
        self.set_option("set the bitrate", ENCODER_OPTION_BITRATE, &mut info)
    }

    pub(super) fn set_frame_rate(&mut self, mut fps: f32) -> Result<(), WelsError> {
        self.set_option("set the frame rate", ENCODER_OPTION_FRAME_RATE, &mut fps)
    }

    pub(super) fn set_rate_control(&mut self, mut mode: RC_MODES) -> Result<(), WelsError> {
        self.set_option("set rate control", ENCODER_OPTION_RC_MODE, &mut mode)
    }

    /// Makes the next picture an IDR picture.
    pub(super) fn force_idr(&mut self) -> Result<(), WelsError> {
        let force = self.vtable().ForceIntraFrame.ok_or(missing("force an IDR"))?;
        // SAFETY: the object is alive and initialized.
        checked("force an IDR", unsafe { force(self.object.as_ptr(), true) })
    }

    /// Encodes a picture, which must be of the encoder's size; the result is in
    /// [`nals`](Self::nals).
    pub(super) fn encode(
        &mut self,
        picture: &I420Planes<'_>,
        pts_ms: i64,
    ) -> Result<(), WelsError> {
        if picture.size() != self.size {
            return Err(WelsError { operation: "encode another size", code: -1 });
        }
        let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let [y_stride, uv_stride] = picture.strides().map(|stride| stride as i32);
        let source = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [y_stride, uv_stride, uv_stride, 0],
            pData: [y, u, v, null_mut()],
            iPicWidth: self.size.width() as i32,
            iPicHeight: self.size.height() as i32,
            uiTimeStamp: pts_ms,
            ..SSourcePicture::default()
        };
        let encode = self.vtable().EncodeFrame.ok_or(missing("encode"))?;
        // SAFETY: the object is alive and initialized for this size; the planes have the rows and
        // strides the source picture states and are only read; `info` is a valid place.
        checked("encode", unsafe { encode(self.object.as_ptr(), &source, &mut self.info) })?;
        self.idr_pictures = self.idr_pictures.wrapping_add(self.is_idr().into());
        Ok(())
    }

    /// Whether the next picture is to be kept as a long-term reference, or, from the second after a keyframe on, the
    /// one before it. Until it is said of the last one what became of it, none is kept.
    pub(super) fn keep_reference(&mut self, wanted: bool) -> Result<(), WelsError> {
        let mut least_distance = if wanted { 0 } else { NEVER };
        self.set_option("keep a reference", ENCODER_LTR_MARKING_PERIOD, &mut least_distance)
    }

    /// Says of a kept picture whether it was received. It takes effect after the next picture.
    pub(super) fn reference_feedback(&mut self, feedback: Feedback) -> Result<(), WelsError> {
        let kind = if feedback.received { LTR_MARKING_SUCCESS } else { LTR_MARKING_FAILED };
        let mut message = SLTRMarkingFeedback {
            uiFeedbackType: kind as u32,
            uiIDRPicId: self.idr_pictures.into(),
            iLTRFrameNum: feedback.frame_num as i32,
            iLayerId: 0,
        };
        self.set_option("take note of a reference", ENCODER_LTR_MARKING_FEEDBACK, &mut message)
    }

    /// Has the next picture refer to the newest long-term reference that was received, and to nothing else.
    pub(super) fn recover(&mut self) -> Result<(), WelsError> {
        let mut request = SLTRRecoverRequest {
            uiFeedbackType: LTR_RECOVERY_REQUEST as u32,
            uiIDRPicId: self.idr_pictures.into(),
            // Some picture was decoded, and it is not known which one was not.
            iLastCorrectFrameNum: 0,
            iCurrentFrameNum: -1,
            iLayerId: 0,
        };
        self.set_option("recover", ENCODER_LTR_RECOVERY_REQUEST, &mut request)
    }

    /// The temporal layer of the last picture.
    pub(super) fn temporal_layer(&self) -> u8 {
        let count = usize::try_from(self.info.iLayerNum).unwrap_or(0);
        let pictures = self.info.sLayerInfo.iter().take(count).rev();
        pictures.map(|layer| layer.uiTemporalId).next().unwrap_or(0)
    }

    /// Whether the last picture was encoded as an IDR picture.
    pub(super) fn is_idr(&self) -> bool {
        self.info.eFrameType == videoFrameTypeIDR
    }

    /// The NAL units of the last picture, each with its four-byte start code.
    pub(super) fn nals(&self) -> impl Iterator<Item = &[u8]> {
        let count = usize::try_from(self.info.iLayerNum).unwrap_or(0);
        self.info.sLayerInfo.iter().take(count).flat_map(|layer| {
            let count = usize::try_from(layer.iNalCount).unwrap_or(0);
            let usable = !layer.pNalLengthInByte.is_null() && !layer.pBsBuf.is_null();
            let lengths: &[ffi::c_int] = if usable {
                // SAFETY: the library filled `count` lengths in, and they stay until the next
                // call that reaches it, which needs `&mut self`.
                unsafe { slice::from_raw_parts(layer.pNalLengthInByte, count) }
            } else {
                &[]
            };
            lengths.iter().scan(0, move |offset, &length| {
                let length = usize::try_from(length).ok()?;
                // SAFETY: the layer's buffer holds its NAL units one after another, with these
                // lengths, until the next call that reaches the library.
                let nal = unsafe { slice::from_raw_parts(layer.pBsBuf.add(*offset), length) };
                *offset += length;
                Some(nal)
            })
        })
    }

    fn set_option<T>(
        &mut self,
        operation: &'static str,
        option: ENCODER_OPTION,
        value: &mut T,
    ) -> Result<(), WelsError> {
        let set_option = self.vtable().SetOption.ok_or(missing(operation))?;
        let value: *mut T = value;
        // SAFETY: the object is alive; each caller passes the type its option is documented to
        // take, and the library copies it during the call.
        checked(operation, unsafe { set_option(self.object.as_ptr(), option, value.cast()) })
    }

    fn vtable(&self) -> &ISVCEncoderVtbl {
        // SAFETY: the object begins with the address of its table of functions, which is static.
        unsafe { &**self.object.as_ptr() }
    }
}

impl Drop for WelsEncoder {
    fn drop(&mut self) {
        // SAFETY: the object is alive; nothing uses it after this. Undoing an initialization that
        // failed or never happened is allowed.
        unsafe {
            if let Some(uninitialize) = self.vtable().Uninitialize {
                uninitialize(self.object.as_ptr());
            }
            Api::WelsDestroySVCEncoder(self.object.as_ptr());
        }
    }
}

/// A decoded picture in memory of the decoder.
pub(super) struct WelsPicture<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Y, U and V, each with its stride; the last row may end where the picture does.
    pub(super) planes: [(&'a [u8], usize); 3],
    /// The stamp given with the access unit.
    pub(super) stamp: u64,
}

/// `ISVCDecoder`, initialized.
pub(super) struct WelsDecoder {
    object: NonNull<ISVCDecoder>,
}

// SAFETY: the library keeps all state of a decoder in the object and, with no decoding threads
// configured, ties none of it to the thread that made it. Every method takes `&mut self`.
unsafe impl Send for WelsDecoder {}

impl WelsDecoder {
    pub(super) fn new() -> Result<Self, WelsError> {
        let mut object: *mut ISVCDecoder = null_mut();
        // SAFETY: `object` is a valid place for the new object's address.
        checked("create", unsafe { Api::WelsCreateDecoder(&mut object) })?;
        let decoder = Self { object: NonNull::new(object).ok_or(missing("create"))? };
        let object = decoder.object.as_ptr();
        let set_option = decoder.vtable().SetOption.ok_or(missing("silence"))?;
        let mut level = WELS_LOG_QUIET;
        // SAFETY: the object is alive; this option takes an integer and copies it.
        checked("silence", unsafe {
            set_option(object, DECODER_OPTION_TRACE_LEVEL, (&raw mut level).cast())
        })?;
        // Plain AVC, every layer, no concealment: a damaged picture is an error, not a guess.
        let params = SDecodingParam { uiTargetDqLayer: u8::MAX, ..SDecodingParam::default() };
        let initialize = decoder.vtable().Initialize.ok_or(missing("initialize"))?;
        // SAFETY: the object is alive; the parameters are copied during the call.
        checked("initialize", unsafe { initialize(object, &params) })?;
        Ok(decoder)
    }

    /// Takes an access unit, or `None` for "the access unit given last is complete". Returns the
    /// state flags, and a picture where one is ready to be shown.
    pub(super) fn decode(
        &mut self,
        access_unit: Option<&[u8]>,
        stamp: u64,
    ) -> Result<(DECODING_STATE, Option<WelsPicture<'_>>), WelsError> {
        let (data, length) = match access_unit {
            Some(data) => {
                let length = i32::try_from(data.len());
                (data.as_ptr(), length.map_err(|_| missing("decode 2 GiB"))?)
            }
            None => (std::ptr::null(), 0),
        };
        let decode = self.vtable().DecodeFrame2.ok_or(missing("decode"))?;
        let mut planes = [null_mut(); 3];
        let mut info = SBufferInfo { uiInBsTimeStamp: stamp, ..SBufferInfo::default() };
        // SAFETY: the object is alive and initialized, the data is only read, and the other
        // pointers are valid places for three plane addresses and one description.
        let state =
            unsafe { decode(self.object.as_ptr(), data, length, planes.as_mut_ptr(), &mut info) };
        Ok((state, self.picture(planes, &info)))
    }

    /// The next picture still held back for reordering. Only after `decode(None, …)`.
    pub(super) fn flush(&mut self) -> Result<Option<WelsPicture<'_>>, WelsError> {
        let flush = self.vtable().FlushFrame.ok_or(missing("flush"))?;
        let mut planes = [null_mut(); 3];
        let mut info = SBufferInfo::default();
        // SAFETY: as in `decode`.
        let state = unsafe { flush(self.object.as_ptr(), planes.as_mut_ptr(), &mut info) };
        checked("flush", state)?;
        Ok(self.picture(planes, &info))
    }

    /// Borrows the picture described; it stays until the next call that reaches the library.
    fn picture(&mut self, planes: [*mut u8; 3], info: &SBufferInfo) -> Option<WelsPicture<'_>> {
        if info.iBufferStatus != 1 || planes.iter().any(|plane| plane.is_null()) {
            return None;
        }
        // SAFETY: the union has a single member, of plain integers.
        let memory = unsafe { info.UsrData.sSystemBuffer };
        let (width, height) =
            (u32::try_from(memory.iWidth).ok()?, u32::try_from(memory.iHeight).ok()?);
        let strides = memory.iStride.map(|stride| usize::try_from(stride).unwrap_or(0));
        let plane = |at: *mut u8, stride: usize, width: u32, height: u32| {
            let length = stride * (height as usize).saturating_sub(1) + width as usize;
            // SAFETY: the library states that the plane has this many rows of this stride. It is
            // not written before the next call that reaches the library, and `&mut self` is
            // borrowed until then.
            (unsafe { slice::from_raw_parts(at.cast_const(), length) }, stride)
        };
        let [y, u, v] = planes;
        let (half_width, half_height) = (width / 2, height / 2);
        Some(WelsPicture {
            width,
            height,
            planes: [
                plane(y, strides[0], width, height),
                plane(u, strides[1], half_width, half_height),
                plane(v, strides[1], half_width, half_height),
            ],
            stamp: info.uiOutYuvTimeStamp,
        })
    }

    fn vtable(&self) -> &ISVCDecoderVtbl {
        // SAFETY: the object begins with the address of its table of functions, which is static.
        unsafe { &**self.object.as_ptr() }
    }
}

impl Drop for WelsDecoder {
    fn drop(&mut self) {
        // SAFETY: the object is alive; nothing uses it after this.
        unsafe {
            if let Some(uninitialize) = self.vtable().Uninitialize {
                uninitialize(self.object.as_ptr());
            }
            Api::WelsDestroyDecoder(self.object.as_ptr());
        }
    }
}
