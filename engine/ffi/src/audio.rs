//! Sound.

use std::ffi::c_void;

use visavis::audio::{AudioChunk, AudioFormat};

use crate::handle;
use crate::raw::{self, Versioned};
use crate::session::{SessionObject, visavis_session};
use crate::status::{Error, Result, visavis_status, visavis_status::*};
use crate::video::{VISAVIS_NOW, timestamp};

/// How a chunk's bytes are laid out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum visavis_audio_format {
    /// Signed 16-bit little-endian samples, channels interleaved.
    VISAVIS_S16 = 0,
    /// 32-bit little-endian floats, full scale from -1 to 1, channels interleaved. What is louder is clipped.
    VISAVIS_F32 = 1,
}

/// A piece of sound, read during the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_audio_chunk {
    /// Set by visavis_audio_chunk_init().
    pub struct_size: usize,
    /// The samples. They need not be aligned.
    pub data: *const c_void,
    /// Bytes in data, not samples: 100 ms of 16 kHz mono VISAVIS_S16 is 3,200 bytes.
    pub len: usize,
    /// In Hz: 8,000, 11,025, 12,000, 16,000, 22,050, 24,000, 32,000, 44,100 or 48,000.
    pub sample_rate: u32,
    /// 1 or 2. Default: 1.
    pub channels: u32,
    /// One of visavis_audio_format. Default: VISAVIS_S16.
    pub format: u32,
    /// 0.
    pub reserved: u32,
    /// When the first sample was captured, in Unix milliseconds, on the clock of the pictures that belong to it; in an
    /// utterance, milliseconds on its own clock. Default: VISAVIS_NOW.
    pub timestamp_ms: i64,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_audio_chunk {
    const NAME: &'static str = "visavis_audio_chunk";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            data: std::ptr::null(),
            len: 0,
            sample_rate: 0,
            channels: 1,
            format: visavis_audio_format::VISAVIS_S16 as u32,
            reserved: 0,
            timestamp_ms: VISAVIS_NOW,
        }
    }
}

impl visavis_audio_chunk {
    /// As the engine takes it.
    ///
    /// # Safety
    ///
    /// `data` is NULL, or good for reading `len` bytes, and lives as long as is borrowed.
    pub(crate) unsafe fn chunk<'a>(&self) -> Result<AudioChunk<'a>> {
        // SAFETY: as the caller promises.
        let data = unsafe { raw::bytes("data", self.data.cast(), self.len) }?;
        let channels = u16::try_from(self.channels).unwrap_or(u16::MAX);
        let format = match self.format {
            0 => AudioFormat::PcmS16,
            1 => AudioFormat::PcmF32,
            other => {
                return Err(Error::argument(format_args!(
                    "invalid format {other}; expected one of visavis_audio_format"
                )));
            }
        };
        let chunk = AudioChunk::new(data, self.sample_rate, channels);
        Ok(chunk.format(format).timestamp(timestamp(self.timestamp_ms)?))
    }
}

/// Writes the defaults into a chunk; struct_size is sizeof(*chunk).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_audio_chunk_init(
    chunk: *mut visavis_audio_chunk,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(chunk, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Queues a piece of sound, which is played at its own rate however fast pieces come. Never waits. The memory is the
/// caller's again when the call returns.
///
/// VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_DROPPED_OLDEST: more than audio_queue_ms waits; sound that
/// is made faster than it plays belongs in an utterance. VISAVIS_INVALID_MEDIA: rate, channels or length.
/// VISAVIS_WRONG_SESSION: the session's sound came as Opus packets before. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_push_audio(
    session: *const visavis_session,
    chunk: *const visavis_audio_chunk,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        Ok(session.audio.push(&raw::read(chunk)?.chunk()?)?.into())
    })
}
