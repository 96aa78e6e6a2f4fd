//! The interface of a film to the rest of the program, for all file formats.

use std::path::Path;
use std::time::Duration;

use crate::{Picture, Pool, SourceError};

/// One pass through a file. Times count from the start of the file's presentation.
pub trait Clip: Send {
    /// Width, height and average rate of the pictures.
    fn video(&self) -> VideoInfo;

    /// Rate and channels of the sound, if there is any: of the kind the engine takes.
    fn audio(&self) -> Option<AudioInfo>;

    /// The next picture in order of presentation; `None` at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be read or decoded.
    fn picture(&mut self, pool: &Pool) -> Result<Option<Picture>, SourceError>;

    /// Appends the next stretch of sound, which continues the one before without a gap; `false` at
    /// the end.
    ///
    /// # Errors
    ///
    /// The file cannot be read or decoded.
    fn sound(&mut self, out: &mut Vec<i16>) -> Result<bool, SourceError>;

    /// When the last picture ends. Asked for after the last picture.
    fn video_end(&self) -> Duration;

    /// Back to the start.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn rewind(&mut self) -> Result<(), SourceError>;
}

/// What is wanted of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Pictures and sound.
    All,
    /// Pictures alone: sound that cannot be read is no hindrance.
    Pictures,
}

/// What a clip's pictures are like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoInfo {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second, on average.
    pub fps: f64,
}

/// What a clip's sound is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioInfo {
    /// Samples a second.
    pub rate_hz: u32,
    /// 1 or 2.
    pub channels: u16,
}

/// How opening a file went wrong.
#[derive(Debug)]
pub enum OpenError {
    /// Another reader may be able to; the reason is the end of a sentence: "has VP9 video".
    Unsupported(String),
    /// Nobody can.
    Failed(SourceError),
}

impl From<SourceError> for OpenError {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::File { path: path.display().to_string(), source }
}

pub(super) fn broken(path: &Path, reason: impl Into<String>) -> SourceError {
    SourceError::Broken { path: path.display().to_string(), reason: reason.into() }
}
