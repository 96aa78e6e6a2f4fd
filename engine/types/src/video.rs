use std::fmt;
use std::str::FromStr;

use crate::UnixMillis;

/// How a frame's bytes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PixelFormat {
    /// 4 bytes a pixel: red, green, blue, alpha (ignored). Rows follow one another without padding.
    #[default]
    Rgba,
    /// As [`Rgba`](Self::Rgba), with blue first and red third.
    Bgra,
    /// 3 bytes a pixel: red, green, blue. Rows follow one another without padding.
    Rgb,
    /// Planar YUV 4:2:0, limited range, BT.709 from 720 rows on and BT.601 below: the Y plane, then U,
    /// then V, without padding.
    I420,
    /// YUV 4:2:0 in two planes, with the colours of [`I420`](Self::I420): Y, then U and V in turns,
    /// without padding.
    Nv12,
    /// A JPEG file, baseline or progressive, decoded by the caller's push. JFIF's colours are BT.601 in
    /// full range, and that is what they are taken for.
    Jpeg,
    /// A PNG file, decoded by the caller's push; transparency is ignored.
    Png,
}

impl PixelFormat {
    /// The exact length in bytes of a frame of this format and size; `None` where it depends on the
    /// picture.
    pub const fn frame_bytes(self, size: FrameSize) -> Option<usize> {
        let pixels = size.width as usize * size.height as usize;
        match self {
            Self::Rgba | Self::Bgra => Some(pixels * 4),
            Self::Rgb => Some(pixels * 3),
            Self::I420 | Self::Nv12 => Some(pixels + pixels / 2),
            Self::Jpeg | Self::Png => None,
        }
    }
}

/// Width and height in pixels: even, from 16 to 4096 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameSize {
    width: u16,
    height: u16,
}

impl FrameSize {
    /// The smallest side.
    pub const MIN_SIDE: u32 = 16;
    /// The largest side.
    pub const MAX_SIDE: u32 = 4096;

    /// The smallest size.
    pub const SMALLEST: Self = Self { width: Self::MIN_SIDE as u16, height: Self::MIN_SIDE as u16 };

    /// Checks a size.
    ///
    /// # Errors
    ///
    /// [`VideoFrameError::Size`] where a side is odd, smaller than [`MIN_SIDE`](Self::MIN_SIDE), or larger than
    /// [`MAX_SIDE`](Self::MAX_SIDE).
    pub const fn new(width: u32, height: u32) -> Result<Self, VideoFrameError> {
        const fn fits(side: u32) -> bool {
            side >= FrameSize::MIN_SIDE && side <= FrameSize::MAX_SIDE && side.is_multiple_of(2)
        }
        if fits(width) && fits(height) {
            Ok(Self { width: width as u16, height: height as u16 })
        } else {
            Err(VideoFrameError::Size { width, height })
        }
    }

    /// Width in pixels.
    pub const fn width(self) -> u32 {
        self.width as u32
    }

    /// Height in pixels.
    pub const fn height(self) -> u32 {
        self.height as u32
    }
}

/// As in `1280x720`.
impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Why a text is not a [`FrameSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFrameSize {
    /// It is not of the form `1280x720`.
    #[error("invalid size {0:?}; expected WIDTHxHEIGHT, such as 512x512")]
    Form(String),
    /// Width or height cannot be used.
    #[error(transparent)]
    Size(#[from] VideoFrameError),
}

impl FromStr for FrameSize {
    type Err = InvalidFrameSize;

    /// Reads a size written as `1280x720`.
    ///
    /// # Errors
    ///
    /// See [`InvalidFrameSize`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sides = text.split_once('x').and_then(|(width, height)| {
            let side = |digits: &str| digits.parse::<u32>().ok();
            Some((side(width)?, side(height)?))
        });
        let (width, height) = sides.ok_or_else(|| InvalidFrameSize::Form(text.to_owned()))?;
        Ok(Self::new(width, height)?)
    }
}

/// One raw picture, borrowed from the caller for the duration of the push.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct VideoFrame<'a> {
    /// The pixels, [`PixelFormat::frame_bytes`] of them, or a whole JPEG or PNG file.
    pub data: &'a [u8],
    /// Pixels per row; even, 16 to 4096.
    pub width: u32,
    /// Rows; even, 16 to 4096.
    pub height: u32,
    /// Layout of `data`. Default: [`PixelFormat::Rgba`].
    pub format: PixelFormat,
    /// When the picture was captured or rendered. Default: when this was made.
    pub timestamp: UnixMillis,
}

impl<'a> VideoFrame<'a> {
    /// A picture in RGBA, captured now. Nothing is looked at before it is pushed.
    #[inline]
    pub fn new(data: &'a [u8], width: u32, height: u32) -> Self {
        let (format, timestamp) = (PixelFormat::Rgba, UnixMillis::now());
        Self { data, width, height, format, timestamp }
    }

    crate::setters! {
        format: PixelFormat,
        timestamp: UnixMillis,
    }

    /// The frame's size, if size and length of `data` are usable. What is in a JPEG or PNG file shows
    /// when it is decoded.
    ///
    /// # Errors
    ///
    /// [`VideoFrameError::Size`] and [`VideoFrameError::Length`].
    pub fn validate(&self) -> Result<FrameSize, VideoFrameError> {
        let size = FrameSize::new(self.width, self.height)?;
        match self.format.frame_bytes(size) {
            Some(expected) if self.data.len() != expected => Err(VideoFrameError::Length {
                format: self.format,
                width: self.width,
                height: self.height,
                expected,
                actual: self.data.len(),
            }),
            _ => Ok(size),
        }
    }
}

/// Why a video frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VideoFrameError {
    /// A side is odd, too small or too large.
    #[error("invalid size {width}x{height}; width and height must be even and from 16 to 4096")]
    Size {
        /// As given.
        width: u32,
        /// As given.
        height: u32,
    },
    /// The buffer does not have the length its format and size ask for.
    #[error(
        "invalid length of {actual} bytes; expected {expected} for {format:?} of {width}x{height}"
    )]
    Length {
        /// As given.
        format: PixelFormat,
        /// As given.
        width: u32,
        /// As given.
        height: u32,
        /// Bytes the frame should have.
        expected: usize,
        /// Bytes it has.
        actual: usize,
    },
    /// A JPEG or PNG file that is none, is damaged, or is of a kind that is not taken.
    #[error("this {format:?} picture cannot be decoded: {reason}")]
    Undecodable {
        /// As given.
        format: PixelFormat,
        /// What is wrong with it.
        reason: UndecodablePicture,
    },
    /// A JPEG or PNG file, in a build that has no decoder for it.
    #[error(
        "this {format:?} picture cannot be decoded: this build lacks the cargo feature `{feature}`"
    )]
    NotBuilt {
        /// As given.
        format: PixelFormat,
        /// The cargo feature that the decoder comes with.
        feature: &'static str,
    },
    /// A JPEG or PNG file of another size than was said.
    #[error("the {format:?} picture is {}x{}, but the frame says {}x{}", found.0, found.1, said.0, said.1)]
    OtherSize {
        /// As given.
        format: PixelFormat,
        /// Width and height as given.
        said: (u32, u32),
        /// Width and height of the picture.
        found: (u32, u32),
    },
    /// A JPEG or PNG file has no fixed length, so there is no memory to give out for it.
    #[error("{0:?} has no fixed length, so no frame memory can be reserved; push the file")]
    NoFixedLength(PixelFormat),
    /// The session's pictures are given encoded.
    #[error("this session takes encoded video; raw frames cannot be pushed")]
    EncodedSession,
    /// None of the session's encoders takes pictures so large.
    #[error(
        "a frame of {size}, and the largest of its shape that this session can encode is {most}"
    )]
    TooLarge {
        /// As given.
        size: FrameSize,
        /// The largest of this shape that can be.
        most: FrameSize,
    },
    /// A stamp so far inside an utterance.
    #[error("invalid timestamp {0} ms in an utterance; expected at most one day")]
    Timestamp(u64),
}

/// Why a JPEG or PNG file cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UndecodablePicture {
    /// It is no file of this format, or its header is damaged.
    #[error("its header cannot be read")]
    Header,
    /// What follows the header is damaged.
    #[error("it is damaged")]
    Damaged,
    /// It ends too early.
    #[error("it is cut off")]
    Truncated,
    /// It is of a kind that is not taken.
    #[error("files of this kind are not taken")]
    Unsupported,
    /// It is larger than is read: 64 million pixels, 16,384 on a side.
    #[error("{width}x{height} is too large; at most 64 million pixels, 16384 on a side, are read")]
    TooLarge {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Decoding it needs more memory than is allowed for one picture.
    #[error("it needs too much memory")]
    Memory,
    /// Its colours could not be converted.
    #[error("its colours cannot be converted")]
    Colors,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &[u8], width: u32, height: u32) -> VideoFrame<'_> {
        VideoFrame::new(data, width, height)
    }

    #[test]
    fn a_frame_is_rgba_of_now_unless_something_else_is_said() {
        let before = UnixMillis::now();
        let made = frame(&[1, 2, 3], 2, 4);
        assert_eq!((made.data, made.width, made.height), (&[1, 2, 3][..], 2, 4));
        assert_eq!(made.format, PixelFormat::Rgba);
        assert!((before..=UnixMillis::now()).contains(&made.timestamp));
        let other = made.format(PixelFormat::Nv12).timestamp(UnixMillis(7));
        assert_eq!((other.format, other.timestamp), (PixelFormat::Nv12, UnixMillis(7)));
    }

    #[test]
    fn a_512_square_rgba_frame_is_a_mebibyte() {
        let data = vec![0; 1_048_576];
        assert!(frame(&data, 512, 512).validate().is_ok());
    }

    #[test]
    fn odd_tiny_and_huge_sizes_are_refused() {
        for (w, h) in [(511, 512), (512, 13), (0, 0), (14, 16), (4098, 16), (u32::MAX, u32::MAX)] {
            let error = frame(&[], w, h).validate().unwrap_err();
            assert_eq!(error, VideoFrameError::Size { width: w, height: h });
        }
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let size: FrameSize = "1280x720".parse().unwrap();
        assert_eq!(
            (size.width(), size.height(), size.to_string().as_str()),
            (1280, 720, "1280x720")
        );
        for text in
            ["", "x", "512", "512x", "512x512x", "-2x16", "0x200", "511x512", "99999999999x16"]
        {
            assert!(text.parse::<FrameSize>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn wrong_lengths_are_refused_and_say_what_was_expected() {
        let error = frame(&[0; 100], 16, 16).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid length of 100 bytes; expected 1024 for Rgba of 16x16"
        );
    }
}
