//! What stands for the decoders of JPEG and PNG files in a build without the feature `still`.

use visavis_types::{FrameSize, I420Buffer, PixelFormat, VideoFrameError};

/// Decodes nothing.
///
/// # Errors
///
/// [`VideoFrameError::NotBuilt`].
pub fn decode_still(
    _file: &[u8],
    format: PixelFormat,
    _size: FrameSize,
    _out: &mut Vec<u8>,
) -> Result<PixelFormat, VideoFrameError> {
    Err(VideoFrameError::NotBuilt { format, feature: "still" })
}

/// Knows no file.
///
/// # Errors
///
/// [`VideoFrameError::NotBuilt`] for what may be a JPEG or PNG file.
pub fn still_size(file: &[u8]) -> Result<Option<(PixelFormat, u32, u32)>, VideoFrameError> {
    match format_of(file) {
        Some(format) => Err(VideoFrameError::NotBuilt { format, feature: "still" }),
        None => Ok(None),
    }
}

/// Decodes nothing.
///
/// # Errors
///
/// [`VideoFrameError::NotBuilt`] for what may be a JPEG or PNG file.
pub fn decode_photo(file: &[u8]) -> Result<Option<I420Buffer>, VideoFrameError> {
    still_size(file).map(|_| None)
}

fn format_of(file: &[u8]) -> Option<PixelFormat> {
    match file {
        [0xff, 0xd8, ..] => Some(PixelFormat::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Some(PixelFormat::Png),
        _ => None,
    }
}
