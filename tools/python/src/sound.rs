//! Sound of other libraries, borrowed for a push: numpy, torch, `array.array`, bytes.

use std::time::Duration;

use pyo3::prelude::*;
use visavis::audio::{AudioChunk, AudioFormat, EncodedAudio};
use visavis::units::UnixMillis;

use crate::buffer::{Buffer, name_of_items};
use crate::errors::Kind;

/// Some seconds of sound, with which as with [pictures](crate::picture).
const COPIED_WITH_GIL: usize = 512 << 10;

/// A chunk of PCM that can be pushed.
pub(crate) struct Sound<'py> {
    py: Python<'py>,
    buffer: Buffer<'py>,
    format: AudioFormat,
    rate: u32,
    channels: u16,
}

impl<'py> Sound<'py> {
    /// Looks at an object's memory: samples, or pairs of them, or bytes that are 16-bit samples.
    ///
    /// # Errors
    ///
    /// `InvalidType` for what is no sound in memory, `InvalidValue` for what cannot be used as it is.
    pub(crate) fn of(
        object: &Bound<'py, PyAny>,
        rate: u32,
        channels: Option<u16>,
    ) -> PyResult<Self> {
        let py = object.py();
        let buffer = memory(
            object,
            "samples of int16 or float32 in a numpy array, a torch tensor or an array.array, or bytes",
        )?;
        let format = match buffer.format() {
            // Bytes are 16-bit samples.
            "h" | "B" => AudioFormat::PcmS16,
            "f" => AudioFormat::PcmF32,
            other => {
                return Err(Kind::InvalidType.because(
                    py,
                    format!(
                        "sound of {} values; expected int16, or float32 from -1 to 1, such as samples.astype(numpy.float32)",
                        name_of_items(other)
                    ),
                ));
            }
        };
        let shape = buffer.shape();
        let found = match *shape {
            [_] | [1, _] => None,
            [_, channels @ 1..=2] if buffer.format() != "B" => u16::try_from(channels).ok(),
            _ => {
                return Err(Kind::InvalidValue.because(
                    py,
                    format!(
                        "invalid shape {shape:?} of samples; expected (samples,) or (samples, 2), such as \
                         numpy.ascontiguousarray(samples.T)"
                    ),
                ));
            }
        };
        let channels = match (found, channels) {
            (Some(found), Some(said)) if found != said => {
                return Err(Kind::InvalidValue.because(
                    py,
                    format!("samples of {found} channels, and channels={said} was given"),
                ));
            }
            (found, said) => found.or(said).unwrap_or(1),
        };
        if !buffer.is_contiguous() {
            return Err(Kind::InvalidValue.because(
                py,
                "samples that do not lie one behind the other (a slice, or transposed); expected contiguous ones, such as \
                 numpy.ascontiguousarray(samples)",
            ));
        }
        Ok(Self { py, buffer, format, rate, channels })
    }

    /// How long it plays; nothing where its rate cannot be used.
    pub(crate) fn duration(&self) -> Duration {
        let bytes = self.buffer.bytes().unwrap_or_default().len();
        let samples = bytes / self.format.sample_bytes() / usize::from(self.channels.max(1));
        Duration::try_from_secs_f64(samples as f64 / f64::from(self.rate)).unwrap_or_default()
    }

    /// Hands the chunk to `push`; without the GIL where that takes longer than getting it back would.
    pub(crate) fn push<T: Send>(
        &self,
        timestamp: UnixMillis,
        push: impl FnOnce(&AudioChunk<'_>) -> T + Send,
    ) -> T {
        self.hand_over(timestamp, COPIED_WITH_GIL, push)
    }

    /// Hands the chunk to `push`, which waits, without the GIL.
    pub(crate) fn push_detached<T: Send>(
        &self,
        timestamp: UnixMillis,
        push: impl FnOnce(&AudioChunk<'_>) -> T + Send,
    ) -> T {
        self.hand_over(timestamp, 0, push)
    }

    fn hand_over<T: Send>(
        &self,
        timestamp: UnixMillis,
        copied_with_gil: usize,
        push: impl FnOnce(&AudioChunk<'_>) -> T + Send,
    ) -> T {
        let data = self.buffer.bytes().unwrap_or_default();
        let chunk = AudioChunk::new(data, self.rate, self.channels)
            .format(self.format)
            .timestamp(timestamp);
        match data.len() <= copied_with_gil {
            true => push(&chunk),
            false => self.py.detach(|| push(&chunk)),
        }
    }
}

/// The bytes of a packet or a file, copied: they are parsed, and must not change meanwhile.
///
/// # Errors
///
/// What shows no memory, or none that lies in one piece.
pub(crate) fn copied(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let buffer = memory(object, "bytes")?;
    match buffer.bytes() {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(Kind::InvalidValue.because(
            object.py(),
            "bytes that do not lie one behind the other; expected contiguous ones, such as bytes(data)",
        )),
    }
}

/// An Opus packet, or MP3 frames.
pub(crate) fn encoded(data: &[u8], timestamp_ms: Option<u64>) -> EncodedAudio<'_> {
    EncodedAudio::new(data).timestamp(timestamp_ms.map_or_else(UnixMillis::now, UnixMillis))
}

fn memory<'py>(object: &Bound<'py, PyAny>, expected: &str) -> PyResult<Buffer<'py>> {
    if let Some(buffer) = Buffer::of(object)? {
        return Ok(buffer);
    }
    // A tensor of torch.
    if object.hasattr("detach")? && object.hasattr("numpy")? {
        let array = object.call_method0("detach")?.call_method0("cpu")?.call_method0("numpy")?;
        if let Some(buffer) = Buffer::of(&array)? {
            return Ok(buffer);
        }
    }
    let found = object.get_type().name()?;
    Err(Kind::InvalidType.because(object.py(), format!("cannot take {found}; expected {expected}")))
}
