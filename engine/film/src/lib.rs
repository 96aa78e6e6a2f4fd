//! Films, sound and images out of files, for programs that have them shown: media on one clock ([`Source`]), or what is
//! shown while a session is idle ([`idle`]).
#![forbid(unsafe_code)]

pub mod chunks;
pub mod idle;
pub mod play;

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use visavis::video::PixelFormat;

/// One picture and when it is due, counted from the start of the source.
#[derive(Debug)]
pub struct Picture {
    /// When it is due.
    pub pts: Duration,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Layout of `data`.
    pub format: PixelFormat,
    /// The pixels.
    pub data: Vec<u8>,
}

/// A stretch of sound and when its first sample is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// When its first sample is due.
    pub pts: Duration,
    /// Samples a second.
    pub rate_hz: u32,
    /// 1 or 2.
    pub channels: u16,
    /// Interleaved.
    pub samples: Vec<i16>,
}

/// What a source makes.
#[derive(Debug)]
pub enum Item {
    /// A picture.
    Picture(Picture),
    /// A stretch of sound.
    Sound(Sound),
}

impl Item {
    /// When it is due.
    pub fn pts(&self) -> Duration {
        match self {
            Self::Picture(picture) => picture.pts,
            Self::Sound(sound) => sound.pts,
        }
    }
}

/// Description of a source: for people, and to set up the encoder.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// A name for the log.
    pub label: String,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second, on average.
    pub fps: f64,
    /// Whether there is sound.
    pub sound: bool,
}

/// Endless media in order of presentation, on one clock that starts at zero and only runs forward.
pub trait Source: Send {
    /// What this source is.
    fn info(&self) -> &SourceInfo;

    /// The next picture or stretch of sound, whichever is due first.
    ///
    /// # Errors
    ///
    /// The source has failed, and gives nothing more.
    fn next(&mut self, pool: &Pool) -> Result<Item, SourceError>;
}

/// Why a source fails or ends. Messages include what the user can do, if anything.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file is broken, or not what it seems to be.
    #[error("{path} cannot be played: {reason}")]
    Broken {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that only ffmpeg can read, and no ffmpeg.
    #[error(
        "{path} {reason}, which needs the program ffmpeg (with ffprobe) in PATH; \
         install it (Debian: apt-get install ffmpeg), or use an MP4 with H264 video and AAC sound"
    )]
    NeedsFfmpeg {
        /// The file.
        path: String,
        /// What it has that is not read here.
        reason: String,
    },
    /// The program ffmpeg failed.
    #[error("ffmpeg cannot play {path}: {reason}")]
    Ffmpeg {
        /// The file.
        path: String,
        /// The last output of ffmpeg.
        reason: String,
    },
    /// A source that is no file.
    #[error("{0}")]
    Other(String),
}

/// Picture buffers that go round between the thread that makes pictures and the one that pushes
/// them, so that a running source allocates no pictures.
#[derive(Debug, Clone)]
pub struct Pool {
    give: Sender<Vec<u8>>,
    take: Receiver<Vec<u8>>,
}

impl Pool {
    /// A pool that keeps up to `count` buffers.
    pub fn new(count: usize) -> Self {
        let (give, take) = bounded(count);
        Self { give, take }
    }

    /// A buffer of this length with arbitrary content.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.take.try_recv().unwrap_or_default();
        buffer.resize(bytes, 0);
        buffer
    }

    /// Returns a buffer.
    pub fn give(&self, buffer: Vec<u8>) {
        // A full pool lets it go.
        let _ = self.give.try_send(buffer);
    }
}

/// `count` units of `1 / per_second` seconds, to the nanosecond below.
pub fn units(count: u64, per_second: u64) -> Duration {
    let nanos = u128::from(count) * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
