//! Pictures of other libraries, borrowed for a push: numpy, torch, PIL, bytes.

use std::fmt;

use pyo3::prelude::*;
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoFrame};

use crate::buffer::{Buffer, name_of_items};
use crate::errors::Kind;

/// Copying up to so many bytes takes less time than getting the GIL back where other Python threads are busy, each of
/// which keeps it for 5 ms: a push of so little does not let go of it.
const COPIED_WITH_GIL: usize = 2 << 20;

/// What is said of a picture beside its data.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) format: Option<&'a str>,
}

/// A picture that can be pushed.
pub(crate) struct Picture<'py> {
    py: Python<'py>,
    buffer: Buffer<'py>,
    width: u32,
    height: u32,
    format: PixelFormat,
}

impl<'py> Picture<'py> {
    /// Looks at an object's memory.
    ///
    /// # Errors
    ///
    /// `InvalidType` for what is no picture in memory, `InvalidValue` for one that cannot be used as it is.
    pub(crate) fn of(object: &Bound<'py, PyAny>, said: Said<'_>) -> PyResult<Self> {
        let py = object.py();
        let (buffer, size, format) = match Buffer::of(object)? {
            Some(buffer) => (buffer, None, said.format),
            None => by_another_way(object, said.format)?,
        };
        if buffer.format() != "B" {
            let found = name_of_items(buffer.format());
            return Err(Kind::InvalidType.because(
                py,
                format!("a picture of {found} values; expected uint8 from 0 to 255, such as (picture * 255).astype(numpy.uint8)"),
            ));
        }
        let said = match size {
            Some((width, height)) => Said { width: Some(width), height: Some(height), format },
            None => Said { format, ..said },
        };
        let (width, height, format) = layout(py, buffer.shape(), said)?;
        if !buffer.is_contiguous() {
            return Err(Kind::InvalidValue.because(
                py,
                "a picture whose bytes do not lie one behind the other (a slice, or one that was transposed or \
                 flipped); expected a contiguous one, such as numpy.ascontiguousarray(picture)",
            ));
        }
        Ok(Self { py, buffer, width, height, format })
    }

    /// Hands the frame to `push`; without the GIL where the copy takes longer than getting it back would.
    pub(crate) fn push<T: Send>(
        &self,
        timestamp: UnixMillis,
        push: impl FnOnce(&VideoFrame<'_>) -> T + Send,
    ) -> T {
        self.hand_over(timestamp, COPIED_WITH_GIL, push)
    }

    /// Hands the frame to `push`, which converts it, without the GIL.
    pub(crate) fn push_detached<T: Send>(
        &self,
        timestamp: UnixMillis,
        push: impl FnOnce(&VideoFrame<'_>) -> T + Send,
    ) -> T {
        self.hand_over(timestamp, 0, push)
    }

    fn hand_over<T: Send>(
        &self,
        timestamp: UnixMillis,
        copied_with_gil: usize,
        push: impl FnOnce(&VideoFrame<'_>) -> T + Send,
    ) -> T {
        let data = self.buffer.bytes().unwrap_or_default();
        // A file is parsed, and what is parsed must not change meanwhile.
        let is_file = matches!(self.format, PixelFormat::Jpeg | PixelFormat::Png);
        let file = if is_file { data.to_vec() } else { Vec::new() };
        let frame = VideoFrame::new(if is_file { &file } else { data }, self.width, self.height)
            .format(self.format)
            .timestamp(timestamp);
        match !is_file && data.len() <= copied_with_gil {
            true => push(&frame),
            false => self.py.detach(|| push(&frame)),
        }
    }
}

/// The memory of what does not show it itself, with the size and format that it tells.
#[expect(clippy::type_complexity, reason = "named where it is used")]
fn by_another_way<'py, 'a>(
    object: &Bound<'py, PyAny>,
    format: Option<&'a str>,
) -> PyResult<(Buffer<'py>, Option<(u32, u32)>, Option<&'a str>)> {
    let py = object.py();
    let has = |name: &str| object.hasattr(name).unwrap_or(false);
    if has("detach") && has("numpy") && has("device") {
        let device = object.getattr("device")?.str()?.to_string();
        if device != "cpu" {
            return Err(Kind::InvalidType.because(
                py,
                format!("a tensor on {device}; expected one in CPU memory, such as tensor.cpu()"),
            ));
        }
        let array = object.call_method0("detach")?.call_method0("numpy")?;
        if let Some(buffer) = Buffer::of(&array)? {
            return Ok((buffer, None, format));
        }
    }
    if has("mode") && has("size") && has("convert") && has("tobytes") {
        let (image, format) = match object.getattr("mode")?.extract::<String>()?.as_str() {
            "RGB" => (object.clone(), "rgb"),
            "RGBA" => (object.clone(), "rgba"),
            _ => (object.call_method1("convert", ("RGB",))?, "rgb"),
        };
        let size = image.getattr("size")?.extract()?;
        if let Some(buffer) = Buffer::of(&image.call_method0("tobytes")?)? {
            return Ok((buffer, Some(size), Some(format)));
        }
    }
    let found = object.get_type().name()?;
    Err(Kind::InvalidType.because(
        py,
        format!(
            "cannot take a picture of type {found}; expected a numpy array of (height, width, 3 or 4), a torch \
             tensor in CPU memory, a PIL image, or bytes"
        ),
    ))
}

/// Width, height and format of a picture whose items are counted by `shape`.
fn layout(py: Python<'_>, shape: &[usize], said: Said<'_>) -> PyResult<(u32, u32, PixelFormat)> {
    let wrong = |sentence: String| Err(Kind::InvalidValue.because(py, sentence));
    let format = match said.format {
        None => None,
        Some("bgr") => {
            return wrong(
                "format \"bgr\" is not taken; expected rgb, such as numpy.ascontiguousarray(picture[..., ::-1]), or \
                 cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA) with format=\"bgra\""
                    .to_owned(),
            );
        }
        Some(name) => match named(name) {
            Some(format) => Some(format),
            None => {
                return wrong(format!(
                    "invalid format {name:?}; expected rgba, bgra, rgb, i420, nv12, jpeg or png"
                ));
            }
        },
    };
    let (height, width, found) = match (shape, format) {
        (&[height, width, 4], None | Some(PixelFormat::Rgba)) => (height, width, PixelFormat::Rgba),
        (&[height, width, 4], Some(PixelFormat::Bgra)) => (height, width, PixelFormat::Bgra),
        (&[height, width, 3], None | Some(PixelFormat::Rgb)) => (height, width, PixelFormat::Rgb),
        (&[rows, width], Some(planar @ (PixelFormat::I420 | PixelFormat::Nv12)))
            if rows.is_multiple_of(3) =>
        {
            (rows / 3 * 2, width, planar)
        }
        ([_], format) => match (said.width, said.height) {
            (Some(width), Some(height)) => return Ok((width, height, format.unwrap_or_default())),
            _ => {
                let sentence = "bytes alone do not tell their size; expected width and height";
                return wrong(sentence.to_owned());
            }
        },
        _ => {
            let format =
                said.format.map_or_else(String::new, |name| format!(" for format {name:?}"));
            let hint = match shape {
                [3 | 4, _, _] => ", such as numpy.ascontiguousarray(picture.transpose(1, 2, 0))",
                _ => "",
            };
            return wrong(format!(
                "invalid shape {}{format}; expected (height, width, 4) for rgba or bgra, (height, width, 3) for rgb, \
                 (height * 3 / 2, width) for i420 or nv12{hint}",
                Tuple(shape)
            ));
        }
    };
    let fits = |side: usize, said: Option<u32>| {
        let side = u32::try_from(side).unwrap_or(u32::MAX);
        (said.is_none_or(|said| said == side)).then_some(side)
    };
    match (fits(width, said.width), fits(height, said.height)) {
        (Some(width), Some(height)) => Ok((width, height, found)),
        _ => {
            wrong(format!("the picture is {width}x{height}, and another width or height was given"))
        }
    }
}

fn named(name: &str) -> Option<PixelFormat> {
    Some(match name {
        "rgba" => PixelFormat::Rgba,
        "bgra" => PixelFormat::Bgra,
        "rgb" => PixelFormat::Rgb,
        "i420" => PixelFormat::I420,
        "nv12" => PixelFormat::Nv12,
        "jpeg" => PixelFormat::Jpeg,
        "png" => PixelFormat::Png,
        _ => return None,
    })
}

/// A shape as Python writes it.
struct Tuple<'a>(&'a [usize]);

impl fmt::Display for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "({}{})", sides.join(", "), if sides.len() == 1 { "," } else { "" })
    }
}
