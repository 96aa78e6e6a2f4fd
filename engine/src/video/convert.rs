use visavis_codec::{ColorMatrix, ConvertError, convert, decode_still};
use visavis_types::{
    FrameSize, I420Buffer, PixelFormat, UndecodablePicture, VideoFrame, VideoFrameError,
};

/// Brings a frame of any format into what encoders take, in the matrix that goes with its size.
pub(crate) fn to_i420(
    frame: &VideoFrame<'_>,
    size: FrameSize,
    out: &mut I420Buffer,
) -> Result<(), VideoFrameError> {
    let matrix = ColorMatrix::for_size(size);
    let converted = match frame.format {
        PixelFormat::Jpeg | PixelFormat::Png => {
            let mut pixels = Vec::new();
            let format = decode_still(frame.data, frame.format, size, &mut pixels)?;
            convert(&pixels, format, size, matrix, out)
        }
        format => convert(frame.data, format, size, matrix, out),
    };
    match converted {
        Ok(()) => Ok(()),
        Err(ConvertError::Frame(error)) => Err(error),
        Err(ConvertError::Conversion(detail)) => {
            // Sizes and lengths were checked: this cannot be the frame's fault.
            tracing::error!(%detail, "frame not converted");
            let reason = UndecodablePicture::Colors;
            Err(VideoFrameError::Undecodable { format: frame.format, reason })
        }
    }
}
